"""A whole reply before it is written down in a dialect: its choices and its bill."""

import time
from dataclasses import dataclass, replace
from secrets import token_hex

from simulator.answer import Answer, compose
from simulator.request import Request
from simulator.scenario import Scenario
from simulator.usage import CacheUse, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is said, under which name, and what it costs in tokens."""

    request: Request
    served_model: str
    answers: tuple[Answer, ...]
    usage: Usage
    shows_usage: bool
    ends_as_failed: bool
    unique: str
    created: int

    def usage_after(self, sent_chunks: int) -> Usage:
        """Bill a stream that ended early: the input, the reasoning, and the chunks sent; at least
        one, as the first token is made before the stream opens.
        """
        return self.running_usage(max(1, sent_chunks))

    def running_usage(self, sent_chunks: int) -> Usage:
        """Count what a stream has used so far."""
        words = sum(len(answer.pieces) for answer in self.answers)
        made = min(sent_chunks, words)
        return replace(self.usage, output_tokens=self.usage.reasoning_tokens + made)


def make_reply(
    request: Request,
    scenario: Scenario,
    *,
    cache: CacheUse | None = None,
    served_model: str | None = None,
) -> Reply:
    """Answer a request as the scenario wishes, by default without a prompt cache and by a model of
    the name that was asked for.
    """
    reasoning = _reasoning_tokens(request, scenario)
    budget = None if request.output_cap is None else request.output_cap - reasoning
    answers = tuple(
        compose(request, scenario, choice=choice, budget=budget)
        for choice in range(request.choices)
    )
    return Reply(
        request=request,
        served_model=served_model or request.model,
        answers=answers,
        usage=_bill(request, scenario, cache or CacheUse(), answers=answers, reasoning=reasoning),
        shows_usage=scenario.shows_usage,
        ends_as_failed=scenario.ends_as_failed,
        unique=token_hex(12),
        created=int(time.time()),
    )


def _reasoning_tokens(request: Request, scenario: Scenario) -> int:
    """Reasoning of one choice; it comes first, so the cap may leave no room for words."""
    wanted = scenario.reasoning_tokens
    if wanted is None:
        wanted = request.default_reasoning_tokens
    return wanted if request.output_cap is None else min(wanted, request.output_cap)


def _bill(
    request: Request,
    scenario: Scenario,
    cache: CacheUse,
    *,
    answers: tuple[Answer, ...],
    reasoning: int,
) -> Usage:
    cached = _given(scenario.cached_tokens, cache.read)
    write_5m = _given(scenario.cache_write_tokens, cache.write_5m)
    write_1h = _given(scenario.cache_write_1h_tokens, cache.write_1h)
    # A total that is given stands, even below its parts: a test may want such an anomaly.
    total = max(request.input_tokens, cached + write_5m + write_1h)
    all_reasoning = reasoning * len(answers)
    return Usage(
        input_tokens=_given(scenario.input_tokens, total),
        cached_input_tokens=cached,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        output_tokens=all_reasoning + sum(len(answer.pieces) for answer in answers),
        reasoning_tokens=all_reasoning,
    )


def _given(wanted: int | None, otherwise: int) -> int:
    return otherwise if wanted is None else wanted

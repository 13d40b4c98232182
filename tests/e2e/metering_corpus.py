"""Serves recorded answers of the metering cases to a running gateway, and tells what was booked.

Cases of a vendor whose list prices are those of the case are asked of that vendor; every other case
has a provider of its own, with the operator's prices.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from ai_gateway.domain.call import DialectName
from ai_gateway.domain.pricing import Rates
from simulator.testing import Recorded, RunningSimulator, running_simulator
from tests.e2e.caller import Answer, Caller, Dialect
from tests.e2e.operating import Operator
from tests.providers.cases import (
    PICO,
    ROWS,
    Case,
    cases_in_scope,
    events_of,
    reads_of,
    with_line_ends,
)
from tests.running import RunningGateway

ENVIRONMENT = {
    "AI_GATEWAY_SIMULATOR": "off",
    "CORPUS_KEY": "sk-corpus",
    "AI_MONTHLY_SPEND_LIMIT_USD": "1000000",
    "AI_USER_DAILY_SPEND_LIMIT_USD": "1000000",
}
SIZES = (1, 2, 3, 7, 64)
LINE_ENDS = {"lf": b"\n", "crlf": b"\r\n"}
AT_ONCE = 16
PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.completions": "/v1/completions",
    "openai.embeddings": "/v1/embeddings",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
}

BY_LIST = frozenset({"openai", "anthropic", "azure", "xai", "google", "openrouter"})
"""The vendors of which the list has the prices of the cases."""

NOT_BY_LIST = frozenset(
    {
        "oai-resp-002",  # the list has no price for twelve hours of a cache
        "oai-tier-004",  # the operator's own prices for a regional address
        "or-003",  # not in the list
    }
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One way to serve the answer of a case: in so many writes, up to its end or not so far."""

    case: Case
    name: str
    writes: tuple[bytes, ...]
    is_cut: bool = False
    is_reset: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.writes)


@dataclass(frozen=True, slots=True)
class Booked:
    """What came back for a delivery, and its one entry in the ledger."""

    answer: Answer
    entry: dict[str, Any]


def all_deliveries() -> list[Delivery]:
    """Every case in every way."""
    return [one for case in cases_in_scope() for one in _deliveries_of(case)]


def _deliveries_of(case: Case) -> Iterator[Delivery]:
    """As it was recorded; a stream also in writes of every size, with other line ends, and cut."""
    yield Delivery(case, "as recorded", case.chunks)
    if not case.is_stream:
        return
    for size in SIZES:
        for name, line_end in LINE_ENDS.items():
            writes = reads_of(with_line_ends(case, line_end), size)
            yield Delivery(case, f"{name} in writes of {size}", tuple(writes))
    if case.cost is not None:
        yield from _cut_short(case)


def _cut_short(case: Case) -> Iterator[Delivery]:
    """Cut after each of its events but the last: the provider ends there, or breaks off."""
    events = events_of(case.body.replace(b"\r\n", b"\n"))
    for number in range(len(events)):
        writes = tuple(events[:number])
        yield Delivery(case, f"ended after {number}", writes, is_cut=True)
        if number:
            yield Delivery(case, f"broken after {number}", writes, is_cut=True, is_reset=True)


class Corpus:
    """A gateway whose providers are all played by the recorded answers."""

    def __init__(self, operator: Operator, upstream: RunningSimulator) -> None:
        self._operator = operator
        self._upstream = upstream
        self._numbers = count(1)

    def run(self, deliveries: Sequence[Delivery]) -> tuple[Caller, list[Booked]]:
        """Serve all, many at once; returns who asked, and what became of each."""
        caller = self._operator.new_caller()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda one: self._ask(caller, one), deliveries))
        entries = {entry["request_id"]: entry for entry in caller.booked_once(len(deliveries))}
        return caller, [Booked(answer, entries[answer.request_id]) for answer in answers]

    def _ask(self, caller: Caller, delivery: Delivery) -> Answer:
        case, marker = delivery.case, f"<{next(self._numbers)}>"
        content = delivery.writes if case.is_stream else delivery.body
        recorded = Recorded(content=content, reset=delivery.is_reset)
        self._upstream.record(recorded, {"marker": marker})
        body = json.dumps(_asked_body(case, marker))
        return caller.post(dialect_of(case), body, path=_path(case))


@contextmanager
def running_corpus(folder: Path) -> Iterator[Corpus]:
    """Run all that it needs for as long as the block lasts."""
    with running_simulator() as upstream:
        config = folder / "gateway.toml"
        config.write_text("\n".join(_config(upstream)))
        gateway = RunningGateway(folder, {**ENVIRONMENT, "AI_GATEWAY_CONFIG": str(config)})
        try:
            gateway.start()
            yield Corpus(Operator(gateway), upstream)
        finally:
            gateway.end()


def dialect_of(case: Case) -> Dialect:
    return "anthropic" if case.shape.startswith("anthropic") else "openai"


def _is_by_list(case: Case) -> bool:
    return case.provider in BY_LIST and case.name not in NOT_BY_LIST


def _provider_name(case: Case) -> str:
    return ROWS[case.provider].name if _is_by_list(case) else case.name


def _path(case: Case) -> str:
    if case.provider == "azure":
        return f"/openai/deployments/{case.name}/chat/completions?api-version=2024-10-21"
    return PATHS[case.shape]


def _asked_body(case: Case, marker: str) -> dict[str, Any]:
    """What a client sends that gets the answer of this case."""
    told = {name: case.asked[name] for name in case.asked.keys() & _REQUEST_FIELDS}
    body = {"model": f"{_provider_name(case)}/{case.model}", **told}
    match case.shape:
        case "openai.completions":
            body["prompt"] = marker
        case "openai.embeddings":
            return body | {"input": marker}
        case "openai.responses":
            body["input"] = marker
        case _:
            body |= {"messages": [{"role": "user", "content": marker}], "max_tokens": 500}
    return body | {"stream": case.is_stream}


_REQUEST_FIELDS = {"stream_options", "n", "service_tier", "speed", "tools"}


def _config(upstream: RunningSimulator) -> Iterator[str]:
    """The operator's file: vendors at the address of the upstream, and a provider for a case."""
    cases = cases_in_scope()
    by_list = [case for case in cases if _is_by_list(case)]
    for vendor in {ROWS[case.provider].name: case for case in by_list}:
        yield from _provider(vendor, f'preset = "{vendor}"', upstream, ROWS[vendor].dialect)
    yield "[azure.deployments]"
    yield from (f'"{case.name}" = "{case.model}"' for case in cases if case.provider == "azure")
    for case in cases:
        if case not in by_list:
            yield from _own_provider(case, upstream)


def _own_provider(case: Case, upstream: RunningSimulator) -> Iterator[str]:
    row = ROWS.get(case.provider)
    dialect = dialect_of(case)
    kind = f'preset = "{row.name}"' if row else f'dialect = "{dialect}"'
    yield from _provider(case.name, kind, upstream, dialect)
    prices = {case.model: case.price, **case.helper_prices}
    for model, price in prices.items():
        first, *tiers = price.tiers
        yield f'[[prices]]\nprovider = "{case.name}"\nmodel = "{model}"'
        yield from _amounts(first.rates)
        for tier in tiers:
            amounts = ", ".join(_amounts(tier.rates))
            yield f"tier = {{ threshold = {tier.over_input_tokens}, {amounts} }}"


def _provider(
    name: str, kind: str, upstream: RunningSimulator, dialect: DialectName
) -> tuple[str, ...]:
    address = upstream.openai_url if dialect == "openai" else upstream.url
    return (f"[providers.{name}]", kind, f'base_url = "{address}"', 'api_key_env = "CORPUS_KEY"')


def _amounts(rates: Rates) -> list[str]:
    """USD for a million tokens, as the operator writes them."""
    names = ("input", "cached_input", "cache_write", "cache_write_long", "output")
    return [f'{name} = "{getattr(rates, name) / PICO:f}"' for name in names]

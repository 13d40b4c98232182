"""The lines of the checklist that no running gateway shows: tracing, and parts that are away."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ai_gateway.domain.money import ZERO
from ai_gateway.errors import BudgetUnavailable, GatewayUnavailable
from ai_gateway.services.checklist import Checklist, StepKind, is_complete
from ai_gateway.services.tracing_health import TRACING_OFF, TracingHealth
from ai_gateway.stores.redis_facts import RedisFacts
from ai_gateway.stores.reporting import ReportingStore, SetUpFacts

DONE = SetUpFacts(has_staff=True, has_key=True, has_call=True)
CONNECTED = TracingHealth(
    enabled=True, project="ai-gateway", endpoint="https://traces.test", connected=True, error=None
)


class Store(ReportingStore):
    """A database in any state."""

    def __init__(self, facts: SetUpFacts | None) -> None:
        self._facts = facts

    def set_up_facts(self) -> SetUpFacts:
        if self._facts is None:
            raise GatewayUnavailable
        return self._facts


def redis_facts(**changes: Any) -> RedisFacts:
    usual: dict[str, Any] = {
        "server": "Valkey 9.1",
        "took": timedelta(milliseconds=1),
        "used_bytes": 1,
        "max_bytes": 2,
        "policy": "noeviction",
        "up_for": timedelta(hours=1),
        "now": datetime(2026, 11, 25, tzinfo=UTC),
        "is_trusted": True,
        "outbox_entries": 0,
        "open_holds": 0,
        "held": ZERO,
    }
    return RedisFacts(**usual | changes)


def away() -> RedisFacts:
    raise BudgetUnavailable("connection")


def checklist(
    facts: SetUpFacts | None = DONE,
    redis: Any = redis_facts,
    *,
    providers: tuple[str, ...] = ("openai",),
    tracing: TracingHealth = TRACING_OFF,
) -> Checklist:
    return Checklist(Store(facts), redis, providers=providers, tracing=lambda: tracing)


def states(made: Checklist) -> dict[str, bool]:
    return {line.name: line.is_done for line in made.lines()}


def test_with_everything_set_up_each_line_is_done() -> None:
    lines = checklist(tracing=CONNECTED).lines()
    assert [line.name for line in lines if not line.is_done] == []


def test_tracing_is_optional_and_nothing_depends_on_it() -> None:
    lines = checklist().lines()
    left = [line for line in lines if not line.is_done]
    assert [(line.name, line.is_optional, line.is_required) for line in left] == [
        ("LangSmith key set", True, False),
        ("Tracing on", True, False),
    ]
    assert is_complete(lines)


@pytest.mark.parametrize(
    ("made", "missing"),
    [
        (checklist(None, away, providers=()), 5),
        (checklist(redis=away), 1),
        (checklist(redis=lambda: redis_facts(is_trusted=False)), 1),
        (checklist(redis=lambda: redis_facts(policy="allkeys-lru")), 1),
        (checklist(providers=()), 1),
        (checklist(SetUpFacts(has_staff=False, has_key=True, has_call=True)), 1),
        (checklist(SetUpFacts(has_staff=True, has_key=False, has_call=True)), 1),
        (checklist(SetUpFacts(has_staff=True, has_key=True, has_call=False)), 0),
    ],
    ids=["all away", "redis away", "cold", "evicts", "no provider", "staff", "key", "no call"],
)
def test_what_is_required_and_missing_makes_it_incomplete(made: Checklist, missing: int) -> None:
    lines = made.lines()
    assert sum(line.is_required and not line.is_done for line in lines) == missing
    assert is_complete(lines) is (missing == 0)


def test_a_call_that_waits_to_be_booked_is_made_and_not_shown() -> None:
    fresh = SetUpFacts(has_staff=True, has_key=True, has_call=False)
    found = states(checklist(fresh, lambda: redis_facts(outbox_entries=1)))
    assert (found["First call made"], found["Dashboard shows it"]) == (True, False)


def test_every_open_line_has_a_next_step() -> None:
    for line in checklist(None, away, providers=()).lines():
        assert line.next_step.words
        assert bool(line.next_step.text) is (line.next_step.kind is not StepKind.NOTE)

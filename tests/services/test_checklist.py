"""The lines of the checklist, also those that no running gateway shows: parts that are away."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest

from ai_gateway.domain.house_rules import (
    EVERYTHING,
    Pause,
    PauseTarget,
    provider_pause,
    user_pause,
)
from ai_gateway.domain.money import ZERO
from ai_gateway.errors import BudgetUnavailable, GatewayUnavailable
from ai_gateway.services.checklist import (
    LONGEST_SILENCE,
    Checklist,
    LineState,
    SetUpChoices,
    SetUpSources,
    StepKind,
    is_complete,
)
from ai_gateway.services.tracing_health import TRACING_OFF, TracingHealth
from ai_gateway.stores.redis_facts import RedisFacts
from ai_gateway.stores.reporting import SetUpFacts

NOW = datetime(2026, 11, 25, tzinfo=UTC)
DONE = SetUpFacts(has_staff=True, has_key=True, has_call=True)
CONNECTED = TracingHealth(
    enabled=True, project="ai-gateway", endpoint="https://traces.test", connected=True, error=None
)


PLAIN = SetUpChoices(("openai",))
TRACED = SetUpChoices(("openai",), has_langsmith_key=True)


def redis_facts(**changes: Any) -> RedisFacts:
    usual: dict[str, Any] = {
        "server": "Valkey 9.1",
        "took": timedelta(milliseconds=1),
        "used_bytes": 1,
        "max_bytes": 2,
        "policy": "noeviction",
        "up_for": timedelta(hours=1),
        "now": NOW,
        "is_trusted": True,
        "outbox_entries": 0,
        "open_holds": 0,
        "held": ZERO,
        "bookkeeper_at": NOW - LONGEST_SILENCE,
    }
    return RedisFacts(**usual | changes)


def redis_away() -> NoReturn:
    raise BudgetUnavailable("connection")


def sql_away() -> NoReturn:
    raise GatewayUnavailable


def unmade() -> NoReturn:
    raise AssertionError("tables that are not there are asked")


def checklist(
    *,
    steps: Callable[[], SetUpFacts] = lambda: DONE,
    redis: Callable[[], RedisFacts] = redis_facts,
    is_migrated: Callable[[], bool] = lambda: True,
    choices: SetUpChoices = PLAIN,
    tracing: TracingHealth = TRACING_OFF,
    pauses: Sequence[Pause] = (),
) -> Checklist:
    sources = SetUpSources(is_migrated, steps, redis, lambda: tracing, lambda: pauses)
    return Checklist(sources, choices)


def a_pause(target: PauseTarget, name: str = "") -> Pause:
    return Pause(target, name, "Keys leaked.", NOW, "ada")


def states(made: Checklist) -> dict[str, str]:
    return {line.name: line.state.value for line in made.lines()}


def test_with_everything_set_up_each_line_is_done() -> None:
    lines = checklist(choices=TRACED, tracing=CONNECTED).lines()
    assert [line.name for line in lines if not line.is_done] == []
    assert is_complete(lines)


def test_tracing_is_optional_and_nothing_depends_on_it() -> None:
    lines = checklist().lines()
    left = [(line.name, line.state) for line in lines if not line.is_done]
    assert left == [
        ("LangSmith key set", LineState.OPTIONAL),
        ("Tracing on", LineState.OPTIONAL),
    ]
    assert is_complete(lines)


@pytest.mark.parametrize(
    ("choices", "tracing", "steps"),
    [
        (PLAIN, TRACING_OFF, ["LANGSMITH_API_KEY", "LANGSMITH_API_KEY"]),
        (TRACED, TRACING_OFF, ["LANGSMITH_TRACING_ENABLED"]),
        (
            TRACED,
            replace(CONNECTED, connected=False, error="Forbidden"),
            ["/admin/ai-analytics/system/"],
        ),
    ],
    ids=["no key", "switched off", "not taken"],
)
def test_tracing_says_what_it_wants_next(
    choices: SetUpChoices, tracing: TracingHealth, steps: list[str]
) -> None:
    lines = checklist(choices=choices, tracing=tracing).lines()
    left = [line for line in lines if line.is_left]
    assert [line.next_step.text for line in left] == steps
    assert {line.state for line in left} == {LineState.OPTIONAL}


@pytest.mark.parametrize(
    ("made", "missing"),
    [
        (checklist(steps=sql_away, is_migrated=sql_away), "Database reachable"),
        (checklist(steps=unmade, is_migrated=lambda: False), "Database migrated"),
        (checklist(redis=redis_away), "Redis reachable"),
        (checklist(redis=lambda: redis_facts(policy="allkeys-lru")), "Redis keeps every counter"),
        (checklist(redis=lambda: redis_facts(is_trusted=False)), "Counters trusted"),
        (checklist(redis=lambda: redis_facts(bookkeeper_at=None)), "Bookkeeper alive"),
        (
            checklist(
                redis=lambda: redis_facts(
                    bookkeeper_at=NOW - LONGEST_SILENCE - timedelta(seconds=1)
                )
            ),
            "Bookkeeper alive",
        ),
        (checklist(choices=SetUpChoices(())), "Provider configured"),
        (
            checklist(steps=lambda: SetUpFacts(has_staff=False, has_key=True, has_call=True)),
            "Staff account made",
        ),
        (
            checklist(steps=lambda: SetUpFacts(has_staff=True, has_key=False, has_call=True)),
            "Virtual key made",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing_is_the_one_thing_to_mend_and_makes_it_incomplete(
    made: Checklist, missing: str
) -> None:
    lines = made.lines()
    assert [line.name for line in lines if line.state is LineState.MISSING] == [missing]
    assert not is_complete(lines)


@pytest.mark.parametrize(
    ("made", "unknown"),
    [
        (
            checklist(is_migrated=sql_away),
            {
                "Database migrated",
                "Staff account made",
                "Virtual key made",
                "First call made",
                "Dashboard shows it",
                "Calls not paused",
            },
        ),
        (
            checklist(redis=redis_away),
            {"Redis keeps every counter", "Bookkeeper alive", "Counters trusted"},
        ),
    ],
    ids=["database", "redis"],
)
def test_what_only_a_part_that_is_away_could_tell_is_unknown(
    made: Checklist, unknown: set[str]
) -> None:
    assert {name for name, state in states(made).items() if state == "unknown"} == unknown


def test_without_a_call_it_is_complete_but_the_last_two_lines_are_open() -> None:
    made = checklist(steps=lambda: SetUpFacts(has_staff=True, has_key=True, has_call=False))
    assert list(states(made).items())[-2:] == [
        ("First call made", "open"),
        ("Dashboard shows it", "open"),
    ]
    assert is_complete(made.lines())


def test_a_call_that_waits_to_be_booked_is_made_and_not_shown() -> None:
    fresh = SetUpFacts(has_staff=True, has_key=True, has_call=False)
    found = states(checklist(steps=lambda: fresh, redis=lambda: redis_facts(outbox_entries=1)))
    assert (found["First call made"], found["Dashboard shows it"]) == ("done", "open")


def test_while_everything_is_paused_no_call_can_be_served() -> None:
    lines = checklist(pauses=[a_pause(EVERYTHING), a_pause(user_pause(7), "ben")]).lines()
    (line,) = [line for line in lines if line.name == "Calls not paused"]
    assert line.state is LineState.MISSING
    assert "ada" in line.next_step.words
    assert "Keys leaked." in line.next_step.words
    assert line.next_step.text == "flask pause lift --everything"
    assert not is_complete(lines)


def test_a_pause_of_some_is_worth_knowing_and_no_more() -> None:
    some = [a_pause(provider_pause("openai"), "openai"), a_pause(user_pause(7), "ben")]
    lines = checklist(pauses=some).lines()
    (line,) = [line for line in lines if line.name == "Calls not paused"]
    assert line.is_done
    assert "openai, ben" in line.remark
    assert is_complete(lines)


def test_a_simulator_is_said_plainly() -> None:
    made = checklist(choices=SetUpChoices(("openai",), is_simulated=True))
    (line,) = [line for line in made.lines() if line.name == "Provider configured"]
    assert line.is_done
    assert line.remark.startswith("The simulator stands in for every provider")


def test_every_line_that_is_left_has_a_next_step() -> None:
    fresh = SetUpFacts(has_staff=False, has_key=False, has_call=False)
    poor = redis_facts(policy="allkeys-lru", is_trusted=False, bookkeeper_at=None)
    lines = [
        *checklist(is_migrated=sql_away, redis=redis_away).lines(),
        *checklist(is_migrated=lambda: False, redis=lambda: poor, choices=SetUpChoices(())).lines(),
        *checklist(steps=lambda: fresh, pauses=[a_pause(EVERYTHING)]).lines(),
    ]
    left = [line for line in lines if line.is_left]
    assert {line.name for line in left} == {line.name for line in lines}
    for line in left:
        assert line.next_step.words
        assert bool(line.next_step.text) is (line.next_step.kind is not StepKind.NOTE)

"""Sums of money and tokens that add up, and what budgets decided."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_gateway.domain.call import Operation, Outcome, PriceStatus
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.money import Money
from ai_gateway.domain.pricing import SEARCH_KIND, PriceRow, cost_of
from ai_gateway.domain.usage import Confidence, Usage, UsageStatus
from ai_gateway.errors import Refusal
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.observer import LocalCall, SettledCall
from tests.domain.facts import price_rows, usages
from tests.telemetry.facts import settled_call
from tests.telemetry.scrapes import happened, samples

TYPES = {
    *("input", "cached_input", "cache_write", "cache_write_long", "output", "reasoning"),
    *("audio_input", "audio_output", "image_input"),
}
"""Of tokens; of costs also `tool`."""

REFUSAL = Refusal("user", "day", 5, 4, 0, 2, datetime(2026, 11, 26, tzinfo=UTC))


def by_type(metrics: Metrics, name: str) -> dict[str, float]:
    totals: Counter[str] = Counter()
    for (*_, kind), value in happened(metrics, name).items():
        totals[kind] += value  # type: ignore[assignment]  # a Counter of floats
    return dict(totals)


def changed(fact: SettledCall, **finished: object) -> SettledCall:
    return replace(fact, finished=replace(fact.finished, **finished))  # type: ignore[arg-type]


def test_tokens_are_counted_in_disjoint_types(metrics: Metrics) -> None:
    metrics.settled(settled_call())
    assert by_type(metrics, "ai_gateway_tokens_total") == {
        "input": 60,
        "cached_input": 40,
        "output": 30,
        "reasoning": 20,
    }


def test_every_type_starts_at_zero_with_the_first_call(metrics: Metrics) -> None:
    metrics.settled(settled_call())
    assert {kind for *_, kind in samples(metrics, "ai_gateway_tokens_total")} == TYPES
    assert {kind for *_, kind in samples(metrics, "ai_gateway_cost_usd_total")} == {*TYPES, "tool"}


def test_cost_is_counted_in_dollars(metrics: Metrics) -> None:
    metrics.settled(settled_call())
    metrics.settled(settled_call())
    assert by_type(metrics, "ai_gateway_cost_usd_total") == pytest.approx(
        {"input": 120e-9, "cached_input": 80e-9, "output": 1000e-9}
    )


def test_what_has_no_type_of_its_own_is_put_to_its_parent(metrics: Metrics) -> None:
    usage = Usage(
        input_tokens=10,
        cached_input_tokens=4,
        audio_input_tokens=4,
        cached_audio_tokens=4,
        output_tokens=9,
        image_output_tokens=9,
        web_searches=2,
    )
    by_kind = {"cached_audio": Money(10**9), "image_output": Money(2 * 10**9)}
    metrics.settled(settled_call(usage=usage, by_kind=by_kind | {SEARCH_KIND: Money(3 * 10**9)}))
    assert by_type(metrics, "ai_gateway_tokens_total") == {
        "input": 6,
        "cached_input": 4,
        "output": 9,
    }
    assert by_type(metrics, "ai_gateway_cost_usd_total") == {
        "cached_input": 1,
        "output": 2,
        "tool": 3,
    }


@settings(max_examples=30)
@given(price_rows(), st.lists(usages(), max_size=3))
def test_metrics_add_up_to_what_was_settled(row: PriceRow, told: list[Usage]) -> None:
    metrics = Metrics()
    total = tokens = 0
    for usage in told:
        cost = cost_of(row, usage)
        fact = settled_call(usage=usage, by_kind=cost.by_kind())
        metrics.settled(changed(fact, cost=cost.total))
        total += cost.total
        tokens += usage.input_tokens + usage.output_tokens
    costs = by_type(metrics, "ai_gateway_cost_usd_total")
    counts = by_type(metrics, "ai_gateway_tokens_total")
    assert sum(costs.values()) == pytest.approx(total / 10**9, rel=1e-12)
    assert sum(counts.values()) == tokens
    assert set(counts) <= TYPES
    assert set(costs) <= TYPES | {"tool"}
    for name in ("settled_usd_total", "request_cost_usd_sum"):
        sums = happened(metrics, f"ai_gateway_{name}")
        assert sum(sums.values()) == pytest.approx(total / 10**9, rel=1e-12)
    spoken = happened(metrics, "ai_gateway_request_tokens_sum")
    assert sum(spoken.values()) == tokens


def test_money_is_counted_by_how_sure_it_is(metrics: Metrics) -> None:
    metrics.settled(changed(settled_call(), confidence=Confidence.COUNTED, cost=Money(10**9)))
    assert samples(metrics, "ai_gateway_settled_usd_total") == {
        ("reported",): 0,
        ("counted",): 1,
        ("estimated",): 0,
    }


@pytest.mark.parametrize(
    ("facts", "reasons"),
    [
        ({}, set()),
        ({"price_status": PriceStatus.UNPRICED}, {"missing_price"}),
        (
            {"price_status": PriceStatus.UNPRICED, "usage_status": UsageStatus.NOT_BILLED},
            set(),
        ),
        ({"usage_status": UsageStatus.MISSING, "cost": Money(0)}, {"missing_usage"}),
        ({"usage_status": UsageStatus.MISSING, "cost": Money(7)}, set()),
        ({"cost": Money(0)}, set()),
    ],
    ids=["priced", "no price", "failed unbilled", "no usage", "counted usage", "gratis"],
)
def test_call_that_costs_too_little_tells_why(
    metrics: Metrics, facts: dict[str, object], reasons: set[str]
) -> None:
    metrics.settled(changed(settled_call(), **facts))
    found = happened(metrics, "ai_gateway_unpriced_requests_total")
    assert {reason for *_, reason in found} == reasons


def test_hold_and_what_went_beyond_it_are_told(metrics: Metrics) -> None:
    held = replace(settled_call().call, held=Money(2 * 10**9))
    for cost in (Money(10**9), Money(5 * 10**9)):
        metrics.settled(replace(changed(settled_call(), cost=cost), call=held))
    assert samples(metrics, "ai_gateway_reserved_usd_total") == {(): 4}
    assert samples(metrics, "ai_gateway_reservation_overrun_usd_total") == {(): 3}


def test_budgets_that_let_a_call_in_are_counted_by_scope(metrics: Metrics) -> None:
    let_in = frozenset({Scope.INSTALLATION}), frozenset({Scope.USER})
    metrics.settled(replace(settled_call(), allowed_by=let_in[0], warned_by=let_in[1]))
    assert happened(metrics, "ai_gateway_budget_decisions_total") == {
        ("allow", "installation"): 1,
        ("warn", "user"): 1,
    }


def test_budget_that_refused_is_counted(metrics: Metrics) -> None:
    metrics.answered_locally(
        LocalCall("req_1", Operation.CHAT, Outcome.BUDGET_BLOCKED, "user_day", budget=REFUSAL)
    )
    assert happened(metrics, "ai_gateway_budget_decisions_total") == {("block", "user"): 1}


def test_call_that_no_budget_could_be_asked_about_is_counted(metrics: Metrics) -> None:
    for operation in (Operation.CHAT, Operation.MODELS):
        metrics.answered_locally(
            LocalCall("req_1", operation, Outcome.GATEWAY_ERROR, "unavailable")
        )
    assert happened(metrics, "ai_gateway_budget_decisions_total") == {
        ("fail_closed", "installation"): 1
    }


def test_every_decision_starts_at_zero(metrics: Metrics) -> None:
    assert len(samples(metrics, "ai_gateway_budget_decisions_total")) == 3 * 4

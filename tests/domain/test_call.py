"""The facts of a call: what counts as a failure, what is summed, and what is never printed."""

from datetime import UTC, datetime

import pytest

from ai_gateway.domain.call import (
    TALLY_FIELDS,
    USAGE_FIELDS,
    AskedCall,
    FinishedCall,
    Operation,
    Outcome,
    PriceStatus,
)
from ai_gateway.domain.clock import system_clock
from ai_gateway.domain.exchange import Answer, IncomingCall
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit, Scope
from ai_gateway.domain.usage import Confidence, Usage, UsageStatus
from ai_gateway.domain.virtual_key import KeyStatus

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def finished(
    outcome: Outcome = Outcome.SUCCESS,
    usage: Usage | None = None,
    price_status: PriceStatus = PriceStatus.PRICED,
) -> FinishedCall:
    return FinishedCall(
        outcome=outcome,
        usage=usage or Usage(),
        usage_status=UsageStatus.EXACT,
        confidence=Confidence.REPORTED,
        price_status=price_status,
        price_row="lab/our-model",
        served_model="our-model",
        raw_usage=None,
        latency_ms=17,
        ttft_ms=None,
        settled_at=NOW,
    )


def key_record(limits: tuple[Limit, ...] = (NO_LIMIT,) * len(BUDGETS)) -> KeyRecord:
    return KeyRecord(
        key_id="k0000001",
        subject_id=11,
        digest="d1" * 32,
        user_id=7,
        status=KeyStatus.ACTIVE,
        expires_at=None,
        allowed_models=(),
        limits=limits,
        version=1,
    )


@pytest.mark.parametrize(
    ("outcome", "is_failure"),
    [
        (Outcome.SUCCESS, False),
        (Outcome.CLIENT_ERROR, False),
        (Outcome.AUTH_ERROR, False),
        (Outcome.BUDGET_BLOCKED, False),
        (Outcome.CANCELLED, False),
        (Outcome.UPSTREAM_REJECTED, True),
        (Outcome.UPSTREAM_ERROR, True),
        (Outcome.UPSTREAM_TIMEOUT, True),
        (Outcome.GATEWAY_ERROR, True),
    ],
)
def test_failure_is_what_went_wrong_behind_the_caller(
    outcome: Outcome, *, is_failure: bool
) -> None:
    assert outcome.is_failure is is_failure
    assert finished(outcome).tally().failures == is_failure


@pytest.mark.parametrize("outcome", Outcome)
def test_call_counts_as_one_request_whatever_became_of_it(outcome: Outcome) -> None:
    tally = finished(outcome).tally()
    assert tally.requests == 1
    assert tally.cancellations == (outcome is Outcome.CANCELLED)


def test_tally_takes_every_count_of_the_usage() -> None:
    usage = Usage(**{name: number for number, name in enumerate(USAGE_FIELDS, start=1)})
    tally = finished(usage=usage).tally()
    assert [getattr(tally, name) for name in USAGE_FIELDS] == list(range(1, len(USAGE_FIELDS) + 1))
    assert tally.latency_ms == 17


def test_call_without_a_price_is_counted_as_such() -> None:
    assert finished(price_status=PriceStatus.UNPRICED).tally().unpriced == 1
    assert finished(price_status=PriceStatus.PRICED).tally().unpriced == 0


def test_every_count_of_the_usage_is_in_the_tally() -> None:
    assert set(USAGE_FIELDS) < set(TALLY_FIELDS)


def test_key_record_needs_a_limit_for_each_budget() -> None:
    with pytest.raises(ValueError, match="one limit for each budget"):
        key_record((NO_LIMIT,))


def test_key_names_the_subject_of_each_scope() -> None:
    assert key_record().subjects == {Scope.INSTALLATION: 0, Scope.USER: 7, Scope.KEY: 11}


def test_clock_tells_the_moment_in_utc() -> None:
    assert system_clock().tzinfo is UTC


def test_digest_of_a_key_is_not_printed() -> None:
    assert "d1d1" not in repr(key_record())


def test_credential_and_body_of_a_call_are_not_printed() -> None:
    incoming = IncomingCall(
        request_id="req_1",
        received_at=NOW,
        dialect="openai",
        operation=Operation.CHAT,
        credential="agw_hidden",
        body=b"a hidden prompt",
        headers={},
    )
    assert "hidden" not in repr(incoming)


def test_prompt_of_an_asked_call_is_not_printed() -> None:
    asked = AskedCall(
        operation=Operation.CHAT,
        body={"messages": "a hidden prompt"},
        model="our-model",
        stream=False,
        output_cap=None,
        choices=1,
        input_bytes=10,
        media_parts=0,
        service_tier=None,
        wants_usage=False,
        is_self_contained=True,
    )
    assert "hidden" not in repr(asked)


def test_body_of_an_answer_is_not_printed() -> None:
    assert "hidden" not in repr(Answer(200, {}, b"a hidden answer"))

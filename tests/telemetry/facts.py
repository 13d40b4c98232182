"""Facts that listeners are told."""

from dataclasses import replace
from datetime import UTC, datetime

from ai_gateway.domain.call import AdmittedCall, FinishedCall, Operation, Outcome, PriceStatus
from ai_gateway.domain.money import Money
from ai_gateway.domain.usage import Confidence, Usage, UsageStatus
from ai_gateway.telemetry.observer import SettledCall

NOW = datetime(2026, 11, 25, tzinfo=UTC)
USAGE = Usage(input_tokens=100, cached_input_tokens=40, output_tokens=50, reasoning_tokens=20)
CALL = AdmittedCall(
    request_id="req_1",
    user_id=7,
    key_id="k0000001",
    provider="openai",
    model_requested="gpt-4o-mini",
    model="gpt-4o-mini",
    operation=Operation.CHAT,
    stream=False,
    price_row="openai/gpt-4o-mini",
    price_book="test",
    accounts=(),
    held=Money(10_000),
    output_cap=None,
    admitted_at=NOW,
)
FINISHED = FinishedCall(
    outcome=Outcome.SUCCESS,
    usage=USAGE,
    usage_status=UsageStatus.EXACT,
    confidence=Confidence.REPORTED,
    price_status=PriceStatus.PRICED,
    price_row="openai/gpt-4o-mini",
    served_model="gpt-4o-mini",
    raw_usage=None,
    latency_ms=17,
    ttft_ms=None,
    settled_at=NOW,
    cost=Money(600),
)
BY_KIND = {"input": Money(60), "cached_input": Money(40), "output": Money(500)}


def settled_call(
    model: str = "gpt-4o-mini",
    model_requested: str = "gpt-4o-mini",
    served_model: str = "gpt-4o-mini",
    *,
    price_row: str = "openai/gpt-4o-mini",
    usage: Usage = USAGE,
    by_kind: dict[str, Money] | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    stream: bool = False,
) -> SettledCall:
    call = replace(
        CALL, model=model, model_requested=model_requested, price_row=price_row, stream=stream
    )
    finished = replace(FINISHED, usage=usage, served_model=served_model, outcome=outcome)
    return SettledCall(call, finished, BY_KIND if by_kind is None else by_kind)

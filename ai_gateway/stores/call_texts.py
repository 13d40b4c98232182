"""What Redis keeps of a call as text, for the ledger: facts, result and tally."""

from operator import attrgetter

from ai_gateway.domain.call import TALLY_FIELDS, AdmittedCall, FinishedCall, Tally
from ai_gateway.stores.workings import working_facts

MOST_EXACT = 2**53 - 1
"""Scripts count in doubles. What a provider tells beyond this is booked as this: no write of a
script may fail, since what it wrote before would stay."""

NO_TALLY = ",".join("0" for _ in TALLY_FIELDS)
"""The tally of an adjustment, which is no call."""

# Unlike `dataclasses.astuple` it copies nothing; this runs twice for each call.
_TALLY_VALUES = attrgetter(*TALLY_FIELDS)


def tally_text(tally: Tally) -> str:
    counts = _TALLY_VALUES(tally)
    if max(counts) > MOST_EXACT:
        counts = tuple(min(count, MOST_EXACT) for count in counts)
    return ",".join(map(str, counts))


def call_facts(call: AdmittedCall) -> dict[str, object]:
    """What the ledger says of a call however it ends; stored in its record at reserve."""
    return {
        "user_id": call.user_id,
        "key_id": call.key_id,
        "provider": call.provider,
        "model_requested": call.model_requested,
        "model": call.model,
        "operation": call.operation,
        "stream": call.stream,
        "price_row": call.price_row,
        "price_book": call.price_book,
        "held": call.held,
        "floor_rates": call.floor_rates,
        "admitted_at": call.admitted_at.isoformat(),
        "accounts": [account.name for account in call.accounts],
    }


def result_facts(finished: FinishedCall) -> dict[str, object]:
    """What is known only at the end; the cost and the counts go as differences beside it."""
    return {
        "outcome": finished.outcome,
        "usage_status": finished.usage_status,
        "confidence": finished.confidence,
        "price_status": finished.price_status,
        "price_row": finished.price_row,
        "served_model": finished.served_model,
        "raw_usage": finished.raw_usage,
        "ttft_ms": finished.ttft_ms,
        "overhead_us": finished.overhead_us,
        "provider_id": finished.provider_id,
        "working": working_facts(finished.working) if finished.working else None,
        "settled_at": finished.settled_at.isoformat(),
    }

"""One finished call as one finished run of LangSmith.

Tokens and our own cost stand in the metadata, so that they are there without any content. No key,
no header and no body of an error goes in.
"""

import hashlib
import traceback
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ai_gateway.domain.call import Operation, Outcome
from ai_gateway.domain.money import NANO_PER_USD
from ai_gateway.errors import CallEnded, UpstreamError
from ai_gateway.telemetry.observer import SettledCall
from ai_gateway.telemetry.tracing_answer import Json, shown_body, shown_stream

OUTPUT_KINDS = frozenset({"output", "reasoning", "audio_output", "image_output"})


def run_id(request_id: str, admitted_at: datetime) -> UUID:
    """The run of a call: a UUID version 7 that anybody can tell from the call's own name and time.

    So a run that is sent twice is stored once, and a page can link to it without asking.
    """
    milliseconds = round(admitted_at.timestamp() * 1000)
    chance = int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:10])
    number = milliseconds << 80 | chance
    number = number & ~(0xF << 76) | 7 << 76
    return UUID(int=number & ~(0b11 << 62) | 0b10 << 62)


def run_of(fact: SettledCall, project: str) -> Json:
    """What is sent for a call."""
    call, finished, story = fact.call, fact.finished, fact.story
    identity = run_id(call.request_id, call.admitted_at)
    started = call.admitted_at.astimezone(UTC)
    ended = max(started, finished.settled_at.astimezone(UTC))
    start_time = _iso(started)
    run: Json = {
        "id": identity,
        "trace_id": str(identity),
        "dotted_order": f"{_compact(start_time)}Z{identity}",
        "session_name": project,
        "name": f"{call.provider}/{call.model}",
        "run_type": "embedding" if call.operation is Operation.EMBEDDINGS else "llm",
        "start_time": start_time,
        "end_time": _iso(ended),
        # Even when empty: a run without any might pass for one that has not ended.
        "inputs": shown_body(story.request),
        "outputs": (shown_stream if call.stream else shown_body)(story.answer),
        "tags": _tags(fact),
        "extra": {"metadata": _metadata(fact)},
    }
    if finished.ttft_ms is not None:
        first = started + timedelta(milliseconds=finished.ttft_ms)
        run["events"] = [{"name": "new_token", "time": _iso(first)}]
    if finished.outcome is not Outcome.SUCCESS:
        run["error"] = _error(fact)
    return run


def _iso(at: datetime) -> str:
    """Always as long, so that texts compare as times do."""
    return at.isoformat(timespec="microseconds")


def _compact(time: str) -> str:
    """A time as it stands in an order: `strftime` takes far longer."""
    return time.removesuffix("+00:00").replace("-", "").replace(":", "").replace(".", "")


def _tags(fact: SettledCall) -> list[str]:
    call = fact.call
    tags = [call.provider, call.operation.value, fact.finished.outcome.value]
    return [*tags, "stream"] if call.stream else tags


def _metadata(fact: SettledCall) -> Json:
    call, finished = fact.call, fact.finished
    metadata: Json = {
        "ls_provider": call.provider,
        "ls_model_name": finished.served_model,
        "usage_metadata": _usage(fact),
        "user_id": str(call.user_id),
        "key_id": call.key_id,
        "gateway_request_id": call.request_id,
        "route": call.operation.value,
        "model_requested": call.model_requested,
        "outcome": finished.outcome.value,
        "confidence": finished.confidence.value,
        "price_status": finished.price_status.value,
    }
    if call.output_cap is not None:
        metadata["ls_max_tokens"] = call.output_cap
    if finished.outcome is Outcome.CANCELLED:
        metadata["ls_is_error_interrupt"] = True
    return metadata


def _usage(fact: SettledCall) -> Json:
    usage, cost = fact.finished.usage, fact.finished.cost
    output_cost = sum(amount for kind, amount in fact.cost_by_kind.items() if kind in OUTPUT_KINDS)
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_token_details": {
            "cache_read": usage.cached_input_tokens,
            "cache_creation": usage.cache_write_tokens + usage.cache_write_long_tokens,
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_long_tokens,
            "audio": usage.audio_input_tokens,
            "image": usage.image_input_tokens,
        },
        "output_token_details": {
            "reasoning": usage.reasoning_tokens,
            "audio": usage.audio_output_tokens,
            "image": usage.image_output_tokens,
        },
        # Searches and the like count as input, so that the two add up to the whole.
        "input_cost": _usd(cost - output_cost),
        "output_cost": _usd(output_cost),
        "total_cost": _usd(cost),
    }


def _usd(nano_usd: int) -> float:
    """JSON has no exact decimals; nine of them survive in a float up to a million USD."""
    return nano_usd / NANO_PER_USD


def _error(fact: SettledCall) -> str:
    outcome, failure = fact.finished.outcome, fact.story.failure
    if failure is None:
        words = (
            "the client left"
            if outcome is Outcome.CANCELLED
            else "the provider says that it failed"
        )
        return f"{outcome.value}: {words}"
    name = type(failure).__name__
    if not isinstance(failure, UpstreamError):
        # Its text may quote what a client sent, so only where it happened is told.
        frames = "".join(traceback.format_tb(failure.__traceback__))
        return f"{outcome.value}: {name}\n{frames}"
    details = [str(getattr(failure, "status", None) or "")]
    if isinstance(failure, CallEnded):
        details.append(failure.reason)
    told = " ".join(detail for detail in details if detail)
    return f"{outcome.value}: {name}" + (f" ({told})" if told else "")

"""The outcome of a request that ended in an error, and its reason, both from closed sets."""

from dataclasses import dataclass

from ai_gateway.domain.call import AskedCall, Operation, Outcome, UpstreamResult
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.usage import Reading
from ai_gateway.errors import (
    BudgetExhausted,
    CallEnded,
    CallsPaused,
    GatewayError,
    GatewayUnavailable,
    InvalidKey,
    ModelNotAllowed,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefusedCredential,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ai_gateway.telemetry.observer import LocalCall


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asked for what, as far as it was read before the request was refused."""

    record: KeyRecord | None = None
    asked: AskedCall | None = None


NOBODY = Asker()

_RESULTS: dict[type[BaseException], UpstreamResult] = {
    UpstreamTimeout: UpstreamResult.TIMEOUT,
    UpstreamRateLimited: UpstreamResult.HTTP_429,
    UpstreamRejected: UpstreamResult.HTTP_4XX,
    UpstreamRefusedCredential: UpstreamResult.HTTP_4XX,
}
OVERLOADED = (503, 529)
"""By these statuses a provider says that it has too much to do."""


def upstream_outcome(error: UpstreamError) -> Outcome:
    match error:
        case CallEnded():
            return Outcome.GATEWAY_ERROR
        case UpstreamRejected() | UpstreamRateLimited():
            return Outcome.UPSTREAM_REJECTED
        case UpstreamTimeout():
            return Outcome.UPSTREAM_TIMEOUT
        case _:
            return Outcome.UPSTREAM_ERROR


def upstream_result(failure: BaseException | None, reading: Reading) -> UpstreamResult:
    """What the provider did; it is not to blame where the gateway or the client ended the call."""
    if failure is None and not reading.is_readable:
        return UpstreamResult.INVALID_RESPONSE
    if failure is None:
        return UpstreamResult.HTTP_5XX if reading.failed else UpstreamResult.OK
    if isinstance(failure, UpstreamUnavailable):
        return _unavailable(failure)
    return _RESULTS.get(type(failure), UpstreamResult.OK)


def _unavailable(error: UpstreamUnavailable) -> UpstreamResult:
    if not error.was_sent:
        return UpstreamResult.CONNECT
    if error.status is None:
        return UpstreamResult.INVALID_RESPONSE if error.is_invalid else UpstreamResult.STREAM_CUT
    if error.status in OVERLOADED:
        return UpstreamResult.OVERLOADED
    return UpstreamResult.HTTP_5XX if error.status >= 500 else UpstreamResult.INVALID_RESPONSE


def outcome_of(error: GatewayError) -> tuple[Outcome, str]:
    """The outcome of a request for which nothing was held, and its reason."""
    match error:
        case InvalidKey(reason=reason):
            return Outcome.AUTH_ERROR, reason
        case ModelNotAllowed() | CallsPaused():
            return Outcome.AUTH_ERROR, "paused" if isinstance(error, CallsPaused) else "forbidden"
        case BudgetExhausted(refusal=refusal):
            return Outcome.BUDGET_BLOCKED, f"{refusal.scope}_{refusal.window}"
        case GatewayUnavailable():
            return Outcome.GATEWAY_ERROR, "unavailable"
        case UpstreamError():
            return upstream_outcome(error), type(error).__name__
        case _:
            return Outcome.CLIENT_ERROR, type(error).__name__


def refused_call(
    request_id: str, operation: Operation, error: GatewayError, who: Asker = NOBODY
) -> LocalCall:
    """What observers are told of a request that goes no further."""
    outcome, reason = outcome_of(error)
    record, asked = who.record, who.asked
    return LocalCall(
        request_id,
        operation,
        outcome,
        reason,
        stream=asked.stream if asked else False,
        user_id=record.user_id if record else None,
        key_id=record.key_id if record else "",
        model=asked.model if asked else "",
        budget=error.refusal if isinstance(error, BudgetExhausted) else None,
    )

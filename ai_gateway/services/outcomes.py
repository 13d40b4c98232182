"""The outcome of a request that ended in an error, and its reason, both from closed sets."""

from ai_gateway.domain.call import Outcome
from ai_gateway.errors import (
    BudgetExhausted,
    GatewayError,
    GatewayUnavailable,
    InvalidKey,
    ModelNotAllowed,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)


def upstream_outcome(error: UpstreamError) -> Outcome:
    match error:
        case UpstreamRejected() | UpstreamRateLimited():
            return Outcome.UPSTREAM_REJECTED
        case UpstreamTimeout():
            return Outcome.UPSTREAM_TIMEOUT
        case _:
            return Outcome.UPSTREAM_ERROR


def outcome_of(error: GatewayError) -> tuple[Outcome, str]:
    """The outcome of a request for which nothing was held, and its reason."""
    match error:
        case InvalidKey(reason=reason):
            return Outcome.AUTH_ERROR, reason
        case ModelNotAllowed():
            return Outcome.AUTH_ERROR, "forbidden"
        case BudgetExhausted(refusal=refusal):
            return Outcome.BUDGET_BLOCKED, f"{refusal.scope}_{refusal.window}"
        case GatewayUnavailable():
            return Outcome.GATEWAY_ERROR, "unavailable"
        case UpstreamError():
            return upstream_outcome(error), type(error).__name__
        case _:
            return Outcome.CLIENT_ERROR, type(error).__name__

"""What an error tells the caller: what was wrong and what to do, in words.

No message shows an upstream body, a host, a key or SQL.
"""

from collections.abc import Callable

import orjson

from ai_gateway.domain import money
from ai_gateway.domain.idempotency import LOST
from ai_gateway.domain.money import Money
from ai_gateway.errors import (
    IN_ADDRESS,
    BudgetExhausted,
    CallAlreadyMade,
    CallEnded,
    CallsPaused,
    CallStillRunning,
    GatewayError,
    InvalidKey,
    ModelNotAllowed,
    ModelNotFound,
    ModelUnpriced,
    RepeatedCall,
    RequestTooLarge,
    ResponseNotFound,
    ServicePaused,
)


def said(text: str) -> Callable[[GatewayError], str]:
    return lambda _: text


def invalid_key(error: GatewayError) -> str:
    """The same for every fault of a key; only where it was sent is told."""
    if isinstance(error, InvalidKey) and error.reason == IN_ADDRESS:
        return (
            "A key in the address is not taken, and whatever logs addresses knows it now: revoke "
            "it, and send another as `Authorization: Bearer` or `x-api-key`."
        )
    return "Incorrect API key provided. Send a virtual key of this gateway (agw_...)."


def model_not_found(error: GatewayError) -> str:
    if not isinstance(error, ModelNotFound):
        return ""
    near = f" Did you mean {' or '.join(error.near)}?" if error.near else ""
    return f"The model `{error.model}` does not exist or is not served at this address.{near}"


def model_not_allowed(error: GatewayError) -> str:
    model = error.model if isinstance(error, ModelNotAllowed) else ""
    return f"Your key is not allowed to use the model `{model}`."


def model_unpriced(error: GatewayError) -> str:
    if not isinstance(error, ModelUnpriced):
        return ""
    if error.is_deployment:
        name = orjson.dumps(error.model).decode()
        return (
            f"Nobody has said which model the deployment `{error.model}` is, so that its price is "
            "unknown, and your key has a budget, so the call was not sent. The operator can say it "
            f'in the file of AI_GATEWAY_CONFIG:\n[azure.deployments]\n{name} = "gpt-4o-mini"'
        )
    return (
        f"The model `{error.model}` of {error.provider} has no known price, and your key has a "
        "budget, so the call was not sent. The operator can add the price (USD per million tokens) "
        f'to the file of AI_GATEWAY_CONFIG:\n[[prices]]\nprovider = "{error.provider}"\n'
        f'model = {orjson.dumps(error.model).decode()}\ninput = "..."\noutput = "..."'
    )


def response_not_found(error: GatewayError) -> str:
    name = error.response_id if isinstance(error, ResponseNotFound) else ""
    return f"There is no response {name!a} of yours, or it is more than 30 days old."


def budget_exhausted(error: GatewayError) -> str:
    if not isinstance(error, BudgetExhausted):
        return ""
    refusal = error.refusal
    return (
        f"Budget exceeded: the {_budget_name(refusal.scope, refusal.window)} budget has no room "
        f"for this call. Limit ${_usd(refusal.limit)}, spent ${_usd(refusal.spent)}, "
        f"held by running calls ${_usd(refusal.held)}, needed at most ${_usd(refusal.needed)}. "
        f"It resets at {refusal.resets_at.isoformat().replace('+00:00', 'Z')}."
    )


def repeated(error: GatewayError) -> str:
    """A repeat hears of the first call; its answer is not kept."""
    if not isinstance(error, RepeatedCall):
        return ""
    first = f"The call {error.request_id} came before with this Idempotency-Key"
    if isinstance(error, CallStillRunning):
        return f"{first} and is still running, so that this repeat was not sent."
    if isinstance(error, CallAlreadyMade):
        ended = f"ended as `{error.outcome}`"
        if error.outcome == LOST:
            ended = "ended in a way that is not known: the worker that had it was lost"
        return (
            f"{first} and {ended}, so that this repeat was not sent. Answers are not kept here: "
            "to make the call once more, send another Idempotency-Key."
        )
    return (
        f"{first} and was another request, so that this one was not sent: send another "
        "Idempotency-Key with another address or body."
    )


def paused(error: GatewayError) -> str:
    """The reason is the staff's own text."""
    if not isinstance(error, CallsPaused):
        return ""
    whose = "Your calls"
    if isinstance(error, ServicePaused):
        whose = f"Calls to {error.provider}" if error.provider else "All calls"
    since = error.since.isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"{whose} are paused since {since}, so that nothing was sent. Reason: {error.reason}"


def _budget_name(scope: str, window: str) -> str:
    owner = {"installation": "installation's", "user": "user's", "key": "key's"}[scope]
    return f"{owner} {'daily' if window == 'day' else 'monthly'}"


def _usd(amount: int) -> str:
    return money.usd_text(Money(amount))


def too_large(error: GatewayError) -> str:
    limit = error.limit_bytes if isinstance(error, RequestTooLarge) else 0
    return f"The request body is larger than {limit // 2**20} MB."


def compressed(_: GatewayError) -> str:
    return "A compressed request body is not supported: send it without Content-Encoding."


def call_ended(error: GatewayError) -> str:
    reason = error.reason if isinstance(error, CallEnded) else ""
    return {
        "revoked": "The call was ended: the key was revoked.",
        "no_room": "The call was ended: its budget was used up while the gateway stood still.",
        "stopping": "The call was ended: the gateway is restarting.",
    }.get(reason, "The call was ended by the gateway.")

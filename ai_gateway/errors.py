"""The one tree of what can go wrong in a call. It carries facts and knows no HTTP.

`web/error_bodies.py` turns each class into a status and a body in the client's dialect. A message
says what was wrong and what to do; it never shows an upstream body, a host, a key or SQL.
"""

from dataclasses import dataclass
from datetime import datetime


class GatewayError(Exception):
    """The root: everything that the gateway raises on purpose."""


class CallerError(GatewayError):
    """The caller can mend it."""


class UpstreamError(GatewayError):
    """The provider is at fault, or the way to it."""

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.provider = provider


class GatewayUnavailable(GatewayError):
    """A store of ours is away; the call was not sent, so it may be repeated."""


class InvalidRequest(CallerError):
    """A field of the request is missing or wrong. `param` names it."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class RequestTooLarge(CallerError):
    """The body has more bytes than a route takes."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


class UnsupportedEncoding(CallerError):
    """The body is compressed; only identity is taken."""


IN_ADDRESS = "in_address"
"""Why a key is refused that came in the address, where it has leaked."""


class InvalidKey(CallerError):
    """No virtual key, or one that is unknown, revoked or expired: one and the same answer.

    `reason` is for metrics alone and comes from a closed set.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ModelNotAllowed(CallerError):
    """The key may not use this model."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class ModelNotFound(CallerError):
    """No enabled provider has a model of that name. `near` are names that look like it."""

    def __init__(self, model: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(model)
        self.model = model
        self.near = near


class ModelUnpriced(CallerError):
    """A key with a budget asked for a model whose price nobody knows.

    `is_deployment`: nobody even said which model it is.
    """

    def __init__(self, provider: str, model: str, *, is_deployment: bool = False) -> None:
        super().__init__(provider, model)
        self.provider = provider
        self.model = model
        self.is_deployment = is_deployment


class ResponseNotFound(CallerError):
    """No response of that name was given to this user, as far as is remembered."""

    def __init__(self, response_id: str) -> None:
        super().__init__(response_id)
        self.response_id = response_id


class NotPermitted(CallerError):
    """Whoever asks is known, but may not do this. The message says what would be needed."""


class UserNotFound(CallerError):
    """No user has this id."""

    def __init__(self, user_id: int) -> None:
        super().__init__(user_id)
        self.user_id = user_id


class KeyNotFound(CallerError):
    """No virtual key has this id, or it is of somebody whose keys are not for whoever asks."""

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id)
        self.key_id = key_id


class RequestNotFound(CallerError):
    """No request has this id, or it is of somebody whose requests are not for whoever asks."""

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id)
        self.request_id = request_id


class ChangedMeanwhile(CallerError):
    """What was to be changed is not any more as whoever asks saw it; nothing was changed."""


class AddressNotFound(CallerError):
    """Nothing is served at this address."""


class WrongMethod(CallerError):
    """The address is served, but not with this method."""


class LimitExceeded(CallerError):
    """A limit of ours refused the call."""


@dataclass(frozen=True, slots=True)
class NeededHold:
    """How what was needed came about, in pico-USD: all input, and each token of output.

    `output_tokens` is the least that would have been let in, `asked_tokens` the most that was asked
    for, and `affordable_tokens` how many there was room for.
    """

    input_pico_usd: int
    output_pico_usd: int
    output_tokens: int
    asked_tokens: int
    affordable_tokens: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The budget that refused, with its figures in nano-USD, and the moment it starts afresh."""

    scope: str
    window: str
    limit: int
    spent: int
    held: int
    needed: int
    resets_at: datetime
    hold: NeededHold | None = None


class RepeatedCall(CallerError):
    """The `Idempotency-Key` of the call is that of an earlier one, `request_id`; it is not sent."""

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id)
        self.request_id = request_id


class CallStillRunning(RepeatedCall):
    """The first call runs."""


class CallAlreadyMade(RepeatedCall):
    """The first call has ended, with an `outcome`; its answer is not kept."""

    def __init__(self, request_id: str, outcome: str) -> None:
        super().__init__(request_id)
        self.outcome = outcome


class IdempotencyKeyReused(RepeatedCall):
    """The first call was another request."""


class BudgetExhausted(LimitExceeded):
    """The worst case of the call does not fit into a budget."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class CallsPaused(GatewayError):
    """Staff paused such calls, since a moment and for a reason that callers read."""

    def __init__(self, reason: str, since: datetime) -> None:
        super().__init__(reason, since)
        self.reason = reason
        self.since = since


class UserPaused(CallsPaused):
    """The calls of this user are paused."""


class ServicePaused(CallsPaused):
    """All calls are paused, or those to one `provider`."""

    def __init__(self, reason: str, since: datetime, *, provider: str = "") -> None:
        super().__init__(reason, since)
        self.provider = provider


class UpstreamRejected(UpstreamError):
    """The provider answered 4xx; `status` and `body` are its own and go on to the client."""

    def __init__(self, provider: str, status: int, body: bytes) -> None:
        super().__init__(provider)
        self.status = status
        self.body = body


class UpstreamRefusedCredential(UpstreamError):
    """The provider answered 401 or 403: our credential is at fault, not the caller's."""


class UpstreamRateLimited(UpstreamError):
    """The provider answered 429. `retry_after` is its own header, in seconds, or None."""

    def __init__(self, provider: str, retry_after: int | None) -> None:
        super().__init__(provider)
        self.retry_after = retry_after


class UpstreamUnavailable(UpstreamError):
    """No connection, or the provider answered 5xx, or something that is no answer.

    `was_sent` tells whether the provider may have seen the call; with a `status` it refused the
    call by an error of its own and bills nothing. `is_invalid` tells that what came was no answer,
    and not broken off.
    """

    def __init__(
        self,
        provider: str,
        *,
        was_sent: bool,
        status: int | None = None,
        is_invalid: bool = False,
    ) -> None:
        super().__init__(provider)
        self.was_sent = was_sent
        self.status = status
        self.is_invalid = is_invalid


class CallEnded(UpstreamError):
    """The gateway itself ended a running call. `reason` comes from a closed set."""

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(provider)
        self.reason = reason


class UpstreamTimeout(UpstreamError):
    """The provider did not answer in time; it may have done the work all the same."""


class BudgetUnavailable(GatewayUnavailable):
    """Redis is away or not ready, so that no budget can be checked. `kind` is for metrics."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

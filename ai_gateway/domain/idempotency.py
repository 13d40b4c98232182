"""A client's `Idempotency-Key`: what is kept of it, and what a repeat is told.

Neither its value nor the body of the call is kept: digests tell whether both are the same again.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b

from ai_gateway.domain.exchange import IncomingCall
from ai_gateway.errors import (
    CallAlreadyMade,
    CallStillRunning,
    IdempotencyKeyReused,
    InvalidRequest,
    RepeatedCall,
)

HEADER = "Idempotency-Key"

LOST = "lost"
"""The outcome of a first call whose worker was gone: it may have been sent, and how it ended is not
known."""

DIGEST_BYTES = 16

_VALUE = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Digests: `name` of the key's value and its virtual key, `fingerprint` of the request."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class FirstCall:
    """The call that came first under an idempotency key; without an `outcome` it still runs."""

    request_id: str
    is_same_request: bool
    outcome: str


def idempotency_key(incoming: IncomingCall, key_id: str) -> IdempotencyKey | None:
    """What the client sent, for this virtual key alone; raises `InvalidRequest`."""
    value = incoming.idempotency_key
    if value is None:
        return None
    if not _VALUE.fullmatch(value):
        raise InvalidRequest(f"{HEADER}: 1 to 255 visible ASCII characters.", HEADER)
    # Keyed by the value, so that nobody who reads a digest can try bodies out.
    digest = blake2b(digest_size=DIGEST_BYTES, key=blake2b(value.encode()).digest())
    address = incoming.address
    digest.update(
        repr(
            (incoming.dialect, incoming.operation.value, address.deployment, address.query)
        ).encode()
    )
    digest.update(incoming.body)
    name = blake2b(f"{key_id} {value}".encode(), digest_size=DIGEST_BYTES)
    return IdempotencyKey(name.hexdigest(), digest.hexdigest())


def repeated(first: FirstCall) -> RepeatedCall:
    """Why a call is not sent that came after `first` under the same idempotency key."""
    if not first.is_same_request:
        return IdempotencyKeyReused(first.request_id)
    if not first.outcome:
        return CallStillRunning(first.request_id)
    return CallAlreadyMade(first.request_id, first.outcome)

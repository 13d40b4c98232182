"""What HTTP hands to the services and takes back: one incoming call, one answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ai_gateway.domain.call import PLAIN_ADDRESS, Address, DialectName, Operation


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A request of a client. `headers` holds only what may go on, by lower-case name.

    `idempotency_key` is the client's own and stays here: the provider knows one credential for all
    users, so that one user's key could meet another's there.
    """

    request_id: str
    received_at: datetime
    dialect: DialectName
    operation: Operation
    credential: str | None = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    address: Address = PLAIN_ADDRESS
    idempotency_key: str | None = field(default=None, repr=False)


class ByteStream(Protocol):
    """The rest of an answer. `close` has to be called however the answer ends."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client: a whole body, or a stream of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes | ByteStream = field(repr=False)

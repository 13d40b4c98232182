"""A cluster as this gateway uses it: all keys share a slot, and that slot's primary is its Redis.

So a cluster needs no client of its own kind: connections find the primary when they are made and
again when it is another (docs/decisions/0010).
"""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

import redis
from redis.exceptions import ClusterDownError, MovedError, RedisError

Address = tuple[str, int]
Open = Callable[[Address, float], redis.Connection]

MOST_NODES_ASKED = 3
"""How many nodes may hang before a search is given up within the time of the client."""


class SlotPrimary:
    """Where the primary of one slot is; found by asking any node that is in touch with most others.

    Shared by the connections of a pool. Two that search at once find the same.
    """

    def __init__(self, slot: int, nodes: Iterable[Address], *, seconds: float, open_: Open) -> None:
        self._slot = slot
        self._named = tuple(nodes)
        self._met: tuple[Address, ...] = ()
        self._seconds = seconds
        self._open = open_
        self._address: Address | None = None

    def address(self) -> Address:
        """Raises an error of the library where no node tells."""
        address = self._address or self._found()
        self._address = address
        return address

    def moved(self, host: str, port: int) -> None:
        """A node said where the slot is now; it knows that before the others have heard of it."""
        self._address = (host, port) if host else None

    def forget(self) -> None:
        """Whoever was there does not serve: search when it is asked for next."""
        self._address = None

    def _found(self) -> Address:
        give_up_at = monotonic() + self._seconds
        failure: RedisError | None = None
        for node in dict.fromkeys((*self._met, *self._named)):
            if monotonic() > give_up_at:
                break
            try:
                return self._told_by(node)
            except RedisError as error:
                failure = error
        raise failure or redis.exceptions.ConnectionError("no node of the cluster answers")

    def _told_by(self, node: Address) -> Address:
        connection = self._open(node, self._seconds / MOST_NODES_ASKED)
        try:
            # One that is cut off from the others still takes itself for the primary.
            state = _ask(connection, "CLUSTER", "INFO")
            if b"cluster_state:ok" not in state:
                raise ClusterDownError("a node is not in touch with the others")
            slots = _ask(connection, "CLUSTER", "SLOTS")
        finally:
            connection.disconnect()  # type: ignore[no-untyped-call]  # the library's gap
        self._met = tuple(_address(one, node) for _, _, *members in slots for one in members)
        for first, last, primary, *_ in slots:
            if first <= self._slot <= last:
                return _address(primary, node)
        raise ClusterDownError("nobody has the slot of the gateway's keys")


def _ask(connection: redis.Connection, *command: str) -> Any:
    connection.send_command(*command)  # type: ignore[no-untyped-call]  # the library's gap
    return connection.read_response(disable_decoding=True)


def _address(member: list[Any], told_by: Address) -> Address:
    """The address in an answer; a node may leave out a host that is its own."""
    host, port = member[0], member[1]
    return (host.decode() if host and host != b"?" else told_by[0], int(port))


class _ToPrimary:
    """Goes before a class of connections, whose address it decides."""

    def __init__(self, *, primary: SlotPrimary, **options: Any) -> None:
        super().__init__(**options)
        self._primary = primary

    def _connect(self) -> Any:
        self.host, self.port = self._primary.address()
        try:
            return super()._connect()  # type: ignore[misc]  # that of the connection
        except OSError:
            self._primary.forget()
            raise

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)  # type: ignore[misc]  # likewise
        except MovedError as error:
            self._primary.moved(error.host, error.port)
            raise
        except (
            redis.exceptions.ConnectionError,
            redis.exceptions.TimeoutError,
            ClusterDownError,
        ):
            self._primary.forget()
            raise


class ConnectionToPrimary(_ToPrimary, redis.Connection):
    """Leads to the primary of the slot."""


class SSLConnectionToPrimary(_ToPrimary, redis.SSLConnection):
    """The same by TLS."""


def cluster_options(
    slot: int, nodes: Iterable[Address], options: Mapping[str, Any], *, seconds: float
) -> dict[str, Any]:
    """The options of a pool whose connections lead to the primary of a slot.

    `options` are those of a pool for any one of the nodes.
    """
    common = {name: value for name, value in options.items() if name not in {"host", "port", "db"}}
    kind = common.pop("connection_class", redis.Connection)

    def open_(node: Address, patience: float) -> redis.Connection:
        host, port = node
        times = {"socket_timeout": patience, "socket_connect_timeout": patience}
        connection: redis.Connection = kind(**common | times, host=host, port=port)
        connection.connect()  # type: ignore[no-untyped-call]  # the library's gap
        return connection

    leading = SSLConnectionToPrimary if kind is redis.SSLConnection else ConnectionToPrimary
    primary = SlotPrimary(slot, nodes, seconds=seconds, open_=open_)
    return {**common, "connection_class": leading, "primary": primary}

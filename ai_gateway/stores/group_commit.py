"""Group commit: the scripts of many calls go to Redis together, over one connection.

Who finds the connection free sends all that has gathered in one piece and hands each caller the
reply to its own script; the others wait for theirs. Nobody waits longer than the time limit. Where
the connection breaks, exactly what had been sent over it fails; nothing is sent again that may have
run.
"""

# redis-py leaves its connections without types.
# mypy: disable-error-code="no-untyped-call"

from collections import deque
from collections.abc import Sequence
from threading import Lock
from time import monotonic
from typing import Any, cast

import hiredis
import redis
from redis.commands.core import Script

from ai_gateway.stores.redis_client import NOT_THE_PRIMARY

QUIET_SECONDS = 0.01
"""After such a pause it is looked whether the server has closed the connection meanwhile."""

MOST_BYTES = 2**20
"""Of scripts that are sent at once; whoever waits beyond it goes with the next."""


class _Ask:
    """A packed command under way, with its reply or what became of it instead."""

    __slots__ = ("deadline", "error", "gate", "is_answered", "packed", "reply")

    def __init__(self, packed: bytes, deadline: float) -> None:
        self.packed = packed
        self.deadline = deadline
        self.is_answered = False
        self.reply: Any = None
        self.error: redis.RedisError | None = None
        self.gate = Lock()
        self.gate.acquire()

    def wait(self) -> None:
        """Until it is answered, or its caller has to lead, or its time is over."""
        self.gate.acquire(timeout=max(0.0, self.deadline - monotonic()))

    def answer(self, reply: Any, error: redis.RedisError | None = None) -> None:
        self.reply, self.error, self.is_answered = reply, error, True
        self.gate.release()

    def result(self) -> Any:
        if not self.is_answered:
            raise redis.exceptions.TimeoutError("Redis did not answer in time")
        if self.error is not None:
            raise self.error
        return self.reply


class GroupCommit:
    """Runs scripts for all calls of a worker; one caller at a time leads the others' too."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._seconds: float = self._pool.connection_kwargs["socket_timeout"]
        self._connection: redis.Connection | None = None
        self._used_at = 0.0
        self._waiting: deque[_Ask] = deque()
        self._leader: _Ask | None = None
        self._lock = Lock()

    def __len__(self) -> int:
        """How many scripts wait to be sent."""
        return len(self._waiting)

    @property
    def is_busy(self) -> bool:
        """Whether scripts are under way."""
        return self._leader is not None

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """The reply of a script; raises what redis-py raises."""
        command = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
        try:
            return self._run(command, script)
        except NOT_THE_PRIMARY:
            # It did not run, and the connection that is opened next leads to the primary.
            return self._run(command, script)

    def _run(self, command: Sequence[str | int], script: Script) -> Any:
        try:
            return self._ask(command)
        except redis.exceptions.NoScriptError:
            # It did not run: this Redis has not seen it yet.
            self._ask(("SCRIPT", "LOAD", str(script.script)))
            return self._ask(command)

    def _ask(self, command: Sequence[str | int]) -> Any:
        # Without redis-py's look at each argument: the scripts get words and numbers alone.
        packed = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]  # of any length
        ask = _Ask(packed, monotonic() + self._seconds)
        try:
            if not self._leads(ask):
                ask.wait()
            while self._leader is ask and not ask.is_answered:
                self._exchange(ask.deadline)
        finally:
            self._leave(ask)
        return ask.result()

    def _make_connection(self) -> redis.Connection:
        with self._lock:
            if self._connection is None:
                self._connection = cast(redis.Connection, self._pool.make_connection())
            return self._connection

    def _leads(self, ask: _Ask) -> bool:
        with self._lock:
            self._waiting.append(ask)
            if self._leader is None:
                self._leader = ask
            return self._leader is ask

    def _leave(self, ask: _Ask) -> None:
        """Wait no longer; a leader hands on to the one that came last, since it has most time."""
        with self._lock:
            if not ask.is_answered and ask in self._waiting:
                self._waiting.remove(ask)
            if self._leader is ask:
                self._leader = self._waiting[-1] if self._waiting else None
                if self._leader is not None:
                    self._leader.gate.release()

    def _exchange(self, deadline: float) -> None:
        """Send what waits, oldest first, and let each know its reply as it comes."""
        connection = self._ready_connection(deadline)
        asks = self._gathered()
        try:
            connection.send_packed_command([b"".join([ask.packed for ask in asks])])
            for ask in asks:
                self._read(connection, ask, deadline)
        except BaseException as error:
            connection.disconnect()
            told = error if isinstance(error, redis.RedisError) else _broken_off()
            for ask in asks:
                if not ask.is_answered:
                    ask.answer(None, told)
            if told is not error:
                raise
        if any(isinstance(ask.error, NOT_THE_PRIMARY) for ask in asks):
            connection.disconnect()
        self._used_at = monotonic()

    def _ready_connection(self, deadline: float) -> redis.Connection:
        """Raises before anything is sent, so that only whoever leads has failed."""
        connection = self._make_connection()
        if connection.is_connected and self._used_at + QUIET_SECONDS < monotonic():
            _close_if_stale(connection)
        if not connection.is_connected:
            connection.socket_timeout = connection.socket_connect_timeout = _left(deadline)
            connection.connect()
        return connection

    def _gathered(self) -> list[_Ask]:
        with self._lock:
            asks = [self._waiting.popleft()]
            size = len(asks[0].packed)
            while self._waiting and size < MOST_BYTES:
                asks.append(self._waiting.popleft())
                size += len(asks[-1].packed)
            return asks

    def _read(self, connection: redis.Connection, ask: _Ask, deadline: float) -> None:
        try:
            ask.answer(connection.read_response(timeout=_left(deadline)))
        except redis.ResponseError as error:
            ask.answer(None, error)


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise redis.exceptions.TimeoutError("Redis did not answer in time")
    return left


def _broken_off() -> redis.RedisError:
    """What the others are told when the greenlet of whoever leads is killed."""
    return redis.exceptions.ConnectionError("the exchange was broken off")


def _close_if_stale(connection: redis.Connection) -> None:
    """Nothing can have come on it, unless the server closed it or something went wrong."""
    try:
        is_stale = connection.can_read()
    except redis.exceptions.ConnectionError:
        is_stale = True
    if is_stale:
        connection.disconnect()

"""What one call costs in round trips: one to be admitted, one to be settled, and no SQL.

Counted by the server: its MONITOR tells every command, and which of them a script of ours sent.
The application runs in this process, and nobody else uses that server, so that all of it is the
worker's.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from ai_gateway.stores import redis_keys
from ai_gateway.stores.tables import db
from simulator.testing import running_simulator
from tests.gateway_app import ANTHROPIC, OPENAI, GatewayApp, opened_app
from tests.redis_servers import RedisServer, running_redis
from tests.sql_database import counted_statements

CALLS = 20
SCRIPTS = Path(__file__).parents[2] / "ai_gateway" / "stores" / "scripts"
EPOCH_IS_ASKED = ("HGET", redis_keys.META, "epoch")
PRICES_ARE_ASKED = ("GET", redis_keys.CONFIG_VERSION)
SERVER_IS_ASKED = ("INFO", "server")
BY_ITSELF = (EPOCH_IS_ASKED, SERVER_IS_ASKED, PRICES_ARE_ASKED)
"""What a worker asks by itself, each once a second, however many calls run."""

Command = tuple[str, ...]

REFUSED = ("XADD", redis_keys.REFUSALS)
"""What was refused is written down a second later, by a thread of its own."""

GREETING, NAMING = ("HELLO", "3"), ("CLIENT", "SETINFO")
"""What redis-py says on a new connection, which stays in the pool from then on."""

THREADS_BESIDE_CALLS = 2
"""One asks for the epoch, one writes down refusals. A call that comes while they hold the pooled
connections opens one more, once."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came to the server within a span of time."""

    commands: list[Command]
    seconds: float

    @property
    def by_itself(self) -> int:
        return max(self.commands.count(question) for question in BY_ITSELF)

    @property
    def opened(self) -> int:
        """How many connections were opened."""
        return self.commands.count(GREETING)

    @property
    def for_calls(self) -> list[str]:
        """All the rest, scripts by their names; what nobody knows counts as well."""
        rest = [one for one in self.commands if not _is_beside_calls(one)]
        return [_script_of(command) or " ".join(command) for command in rest]


class Watch:
    """Hears every command that a client sends; what scripts do inside the server is left out."""

    def __init__(self, server: RedisServer) -> None:
        self._stack = ExitStack()
        listener, self._client = (
            self._stack.enter_context(redis.Redis.from_url(server.url, decode_responses=True))
            for _ in range(2)
        )
        self._monitor: Any = self._stack.enter_context(listener.monitor())
        self._marks = 0
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def take(self) -> Seen:
        """What came since the last time; a mark of our own tells where that ends."""
        self._marks += 1
        mark = ("ECHO", f"mark-{self._marks}")
        self._client.execute_command(*mark)
        commands = list(iter(self._next_of_a_client, mark))
        begun, self._begun = self._begun, time.monotonic()
        return Seen(commands, self._begun - begun)

    def _next_of_a_client(self) -> Command:
        while True:
            told = self._monitor.next_command()
            if told["client_type"] != "lua":
                return tuple(told["command"].split(" "))


def _is_beside_calls(command: Command) -> bool:
    return command in (*BY_ITSELF, GREETING) or command[:2] in (REFUSED, NAMING)


def _script_of(command: Command) -> str | None:
    names = {sha1(path.read_bytes()).hexdigest(): path.stem for path in SCRIPTS.glob("*.lua")}  # noqa: S324 - the server's own name for a script
    return names.get(command[1]) if command[0] == "EVALSHA" else None


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def app(server: RedisServer) -> Iterator[GatewayApp]:
    with running_simulator() as simulator, opened_app(server, simulator) as opened:
        yield opened


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_call_is_two_round_trips_and_no_sql(
    app: GatewayApp, server: RedisServer, path: str, *, stream: bool
) -> None:
    key = app.make_key(daily="5", monthly="50")
    assert b"Hello" in app.call(key, path, stream=stream).data  # scripts, connections, the key
    with app.app.app_context(), counted_statements(db.engine) as statements, Watch(server) as watch:
        for _ in range(CALLS):
            answer = app.call(key, path, stream=stream)
            assert (answer.status_code, b"Hello" in answer.data) == (200, True)
        seen = watch.take()
    assert seen.for_calls == ["reserve", "settle"] * CALLS
    assert seen.by_itself <= seen.seconds + 1
    assert seen.opened <= THREADS_BESIDE_CALLS
    assert statements == []


def test_refused_call_is_one_round_trip(app: GatewayApp, server: RedisServer) -> None:
    key = app.make_key(daily="0")
    assert app.call(key).status_code == 429
    with Watch(server) as watch:
        assert app.call(key).status_code == 429
        assert watch.take().for_calls == ["reserve"]


def test_worker_asks_nothing_else_by_itself(app: GatewayApp, server: RedisServer) -> None:
    """With a call behind it, so that what looks after running calls is awake."""
    assert app.call(app.make_key()).status_code == 200
    with Watch(server) as watch:
        seen = watch.take()
        while not seen.by_itself:
            assert seen.for_calls == []
            seen = watch.take()
        assert seen.for_calls == []


def test_count_sees_what_is_not_of_a_call(app: GatewayApp, server: RedisServer) -> None:
    """The list of models asks for a fresh copy of the key, and pages of the API ask SQL."""
    key = app.make_key()
    with app.app.app_context(), counted_statements(db.engine) as statements, Watch(server) as watch:
        app.client.get("/v1/models", headers={"authorization": f"Bearer {key}"})
        # The key and the house rules, sent together.
        assert [command.split(" ")[0] for command in watch.take().for_calls] == ["HMGET", "HMGET"]
        assert not statements
        app.flask("user", "list")
        assert statements

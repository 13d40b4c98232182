"""A user of the gateway with one key, who knows no more than a client does, and what was booked."""

import http.client
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from simulator.calls import CallFacts
from tests.running import RunningGateway, wait_for

Dialect = Literal["openai", "anthropic"]
Headers = Mapping[str, str]

DIALECTS: tuple[Dialect, ...] = ("openai", "anthropic")
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-5-5"}

# Nano-USD for a token, from the vendors' price pages: input, read from the cache, written for five
# minutes, written for an hour, output.
PRICES = {
    "gpt-4o-mini": (150, 75, 150, 150, 600),
    "claude-haiku-5-5": (100, 10, 125, 200, 500),
    "gpt-3.5-turbo-instruct": (1500, 1500, 1500, 1500, 2000),
    "text-embedding-3-small": (20, 20, 20, 20, 0),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Headers
    body: bytes
    seconds: float = 0.0

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]

    def error(self, dialect: Dialect) -> dict[str, Any]:
        """The error of a body that has its dialect's shape, and that alone."""
        body = self.json()
        if dialect == "openai":
            assert body.keys() == {"error"}, body
            assert body["error"].keys() == {"message", "type", "param", "code"}, body
        else:
            assert body.keys() == {"type", "error", "request_id"}, body
            assert body["type"] == "error", body
            assert body["error"].keys() == {"type", "message"}, body
        error: dict[str, Any] = body["error"]
        return error


class Stream:
    """An open answer whose bytes are read as they come."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._response = connection.getresponse()
        self.status = self._response.status
        self.headers = {name.lower(): text for name, text in self._response.getheaders()}
        self.received = b""
        self.is_broken = False

    def read_some(self) -> bytes:
        part = self._response.read1(65536)
        self.received += part
        return part

    def read_until(self, words: bytes) -> None:
        while words not in self.received:
            assert self.read_some(), self.received

    def read_all(self) -> bytes:
        """All that comes; a connection that breaks is an end as well, and is marked."""
        try:
            while self.read_some():
                pass
        except (http.client.HTTPException, OSError):
            self.is_broken = True
        return self.received

    def leave(self) -> None:
        """Go away, as a client does that was stopped."""
        self._response.close()
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Caller:
    """One user with one key."""

    gateway: RunningGateway
    key: str
    name: str = ""
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", f"(asked by {self.key_id})")

    @property
    def key_id(self) -> str:
        return self.key.split("_")[1]

    @property
    def user_id(self) -> int:
        query = "SELECT user_id FROM virtual_key WHERE key_id = ?"
        return int(self.gateway.rows(query, self.key_id)[0]["user_id"])

    def credential(self, dialect: Dialect) -> dict[str, str]:
        if dialect == "openai":
            return {"authorization": f"Bearer {self.key}"}
        return {"x-api-key": self.key, "anthropic-version": "2023-06-01"}

    def body(self, dialect: Dialect, prompt: str = "", **more: object) -> dict[str, Any]:
        """A request whose prompt tells the simulator's log who asked."""
        cap = {} if dialect == "openai" else {"max_tokens": 300}
        message = {"role": "user", "content": f"{prompt} {self.tag}"}
        return {"model": MODELS[dialect], "messages": [message], **cap, **more}

    def ask(self, dialect: Dialect, prompt: str = "", **more: object) -> Answer:
        """Send one call and wait for its whole answer."""
        body = self.body(dialect, prompt, **more)
        return self.post(dialect, json.dumps(body).encode())

    def post(
        self,
        dialect: Dialect,
        body: object,
        headers: Headers | None = None,
        *,
        path: str | None = None,
        method: str = "POST",
    ) -> Answer:
        """Send anything; `headers` stand before those of the dialect."""
        sent = {"content-type": "application/json", **self.credential(dialect), **(headers or {})}
        chosen = {name: text for name, text in sent.items() if text}
        return request(self.gateway, method, path or PATHS[dialect], body, chosen)

    def stream(self, dialect: Dialect, prompt: str = "", **more: object) -> Stream:
        """Open a streamed call; the caller has to read or leave it."""
        connection = self.send(dialect, prompt, stream=True, **more)
        return Stream(connection)

    def send(self, dialect: Dialect, prompt: str, **more: object) -> http.client.HTTPConnection:
        """Send a call and do not wait for anything."""
        return self.send_from("", dialect, prompt, **more)

    def send_from(
        self, host: str, dialect: Dialect, prompt: str, **more: object
    ) -> http.client.HTTPConnection:
        """The same from an address of its own."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.gateway.port, timeout=60, source_address=(host, 0)
        )
        body = json.dumps(self.body(dialect, prompt, **more))
        headers = {"content-type": "application/json", **self.credential(dialect)}
        connection.request("POST", PATHS[dialect], body, headers)
        return connection

    def simulated(self) -> list[CallFacts]:
        """The calls of this user as the simulator saw them, after all have ended."""
        calls = self.gateway.simulator.calls()
        return [call for call in calls if self.tag in json.dumps(call["request_body"])]

    def billed(self) -> int:
        """What the simulator billed for this user, in nano-USD, by the prices above."""
        return sum(price_of(call) for call in self.simulated())

    def account(self, scope: str = "user", window: str = "day") -> tuple[int, int]:
        """Spent and held, as enforcement has them."""
        subject = {"user": self.user_id, "installation": 0}.get(scope)
        if subject is None:
            query = "SELECT id FROM virtual_key WHERE key_id = ?"
            subject = self.gateway.rows(query, self.key_id)[0]["id"]
        moment = self.gateway.now().strftime("%Y-%m-%d" if window == "day" else "%Y-%m")
        with self.gateway.store() as store:
            found = store.hmget(f"{{agw}}:account:{scope}:{subject}:{moment}", "spent", "held")
        spent, held = (int(value or 0) for value in found)
        return spent, held

    def entries(self, calls: int) -> list[dict[str, Any]]:
        """The ledger entries, once nothing is held and so many calls are booked."""
        wait_for(lambda: self.account()[1] == 0, "nothing is held any more")
        entries = self.gateway.booked(self.key, calls)
        assert len({entry["request_id"] for entry in entries}) == calls, entries
        return entries

    def booked_once(self, calls: int) -> list[dict[str, Any]]:
        """As `entries`, and each call has one entry alone, and the counters have their sum."""
        entries = self.entries(calls)
        assert len(entries) == calls, entries
        self.assert_counters_are(sum(entry["cost_nano_usd"] for entry in entries))
        return entries

    def assert_counters_are(self, spent: int) -> None:
        for scope in ("user", "key"):
            for window in ("day", "month"):
                assert self.account(scope, window) == (spent, 0), (scope, window)

    def has_lease(self, request_id: str) -> bool:
        with self.gateway.store() as store:
            return store.zscore("{agw}:leases", request_id) is not None


def request(
    gateway: RunningGateway,
    method: str,
    path: str,
    body: Any = None,
    headers: Headers | None = None,
) -> Answer:
    """One request by a connection of its own; a list as body is sent in chunks."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    started = time.monotonic()
    try:
        chunked = isinstance(body, list)
        # A server that refuses a large body may hang up before it has read all of it.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(
                method, path, iter(body) if isinstance(body, list) else body, dict(headers or {}),
                encode_chunked=chunked,
            )  # fmt: skip
        response = connection.getresponse()
        received = response.read()
    finally:
        connection.close()
    named = {name.lower(): text for name, text in response.getheaders()}
    return Answer(response.status, named, received, time.monotonic() - started)


def price_of(call: CallFacts) -> int:
    """What a provider would bill for one call, in nano-USD."""
    usage = call["usage"]
    if usage is None:
        return 0
    counts = [
        usage["cached_input_tokens"],
        usage["cache_write_5m"],
        usage["cache_write_1h"],
        usage["output_tokens"],
    ]
    fresh = usage["input_tokens"] - sum(counts[:3])
    prices = PRICES[str(call["model"])]
    return sum(count * price for count, price in zip([fresh, *counts], prices, strict=True))


def usd(nano_usd: int) -> str:
    """An amount as the header has it: nine decimals."""
    return f"{nano_usd // 10**9}.{nano_usd % 10**9:09}"


def metric(gateway: RunningGateway, name: str, **labels: str) -> float:
    """The sum of all samples of a metric that have these labels."""
    text = request(gateway, "GET", "/metrics").body.decode()
    samples = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    return sum(float(value) for found, value in samples if wanted <= set(found.split(",")))


@contextmanager
def left_open(*streams: Stream) -> Iterator[None]:
    """Close streams in the end, whatever happens."""
    try:
        yield
    finally:
        for stream in streams:
            stream.leave()

"""A server on loopback that gives lists of prices, good ones and bad ones, and the good list."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from genai_prices import data_snapshot
from genai_prices.types import ModelPrice


@dataclass
class Feed:
    """What the server answers; a `hang` is over when it is set."""

    url: str = ""
    body: bytes = b"[]"
    status: int = 200
    location: str = ""
    hang: Event | None = None
    asked: int = 0


@contextmanager
def running_feed() -> Iterator[Feed]:
    feed = Feed()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            feed.asked += 1
            self.send_response(feed.status)
            if feed.location:
                self.send_header("Location", feed.location)
            self.send_header("Content-Length", str(len(feed.body)))
            self.end_headers()
            half = len(feed.body) // 2
            self.wfile.write(feed.body[:half])
            if feed.hang is not None:
                self.wfile.flush()
                feed.hang.wait(20)
            self.wfile.write(feed.body[half:])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    feed.url = f"http://127.0.0.1:{server.server_port}/data.json"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield feed
    finally:
        if feed.hang is not None:
            feed.hang.set()
        server.shutdown()
        thread.join()
        server.server_close()


@cache
def _plain() -> str:
    providers = data_snapshot.get_snapshot().providers
    return json.dumps([_raw(dataclasses.replace(one, extractors=None)) for one in providers])


def release_list() -> list[dict[str, Any]]:
    """The list of the release in the form in which it is published, to be altered at will."""
    found: list[dict[str, Any]] = json.loads(_plain())
    return found


def model_of(providers: list[dict[str, Any]], provider: str, model: str) -> dict[str, Any]:
    """One model of such a list."""
    models = next(one["models"] for one in providers if one["id"] == provider)
    found: dict[str, Any] = next(one for one in models if one["id"] == model)
    return found


def _raw(value: Any) -> Any:
    if isinstance(value, ModelPrice):
        return {name: _raw(one) for name, one in vars(value).items() if one is not None}
    if dataclasses.is_dataclass(value):
        fields = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name.rstrip("_"): _raw(one) for name, one in fields if one is not None}
    if isinstance(value, list | tuple):
        return [_raw(one) for one in value]
    if isinstance(value, dict):
        return {name: _raw(one) for name, one in value.items()}
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | time) else value

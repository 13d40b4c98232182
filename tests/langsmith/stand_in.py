"""A stand-in for LangSmith on loopback: it takes what the real SDK sends and checks it as strictly.

By hand: `python -m tests.langsmith.stand_in`, then LANGSMITH_ENDPOINT with the address it prints.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

KEY = "lsv2_sk_of_the_stand_in"
TENANT = "0b8a1f2e-1111-4222-8333-944455556666"
HANG_SECONDS = 60


class Refused(Exception):
    """The body is not what LangSmith takes."""


@dataclass
class Script:
    """How it answers: a status, or one of `hang` and `drop`; the first `only` requests alone."""

    status: int = 202
    mode: str = "answer"
    only: int | None = None
    retry_after: str | None = None
    bad_model: str | None = None


@dataclass
class StandIn:
    """What it was sent, and how it is to answer."""

    key: str = KEY
    script: Script = field(default_factory=Script)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    projects: set[str] = field(default_factory=set)
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, **script: Any) -> None:
        """Answer so from now on, and let go of what hangs."""
        with self._lock:
            self.script = Script(**script)
            self.released.set()
            self.released = threading.Event()

    def next_script(self, path: str) -> Script:
        with self._lock:
            self.requests[path] += 1
            if self.script.only is None:
                return self.script
            if self.script.only == 0:
                return Script()
            self.script.only -= 1
            return self.script

    def take(self, body: bytes, content_type: str) -> None:
        """Store the runs of a body, or none of them."""
        runs = _runs_of(body, content_type)
        for run in runs.values():
            _check(run)
            if self.script.bad_model and self.script.bad_model in run["name"]:
                raise Refused("a run that it does not like")
        with self._lock:
            self.bodies.append(body)
            self.runs.update(runs)
            self.projects |= {run["session_name"] for run in runs.values()}


def _runs_of(body: bytes, content_type: str) -> dict[str, dict[str, Any]]:
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    runs: dict[str, dict[str, Any]] = {}
    for part in message.iter_parts():
        payload = part.get_payload(decode=True)
        disposition = part["content-disposition"].params
        name = str(disposition["name"])
        told = part["content-type"].params.get("length") or part["content-length"]
        if not isinstance(payload, bytes) or int(told) != len(payload):
            raise Refused(f"length of {name}")
        event, identity, *fields = name.split(".")
        if event != "post":
            raise Refused(f"{event}: runs come finished")
        run = runs.setdefault(identity, {})
        if fields:
            run[fields[0]] = json.loads(payload)
        else:
            run.update(json.loads(payload))
    return runs


def _check(run: dict[str, Any]) -> None:
    """What the real one refuses: see the design's section on identity."""
    identity = str(UUID(run["id"]))
    if run["trace_id"] != identity or run["dotted_order"].count(".") or run.get("parent_run_id"):
        raise Refused("no root")
    if not run["dotted_order"].endswith("Z" + identity) or UUID(identity).version != 7:
        raise Refused("dotted_order")
    if not run["session_name"] or run["end_time"] < run["start_time"]:
        raise Refused("session or times")
    if "session_id" in run:
        raise Refused("session_id")


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        path = self._path()
        if not self._may_go_on(path):
            return
        if path != "/runs/multipart":
            self._reply(404, {"detail": path})
            return
        try:
            self.stand_in.take(body, self.headers["content-type"])
        except Refused as error:
            self._reply(422, {"detail": str(error)})
            return
        self._reply(202, {})

    def do_GET(self) -> None:
        path = self._path()
        if path == "/info":
            self._reply(200, {"version": "stand-in"})
            return
        if not self._may_go_on(path):
            return
        if path != "/api/v2/sessions":
            self._reply(404, {"detail": path})
            return
        wanted = parse_qs(urlsplit(self.path).query)["name"][0]
        found = [wanted] if wanted in self.stand_in.projects else []
        items = [
            {"id": str(uuid5(NAMESPACE_URL, name)), "name": name, "tenant_id": TENANT}
            for name in found
        ]
        self._reply(200, {"items": items, "next_cursor": None})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _path(self) -> str:
        path = urlsplit(self.path).path
        return path if "/v2/" in path else path.removeprefix("/api/v1")

    def _may_go_on(self, path: str) -> bool:
        script, released = self.stand_in.next_script(path), self.stand_in.released
        if self.headers["x-api-key"] != self.stand_in.key:
            self._reply(401, {"detail": "Invalid token"})
            return False
        if script.mode == "hang":
            released.wait(HANG_SECONDS)
        if script.mode in {"hang", "drop"}:
            self.close_connection = True
            return False
        if script.status >= 400:
            self._reply(script.status, {"detail": "scripted"}, script.retry_after)
            return False
        return True

    def _reply(self, status: int, body: dict[str, Any], retry_after: str | None = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        if retry_after is not None:
            self.send_header("retry-after", retry_after)
        self.end_headers()
        self.wfile.write(text)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


@contextmanager
def running(port: int = 0, stand_in: StandIn | None = None) -> Iterator[StandIn]:
    """Serve on a free port, or on one that was used before."""
    stand_in = stand_in or StandIn()
    server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"stand_in": stand_in}))
    stand_in.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with running() as serving:
        print(f"LANGSMITH_ENDPOINT={serving.url} LANGSMITH_API_KEY={serving.key}", flush=True)
        threading.Event().wait()

"""A stand-in for the application: what the supervisor needs of it, and a log of what it did.

Variables `STANDIN_...` choose faults; STANDIN_LOG names the file of the log.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import prometheus_client.values
import redis
from flask import Flask, Response, request
from prometheus_client import Gauge

from ai_gateway.settings import read_settings
from ai_gateway.stores.embedded import redis_url

settings = read_settings(os.environ)
app = Flask(__name__)
if settings.metrics_dir:
    prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue(  # type: ignore[no-untyped-call] # it has no types
        process_identifier=lambda: settings.worker_slot
    )
live = Gauge("standin_live", "Is one file of a worker.", multiprocess_mode="livesum")
closing = threading.Event()


def note(line: str) -> None:
    with Path(os.environ["STANDIN_LOG"]).open("a") as file:
        file.write(line + "\n")


def store() -> "redis.Redis":
    return redis.Redis.from_url(settings.redis_url or redis_url(settings.data_dir))


def end_streams() -> None:
    note(f"streams ended {os.getpid()}")
    closing.set()


app.extensions["ai_gateway_shutdown"] = end_streams


@app.get("/health/ready")
def ready() -> tuple[str, int]:
    if "STANDIN_NEVER_READY" in os.environ:
        return "the ledger\nis away", 503
    if "STANDIN_NO_VALKEY" in os.environ:
        return "ready", 200
    try:
        store().ping()
    except redis.RedisError:
        return "no Valkey", 503
    return "ready", 200


@app.get("/slot")
def slot() -> str:
    return f"{settings.worker_slot} {os.getpid()}"


@app.get("/simulator-url")
def simulator_url() -> str:
    return str(settings.simulator_url)


@app.get("/stream")
def stream() -> Response:
    """Send chunks until the streams are ended, or as many as the query says."""
    most = request.args.get("chunks", type=int) or sys.maxsize

    def chunks() -> Iterator[bytes]:
        for _ in range(most):
            if closing.is_set():
                return
            yield b"chunk\n"
            time.sleep(0.05)
        yield b"last\n"

    return Response(chunks())


@app.cli.command("setup")
def setup() -> None:
    note("setup")
    if "STANDIN_SETUP_FAILS" in os.environ:
        sys.exit("Traceback or not\nValueError: the database is of a later version")
    if "STANDIN_SETUP_HANGS" in os.environ:
        signal.pause()
    if not store().set("standin", "kept", nx=True):
        return
    sys.stdout.write("Staff user admin, password 1234\n")


@app.cli.command("demo-data")
def demo_data() -> None:
    note("demo-data")
    sys.stderr.write("half of it is made\n")
    if "STANDIN_DEMO_FAILS" in os.environ:
        sys.exit("there are users already")
    sys.stdout.write(f"The demo has 2 users, by {os.environ['AI_GATEWAY_CONFIG']}\n")


@app.cli.command("bookkeeper")
def bookkeeper() -> None:
    signal.signal(signal.SIGTERM, stop_bookkeeper)
    note("bookkeeper started")
    while True:
        signal.pause()


def stop_bookkeeper(number: int, frame: object) -> None:
    note(f"bookkeeper stopped, valkey answers {store().ping()}")
    if "STANDIN_BOOKKEEPER_STAYS" not in os.environ:
        sys.exit(0)


if "STANDIN_WORKER_FAILS" in os.environ and "gunicorn" in sys.argv[0]:
    sys.stderr.write("ai-gateway: the worker says why\n")
    sys.exit(2)

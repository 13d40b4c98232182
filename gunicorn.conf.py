"""How gunicorn serves the application: `gunicorn -c gunicorn.conf.py app:app`.

The names at the left margin are gunicorn's own settings and hooks.
"""

# gevent and gunicorn ship no types.
# mypy: disable-error-code="no-untyped-call"

import os
import resource
import signal
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from queue import Empty

# The class itself and before gevent puts its own in its place: see `hang_up_idle`.
from socket import SHUT_RD, socket
from typing import Any

import gevent
from dotenv import load_dotenv
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.workers.ggevent import GeventWorker

from ai_gateway.serve.collector import spare_what_is_loaded
from ai_gateway.settings import WORKER_CONNECTIONS, Settings, SettingsError, read_settings

STREAMS_END_BEFORE_GRACE_SECONDS = 8
IDLE_AT_THE_END_SECONDS = 1.0
LOOK_EVERY_SECONDS = 0.25


class GatewayWorker(GeventWorker):
    """A gevent worker that has a slot and knows which of its connections wait for a request."""

    slot = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # Who has waited longest is the first.
        self._idle_since: dict[socket, float] = {}

    def timeout_ctx(self) -> nullcontext[None]:
        """Leave the idle to `hang_up_idle`, which needs no timer for each request."""
        return nullcontext()

    def handle(self, listener: socket, client: socket, addr: object) -> None:
        self._idle_since[client] = time.monotonic()
        try:
            super().handle(listener, client, addr)
        finally:
            self._idle_since.pop(client, None)

    def handle_request(
        self, listener_name: object, req: object, sock: socket, addr: object
    ) -> None:
        self._idle_since.pop(sock, None)
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            self._idle_since[sock] = time.monotonic()

    def hang_up_idle(self, seconds: float) -> None:
        """Have connections end that have waited so long for the whole head of a request.

        They read the end of the stream, as if the client had hung up. A shutdown by gevent's
        socket would raise in the greenlet that reads.
        """
        before = time.monotonic() - seconds
        for client, since in list(self._idle_since.items()):
            if since > before:
                break
            with suppress(OSError), socket(fileno=os.dup(client.fileno())) as same:
                same.shutdown(SHUT_RD)

    def begin(self) -> None:
        """Have the application know the published prices, and look after its calls."""
        start = self._extensions().get("ai_gateway_start")
        if start is not None:
            start()

    def _extensions(self) -> dict[str, Any]:
        found: dict[str, Any] = getattr(getattr(self, "wsgi", None), "extensions", {})
        return found

    def end_streams(self) -> None:
        """Have the application end and settle what is open, in less than the time before a kill."""
        shutdown = self._extensions().get("ai_gateway_shutdown")
        if shutdown is not None:
            with gevent.Timeout(STREAMS_END_BEFORE_GRACE_SECONDS, exception=False):
                shutdown()


def _settings() -> Settings:
    load_dotenv(Path(__file__).with_name(".env"))
    try:
        return read_settings(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"ai-gateway: {error}\n")
        sys.exit(2)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


chosen = _settings()
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(chosen.data_dir / "metrics"))

bind = f"[{chosen.host}]:{chosen.port}" if ":" in chosen.host else f"{chosen.host}:{chosen.port}"
workers = chosen.web_concurrency or _cores()
worker_class = GatewayWorker
worker_connections = WORKER_CONNECTIONS
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - not on a disk
timeout = 60
graceful_timeout = 30
keepalive = 75
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
# Those alone say whether a browser speaks TLS: else `Secure` and HSTS would be anybody's to decide.
forwarded_allow_ips = ",".join(map(str, chosen.trusted_proxies))
accesslog = None
loglevel = "info" if chosen.log_level == "debug" else "warning"
control_socket_disable = True


def on_starting(_server: Arbiter) -> None:
    """Note the time, empty the folder of metrics, allow as many open files as the system does."""
    os.environ["AI_GATEWAY_STARTED_AT"] = str(int(time.time()))
    folder = _metrics_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS names a limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def pre_fork(server: Arbiter, worker: GatewayWorker) -> None:
    """Give the worker the lowest slot that no living worker has."""
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)


def post_fork(server: Arbiter, worker: GatewayWorker) -> None:
    """Tell the application its slot, before it is loaded, and hear from now on when to stop."""
    os.environ["AI_GATEWAY_WORKER_SLOT"] = str(worker.slot)
    _hear_the_end(server, worker)


def post_worker_init(worker: GatewayWorker) -> None:
    """Let the application look at what it needs before its first request."""
    _settle(worker.cfg)
    worker.begin()
    spare_what_is_loaded()
    gevent.spawn(_watch, worker)


def worker_exit(server: Arbiter, worker: GatewayWorker) -> None:
    """Settle what is still open, such as streams that outlived their clients."""
    if str(worker.pid) != str(os.getpid()):
        return  # the master calls this too, for a worker that had vanished
    if worker.booted:
        worker.end_streams()
    elif worker.alive and worker.slot == 0:
        # The application said why it cannot be loaded. With this code the master stops, while
        # with another it would start workers for ever; told twice it ends in a traceback.
        sys.exit(server.WORKER_BOOT_ERROR)


def child_exit(_server: Arbiter, worker: GatewayWorker) -> None:
    """Remove the worker's live gauges, as prometheus_client's `mark_process_dead` does.

    That module is not loaded here: later workers would inherit its locks as they were before
    gevent replaced them.
    """
    for file in _metrics_folder().glob(f"gauge_live*_{worker.slot}.db"):
        file.unlink(missing_ok=True)


def _metrics_folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def _hear_the_end(server: Arbiter, worker: GatewayWorker) -> None:
    """Obey a SIGTERM that comes before gunicorn has put the worker's own handlers in place.

    Until then those of the master are inherited, which queue a signal that nobody takes: for some
    tenths of a second it would be lost, and the worker killed with its streams after the grace.
    """
    signal.signal(signal.SIGTERM, worker.handle_exit)
    with suppress(Empty):
        while True:
            if server.SIG_QUEUE.get_nowait() == signal.SIGTERM:
                worker.alive = False


def _settle(settings: Config) -> None:
    """Have a worker's settings be plain attributes: gunicorn reads seventeen for each request.

    It searches for each of them in Python. None changes in a worker: a reload starts new ones.
    """
    vars(settings).update({name: one.get() for name, one in settings.settings.items()})


def _watch(worker: GatewayWorker) -> None:
    """Hang up on idle connections; after SIGTERM end the streams before gunicorn kills."""
    while worker.alive:
        if worker.cfg.keepalive:  # without it a connection waits for one request alone
            worker.hang_up_idle(worker.cfg.keepalive)
        gevent.sleep(LOOK_EVERY_SECONDS)
    patience = worker.cfg.graceful_timeout - STREAMS_END_BEFORE_GRACE_SECONDS
    end_streams_at = time.monotonic() + patience
    while time.monotonic() < end_streams_at:
        worker.hang_up_idle(IDLE_AT_THE_END_SECONDS)
        gevent.sleep(LOOK_EVERY_SECONDS)
    worker.end_streams()
    while True:
        worker.hang_up_idle(IDLE_AT_THE_END_SECONDS)
        gevent.sleep(LOOK_EVERY_SECONDS)

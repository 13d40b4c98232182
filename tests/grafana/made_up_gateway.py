"""A stand-in that exports the whole table of metrics, every closed label with every value.

It reaches what no script of traffic does, such as a provider that is overloaded or a conflict in
the ledger, so that every panel has something to show.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from threading import Thread

from grafana.metric import Label, Metric
from grafana.metric_table import TABLE

OPEN_VALUES = {"user": ("7", "__other__")}
"""Of labels without a closed set; others have one value."""

TEN_DAYS = 864_000


@contextmanager
def made_up_gateway(clock: Callable[[], float] = time.time) -> Iterator[str]:
    """Serve one instance; gives its address as host and port.

    With a clock that stands still nothing is counted: the gateway is idle.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exposition(clock()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Scrapes are of no interest."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, name="made-up gateway")
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def exposition(now: float) -> str:
    """Give the text of a scrape; counters rise with the time, whichever instance is asked."""
    lines: list[str] = []
    for metric in TABLE:
        kind = "gauge" if metric.kind == "info" else metric.kind
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {kind}"]
        for number, values in enumerate(product(*map(_values, metric.labels)), 1):
            pairs = [
                f'{label.name}="{value}"'
                for label, value in zip(metric.labels, values, strict=True)
            ]
            lines += _samples(metric, pairs, now % 100_000 * number, now)
    return "\n".join(lines) + "\n"


def _values(label: Label) -> tuple[str, ...]:
    return label.values or OPEN_VALUES.get(label.name, ("some",))


def _samples(metric: Metric, pairs: list[str], risen: float, now: float) -> Iterator[str]:
    if metric.kind not in {"histogram", "summary"}:
        yield _line(metric.name, pairs, _value(metric, risen, now))
        return
    # The same number in every bucket.
    step = risen / (len(metric.buckets) + 1)
    for number, bound in enumerate(metric.buckets, 1):
        yield _line(f"{metric.name}_bucket", [*pairs, f'le="{bound}"'], number * step)
    if metric.buckets:
        yield _line(f"{metric.name}_bucket", [*pairs, 'le="+Inf"'], risen)
    yield _line(f"{metric.name}_sum", pairs, risen / 10)
    yield _line(f"{metric.name}_count", pairs, risen)


def _line(name: str, pairs: list[str], value: float) -> str:
    labels = f"{{{','.join(pairs)}}}" if pairs else ""
    return f"{name}{labels} {value}"


def _value(metric: Metric, risen: float, now: float) -> float:
    if metric.kind == "counter":
        return risen
    if metric.name.endswith("_limit_usd"):
        return 1_000.0
    if metric.name.endswith("_reset_timestamp_seconds"):
        return now - now % TEN_DAYS + TEN_DAYS
    if metric.name.endswith("_spent_usd"):
        return now % 100_000 / 1_000
    return 1.0

"""What one address costs: statements, time, size, and the slowest of its statements."""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine, event

from bench.errors import BenchError
from bench.scale.addresses import Address
from bench.scale.databases import CpuClock

ROUNDS = 5
REPLAYS = 3
NANO_PER_MILLI = 1_000_000
LOG_IN = "/login"


@dataclass(frozen=True, slots=True)
class Statement:
    """What was sent to the database, as its driver takes it."""

    text: str
    parameters: Any


@dataclass(frozen=True, slots=True)
class Counted:
    """What is the same at every request of an address."""

    address: Address
    statements: int
    kilobytes: float


@dataclass(frozen=True, slots=True)
class Measured(Counted):
    """`cpu_ms` is of the worker and of its database; both times are medians."""

    cpu_ms: float
    wall_ms: float
    slowest_ms: float
    slowest: str


@dataclass(slots=True)
class Stopwatch:
    """Asks the application; remembers how long a statement took that many pages send."""

    client: FlaskClient
    engine: Engine
    _known: dict[str, float] = field(default_factory=dict)

    def count(self, address: Address) -> Counted:
        """Raises `BenchError` where the answer is no page."""
        return self._counted(address)[0]

    def measure(self, address: Address) -> Measured:
        """Likewise, after a first request: what is compiled and cached then is no page's cost."""
        self._ask(address)
        counted, sent = self._counted(address)
        clock = CpuClock(self.engine)
        times = [self._timed(address, clock) for _ in range(ROUNDS)]
        slowest = max(((self._replayed(one), one.text) for one in sent), default=(0.0, ""))
        return Measured(
            address,
            counted.statements,
            counted.kilobytes,
            statistics.median(cpu for cpu, _ in times),
            statistics.median(wall for _, wall in times),
            *slowest,
        )

    def _counted(self, address: Address) -> tuple[Counted, Sequence[Statement]]:
        with _sent(self.engine) as sent:
            size = self._ask(address)
        return Counted(address, len(sent), size / 1000), sent

    def _ask(self, address: Address) -> int:
        answer = self.client.get(address.path)
        # A place of the site may lead elsewhere; what leads to the log-in is no page.
        leads_to = answer.headers.get("Location", LOG_IN)
        is_page = answer.status_code == 200 or not leads_to.startswith(LOG_IN)
        if not is_page:
            raise BenchError(f"{address.path}: {answer.status_code}")
        return len(answer.get_data())

    def _timed(self, address: Address, clock: CpuClock) -> tuple[float, float]:
        cpu, wall = clock.nanoseconds(), time.perf_counter_ns()
        self._ask(address)
        wall = time.perf_counter_ns() - wall
        return (clock.nanoseconds() - cpu) / NANO_PER_MILLI, wall / NANO_PER_MILLI

    def _replayed(self, statement: Statement) -> float:
        """The least time that a statement takes by itself, its rows fetched; changes are not."""
        if not statement.text.lstrip().upper().startswith(("SELECT", "WITH")):
            return 0.0
        name = f"{statement.text} {statement.parameters}"
        if name not in self._known:
            with self.engine.connect() as connection:
                self._known[name] = min(_times(connection, statement))
        return self._known[name]


def _times(connection: Connection, statement: Statement) -> Iterator[float]:
    connection.exec_driver_sql(statement.text, statement.parameters).all()
    clock = CpuClock(connection.engine)
    for _ in range(REPLAYS):
        before = clock.nanoseconds()
        connection.exec_driver_sql(statement.text, statement.parameters).all()
        yield (clock.nanoseconds() - before) / NANO_PER_MILLI


@contextmanager
def _sent(engine: Engine) -> Iterator[Sequence[Statement]]:
    """Collect what is sent, without the frames of transactions."""
    sent: list[Statement] = []

    def note(_connection: object, _cursor: object, text: str, parameters: Any, *_: object) -> None:
        if not text.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            sent.append(Statement(text, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)

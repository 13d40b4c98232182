"""Whether calls are traced, and whether the traces arrive.

The bookkeeper asks LangSmith and the workers tell how their sending goes; whoever wants to know
reads what is stored, and waits for nobody but Redis.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ai_gateway.domain.clock import Clock
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.tracing_state import Facts, TracingStateStore
from ai_gateway.telemetry.tracing_sender import SenderReport

CHECK_OLD_AFTER = timedelta(minutes=3)
WORKER_SILENT_AFTER = timedelta(minutes=2)
"""A worker whose LangSmith hangs may be silent for most of a minute."""

NOT_CHECKED = "NotChecked"
"""The bookkeeper has not asked yet, or does not run."""

UNKNOWN = "StateUnknown"
"""Redis, which has the state, is away."""


class TracingState(StrEnum):
    """Off is no fault: nothing needs traces."""

    OFF = "off"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class TracingHealth:
    """`error` is the class of the last failure; None where nothing failed or nothing was tried.

    `since` is when it came to be connected, or ceased to be. `queued` and `dropped` are those of
    the workers that run now. `project_link` leads to LangSmith's page of the project.
    """

    enabled: bool
    project: str | None
    endpoint: str | None
    connected: bool
    error: str | None
    since: datetime | None = None
    sent_at: datetime | None = None
    queued: int = 0
    dropped: int = 0
    project_link: str | None = None

    @property
    def state(self) -> TracingState:
        """Degraded: traces arrive, but not all of them."""
        if not self.enabled:
            return TracingState.OFF
        if not self.connected:
            return TracingState.DISCONNECTED
        return TracingState.DEGRADED if self.error else TracingState.CONNECTED

    @property
    def project_page(self) -> str | None:
        """LangSmith's page of the project, where there is one to go to."""
        return self.project_link if self.connected else None


TRACING_OFF = TracingHealth(enabled=False, project=None, endpoint=None, connected=False, error=None)
"""Nothing is sent anywhere."""


class TracingHealthReport:
    """Reads what is stored."""

    def __init__(
        self, store: TracingStateStore, *, project: str, endpoint: str, clock: Clock
    ) -> None:
        self._store = store
        self._project = project
        self._endpoint = endpoint
        self._clock = clock

    def read(self) -> TracingHealth:
        now = self._clock()
        try:
            check, workers = self._store.read()
        except BudgetUnavailable:
            return self._disconnected(UNKNOWN)
        if check is None or now - _moment(check, "at") > CHECK_OLD_AFTER:
            return self._disconnected(NOT_CHECKED)
        alive = [one for one in workers if now - _moment(one, "at") <= WORKER_SILENT_AFTER]
        failing = next((str(one["error"]) for one in alive if one["error"]), None)
        link = check["project_link"]
        return TracingHealth(
            enabled=True,
            project=self._project,
            endpoint=self._endpoint,
            connected=check["error"] is None,
            error=str(check["error"]) if check["error"] else failing,
            since=_moment(check, "since"),
            sent_at=max((_moment(one, "sent_at") for one in alive if one["sent_at"]), default=None),
            queued=sum(_number(one, "held") for one in alive),
            dropped=sum(_number(one, "dropped") for one in alive),
            project_link=str(link) if link else None,
        )

    def _disconnected(self, error: str) -> TracingHealth:
        return TracingHealth(
            enabled=True,
            project=self._project,
            endpoint=self._endpoint,
            connected=False,
            error=error,
        )


class WorkerNotes:
    """Where a worker writes how its sending goes."""

    def __init__(self, store: TracingStateStore, name: str) -> None:
        self._store = store
        self._name = name

    def write(self, report: SenderReport) -> None:
        """Without Redis nothing is written: the next report has it all."""
        facts: Facts = {
            "at": report.at.isoformat(),
            "held": report.counts.held,
            "dropped": report.counts.dropped,
            "error": report.error,
            "sent_at": report.sent_at.isoformat() if report.sent_at else None,
        }
        try:
            self._store.write_worker(self._name, facts, known_for=WORKER_SILENT_AFTER)
        except BudgetUnavailable:
            return


def _moment(facts: Facts, name: str) -> datetime:
    return datetime.fromisoformat(str(facts[name]))


def _number(facts: Facts, name: str) -> int:
    return int(facts[name] or 0)

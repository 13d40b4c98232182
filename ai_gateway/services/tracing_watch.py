"""Asks LangSmith in the background whether it answers; the bookkeeper has it done each minute."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from threading import Lock, Thread

from ai_gateway.domain.clock import Clock
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.tracing_health import WORKER_SILENT_AFTER
from ai_gateway.stores.tracing_state import Facts, TracingStateStore
from ai_gateway.telemetry.tracing_access import Finding


class TracingWatch:
    """One look at a time, each in a thread of its own: the ledger must not wait for LangSmith."""

    def __init__(
        self, check: Callable[[], Finding], store: TracingStateStore, clock: Clock
    ) -> None:
        self._check = check
        self._store = store
        self._clock = clock
        self._is_looking = Lock()

    def start_look(self) -> None:
        """Return at once; nothing happens while the last look still waits."""
        if self._is_looking.acquire(blocking=False):
            Thread(target=self._look_and_release, name="tracing-watch", daemon=True).start()

    def look(self) -> None:
        """Ask, and store what was found, with the moment since which it is so."""
        try:
            finding = self._check()
        except Exception as error:  # noqa: BLE001 - its text may have a part of the key
            finding = Finding(error=type(error).__name__)
        now = self._clock()
        with suppress(BudgetUnavailable):
            before, _ = self._store.read()
            facts = {
                "at": now.isoformat(),
                "since": _since(before, finding, now),
                "error": finding.error,
                "project_link": finding.project_link,
            }
            self._store.write_check(facts)
            self._store.forget_workers(now - WORKER_SILENT_AFTER)

    def _look_and_release(self) -> None:
        try:
            self.look()
        finally:
            self._is_looking.release()


def _since(before: Facts | None, finding: Finding, now: datetime) -> str:
    if before is not None and (before["error"] is None) is (finding.error is None):
        return str(before["since"])
    return now.isoformat()

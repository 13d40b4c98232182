"""Puts tracing together; where it is off there is none of it, and the SDK is not even loaded."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

import redis

from ai_gateway.domain.clock import Clock
from ai_gateway.services.health import Health
from ai_gateway.services.tracing_health import (
    TRACING_OFF,
    TracingHealth,
    TracingHealthReport,
    WorkerNotes,
)
from ai_gateway.services.tracing_watch import TracingWatch
from ai_gateway.services.transcript import FullTranscript, NoTranscript, Transcript
from ai_gateway.settings import Settings
from ai_gateway.stores.tracing_state import TracingStateStore
from ai_gateway.telemetry.metrics_export import ExportMetrics
from ai_gateway.telemetry.observer import Observer
from ai_gateway.telemetry.tracing import Tracing
from ai_gateway.telemetry.tracing_access import Access, Finding
from ai_gateway.telemetry.tracing_queue import TraceQueue
from ai_gateway.telemetry.tracing_sender import Sink, TraceSender


@dataclass(frozen=True, slots=True)
class TracingParts:
    """What the application takes from tracing; nothing to observe where it is off."""

    observers: tuple[Observer, ...] = ()
    transcript: Callable[[bytes], Transcript] = NoTranscript
    health: Callable[[], TracingHealth] = lambda: TRACING_OFF
    stop: Callable[[], None] = lambda: None

    def shown_in(self, health: Health) -> Health:
        """Have a scrape tell whether LangSmith answers; nothing where tracing is off."""
        if self.observers:
            health.show_also("langsmith", lambda: self.health().connected)
        return health


def tracing_of(
    settings: Settings, client: redis.Redis, metrics: ExportMetrics, clock: Clock
) -> TracingParts:
    access = _access(settings)
    if access is None:
        return TracingParts()
    chosen, store = settings.tracing, TracingStateStore(client)
    if settings.worker_slot is not None:
        # Loaded before the worker serves: later it would hold up every call for half a second.
        _load()
    notes = WorkerNotes(store, f"{socket.gethostname()}:{os.getpid()}")
    queue = TraceQueue(metrics)
    sender = TraceSender(queue, lambda: _sink(access), notes.write, clock=clock)
    report = TracingHealthReport(
        store, project=chosen.project, endpoint=chosen.endpoint, clock=clock
    )
    return TracingParts(
        observers=(Tracing(queue, sender, chosen.sample),),
        transcript=FullTranscript if chosen.with_content else NoTranscript,
        health=report.read,
        stop=sender.stop,
    )


def tracing_watch(settings: Settings, client: redis.Redis, clock: Clock) -> Callable[[], object]:
    """What the bookkeeper does each minute: nothing where tracing is off."""
    access = _access(settings)
    if access is None:
        return lambda: None
    store = TracingStateStore(client)
    return TracingWatch(lambda: _check(access), store, clock).start_look


def _load() -> None:
    # Half a second and 45 MB, so only where calls are traced; likewise below.
    import ai_gateway.telemetry.tracing_langsmith  # noqa: F401, PLC0415


def _sink(access: Access) -> Sink:
    # See `_load`.
    from ai_gateway.telemetry.tracing_langsmith import LangSmithSink  # noqa: PLC0415

    return LangSmithSink(access)


def _check(access: Access) -> Finding:
    # See `_load`.
    from ai_gateway.telemetry.tracing_langsmith import check  # noqa: PLC0415

    return check(access)


def _access(settings: Settings) -> Access | None:
    chosen = settings.tracing
    makes_history = settings.demo and settings.worker_slot is None
    if not chosen.is_on or chosen.api_key is None or makes_history:
        return None
    return Access(chosen.endpoint, chosen.api_key.value, chosen.workspace_id, chosen.project)

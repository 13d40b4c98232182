"""Whether calls are traced, and whether the traces arrive."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TracingHealth:
    """`error` is the class of the last failure; None where nothing failed or nothing was tried."""

    enabled: bool
    project: str | None
    endpoint: str | None
    connected: bool
    error: str | None


TRACING_OFF = TracingHealth(enabled=False, project=None, endpoint=None, connected=False, error=None)
"""Nothing is sent anywhere."""

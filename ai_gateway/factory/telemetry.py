"""The metrics of this process, and what it says of itself."""

import re
from contextlib import suppress
from pathlib import Path

from ai_gateway.settings import WORKER_CONNECTIONS, Settings
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_state import InstanceFacts

GIT_FOLDER = Path(__file__).resolve().parents[2] / ".git"
UNKNOWN = "unknown"
REVISION_LENGTH = 12


def metrics_of(settings: Settings) -> Metrics:
    """Counters in the files of the worker's slot; in memory where this is no worker."""
    return Metrics(
        settings.worker_slot,
        capacity=WORKER_CONNECTIONS,
        instance=InstanceFacts(revision(GIT_FOLDER), settings.started_at),
    )


def revision(folder: Path) -> str:
    """The commit that is checked out, where the gateway runs from a checkout."""
    head = _read(folder / "HEAD")
    name = head.removeprefix("ref: ")
    if name == head:
        return head[:REVISION_LENGTH] or UNKNOWN
    # Git gathers references in one file when there are many.
    packed = re.search(rf"(?m)^(\w+) {re.escape(name)}$", _read(folder / "packed-refs"))
    commit = _read(folder / name) or (packed[1] if packed else "")
    return commit[:REVISION_LENGTH] or UNKNOWN


def _read(file: Path) -> str:
    with suppress(OSError):
        return file.read_text().strip()
    return ""

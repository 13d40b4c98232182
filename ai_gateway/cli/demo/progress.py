"""How far the demo is: a bar on a terminal, elsewhere a line now and then."""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import TextIO, TypeVar

import click

Item = TypeVar("Item")

LINE_SECONDS = 5.0
UPDATES = 200
"""How often the bar is drawn from its beginning to its end."""


@contextmanager
def progress(items: Sequence[Item], label: str) -> Iterator[Iterable[Item]]:
    """Hand out the items, telling on standard error how many are done."""
    if not sys.stderr.isatty():
        yield told(items, label, sys.stderr)
        return
    bar = click.progressbar(
        items,
        label=label,
        file=sys.stderr,
        show_pos=True,
        update_min_steps=max(1, len(items) // UPDATES),
    )
    with _unwinding_when_stopped(), bar:
        yield bar


def told(
    items: Sequence[Item], label: str, file: TextIO, seconds: Callable[[], float] = monotonic
) -> Iterator[Item]:
    """Hand out the items with a line on `file` every few seconds, and one at the end."""
    due = seconds() + LINE_SECONDS
    for done, item in enumerate(items):
        if seconds() >= due:
            due = seconds() + LINE_SECONDS
            _tell(file, label, done, len(items))
        yield item
    _tell(file, label, len(items), len(items))


def _tell(file: TextIO, label: str, done: int, total: int) -> None:
    share = done * 100 // total if total else 100
    print(f"ai-gateway: {label}: {share} % ({done:,} of {total:,})", file=file, flush=True)


@contextmanager
def _unwinding_when_stopped() -> Iterator[None]:
    """Let SIGTERM leave as an exception would: the bar has hidden the terminal's cursor."""
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)

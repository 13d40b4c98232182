"""How far a run is, on standard error: a bar on a terminal, elsewhere one line for each part."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import click

Item = TypeVar("Item")


def shown(items: Sequence[Item], label: str) -> Iterator[Item]:
    """Hand out the items, telling how many are done."""
    with click.progressbar(items, label=label, file=sys.stderr, show_pos=True) as bar:
        yield from bar


def silent(items: Sequence[Item], _label: str) -> Iterable[Item]:
    return items

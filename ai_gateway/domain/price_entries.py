"""Prices that staff entered: dated entries that are never altered.

A price holds from its moment until the next entry of the same model. A withdrawal is an entry
without a price: from its moment on the operator's file or the list holds again. One of the very
moment at which a price was to begin takes that price out, as if it had not been entered.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from operator import attrgetter

from ai_gateway.domain.pricing import PriceRow

ModelKey = tuple[str, str]
"""Provider and the provider's own name of the model."""


class EntryState(StrEnum):
    """What an entry does at a moment."""

    SCHEDULED = "scheduled"
    IN_FORCE = "in_force"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """One entry; without a `row` it is a withdrawal. `origin` says where the price is from."""

    entry_id: int
    provider: str
    model: str
    effective_from: datetime
    row: PriceRow | None
    origin: str = ""
    reason: str = ""
    made_at: datetime | None = None
    made_by: str = ""


class Timeline:
    """The entries of one model in the order of their moments, without what was cancelled."""

    def __init__(self, entries: Iterable[PriceEntry]) -> None:
        self.all = tuple(sorted(entries, key=lambda one: (one.effective_from, one.entry_id)))
        by_moment = groupby(self.all, key=attrgetter("effective_from"))
        # A moment has one entry, or a price with the withdrawal that cancels it.
        alone = (found[0] for found in (list(group) for _, group in by_moment) if len(found) == 1)
        self.effective = tuple(alone)

    def in_force(self, moment: datetime) -> PriceEntry | None:
        """The entry that decides at `moment`, be it a price or a withdrawal."""
        begun = [one for one in self.effective if one.effective_from <= moment]
        return begun[-1] if begun else None

    def row(self, moment: datetime) -> PriceRow | None:
        """The price in force; None where nothing that was entered holds."""
        entry = self.in_force(moment)
        return entry.row if entry else None

    @property
    def last_row(self) -> PriceRow | None:
        """The price that holds after all that is scheduled."""
        return self.effective[-1].row if self.effective else None

    def scheduled(self, moment: datetime) -> tuple[PriceEntry, ...]:
        return tuple(one for one in self.effective if one.effective_from > moment)

    def state(self, entry: PriceEntry, moment: datetime) -> EntryState:
        if entry not in self.effective:
            return EntryState.CANCELLED
        if entry.effective_from > moment:
            return EntryState.SCHEDULED
        return EntryState.IN_FORCE if entry == self.in_force(moment) else EntryState.SUPERSEDED


NO_ENTRIES = Timeline(())


def timelines(entries: Iterable[PriceEntry]) -> Mapping[ModelKey, Timeline]:
    """The entries of each model by themselves."""
    by_model: dict[ModelKey, list[PriceEntry]] = {}
    for entry in entries:
        by_model.setdefault((entry.provider, entry.model), []).append(entry)
    return {key: Timeline(found) for key, found in by_model.items()}

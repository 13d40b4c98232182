"""The lines of the list of prices: what is asked of them, and which of them is shown."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from ai_gateway.domain.pricing import PriceRow


class LineStatus(StrEnum):
    """What a line is at the moment; a superseded one is history or stands behind another."""

    UNPRICED = "unpriced"
    PRICED = "priced"
    SCHEDULED = "scheduled"
    SUPERSEDED = "superseded"


class PriceSource(StrEnum):
    """Whose price it is, in the order in which they come first."""

    ENTERED = "entered"
    OPERATOR = "operator"
    LIST = "list"


class PriceSort(StrEnum):
    """What the lines can be sorted by, beneath those without a price."""

    MODEL = "model"
    PROVIDER = "provider"
    INPUT = "input"
    OUTPUT = "output"
    LAST_USED = "last_used"


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One price of one model, or a model that was asked for and has none.

    `names` are all that lead to it, `requests` those without a price, `refused` those that were
    refused for want of one. `entry_id` names an entry of staff, `note` says where its price is
    from.
    """

    provider: str
    model: str
    status: LineStatus
    row: PriceRow | None = None
    source: PriceSource | None = None
    names: tuple[str, ...] = ()
    effective_from: datetime | None = None
    last_used: datetime | None = None
    requests: int = 0
    refused: int = 0
    entry_id: int | None = None
    note: str = ""

    @property
    def is_current(self) -> bool:
        return self.status is not LineStatus.SUPERSEDED


@dataclass(frozen=True, slots=True)
class PriceSelection:
    """Which lines; without a status all but those that are superseded."""

    status: LineStatus | None = None
    source: PriceSource | None = None
    provider: str = ""
    search: str = ""

    def has(self, line: PriceLine) -> bool:
        is_status = line.is_current if self.status is None else line.status is self.status
        is_source = self.source is None or line.source is self.source
        is_provider = not self.provider or line.provider == self.provider
        return is_status and is_source and is_provider and self._is_found(line)

    def _is_found(self, line: PriceLine) -> bool:
        words = self.search.lower().split()
        text = " ".join((line.provider, line.model, *line.names)).lower()
        return all(word in text for word in words)


EVERYTHING = PriceSelection()

_Key = Callable[[PriceLine], Any]
_KEYS: Mapping[PriceSort, _Key] = MappingProxyType(
    {
        PriceSort.MODEL: lambda line: line.model.lower(),
        PriceSort.PROVIDER: lambda line: line.provider,
        PriceSort.INPUT: lambda line: line.row.tiers[0].rates.input if line.row else -1,
        PriceSort.OUTPUT: lambda line: line.row.tiers[0].rates.output if line.row else -1,
        PriceSort.LAST_USED: lambda line: line.last_used.timestamp() if line.last_used else 0,
    }
)


def sorted_lines(
    lines: Iterable[PriceLine], sort: PriceSort, *, is_descending: bool
) -> list[PriceLine]:
    """Those without a price first, the most wanted at the top; then the rest as asked."""
    found = sorted(lines, key=lambda line: (line.provider, line.model, line.entry_id or 0))
    found.sort(key=_KEYS[sort], reverse=is_descending)
    found.sort(key=_wanted, reverse=True)
    return found


def _wanted(line: PriceLine) -> int:
    is_missing = line.status is LineStatus.UNPRICED
    return 1 + line.requests + line.refused if is_missing else 0

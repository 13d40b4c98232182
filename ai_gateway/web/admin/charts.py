"""What a chart gets: points, and texts written by the formatting of the page.

The browser computes no figure and no label: it draws what stands here, and the table below a chart
shows the same texts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

from ai_gateway.web.formatting import NOTHING

Value: TypeAlias = int | Fraction
"""Nano-USD, a count, milliseconds or a part of one; exact, so that sums of a table agree."""

MOST_SERIES = 8
OTHER = "Other"
MOST_STEPS = 5
NICE_STEPS = (1, 2, 5, 10)


class ChartKind(StrEnum):
    """Parts of a sum as stacked bars, or figures beside one another as lines."""

    BARS = "bars"
    LINES = "lines"


class SeriesRole(StrEnum):
    """A part has a colour of its own, the rest is grey, a plan is a dotted line in no sum."""

    PART = "part"
    REST = "rest"
    PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each label; None where nothing is known, which is a gap and not a zero."""

    name: str
    values: tuple[Value | None, ...]
    role: SeriesRole = SeriesRole.PART


@dataclass(frozen=True, slots=True)
class ChartRow:
    """One label with its texts, for the table. `total` is empty where there is no sum."""

    label: str
    link: str
    texts: tuple[str, ...]
    total: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart and its table. `form` writes a value; `links` has an address for each label."""

    id: str
    title: str
    kind: ChartKind
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    form: Callable[[Value], str]
    links: tuple[str, ...] = ()
    label_name: str = "Time"

    def __post_init__(self) -> None:
        lengths = {len(one.values) for one in self.series} | ({len(self.links)} - {0})
        if lengths - {len(self.labels)}:
            raise ValueError(f"{self.id}: {len(self.labels)} labels, but {lengths} values")

    @property
    def is_empty(self) -> bool:
        """Nothing is known; figures that are all zero are known."""
        return not any(value is not None for one in self._summed for value in one.values)

    @property
    def has_totals(self) -> bool:
        return self.kind is ChartKind.BARS and len(self._summed) > 1

    @property
    def summary(self) -> str:
        """One sentence for those who do not see the picture."""
        heights = self._totals() if self.kind is ChartKind.BARS else self._highest()
        known = [(height, place) for place, height in enumerate(heights) if height is not None]
        if not known:
            return "No data in this window."
        height, place = max(known, key=lambda pair: pair[0])
        span = f"{self.labels[0]} to {self.labels[-1]}"
        peak = f"the highest is {self.form(height)} at {self.labels[place]}"
        if self.kind is ChartKind.LINES:
            return f"{span}: {peak}."
        whole = sum((one for one, _ in known), 0)
        return f"{span}: {self.form(whole)} in all, {peak}."

    def rows(self) -> Iterator[ChartRow]:
        totals = self._totals()
        for place, label in enumerate(self.labels):
            yield ChartRow(
                label=label,
                link=self.links[place] if self.links else "",
                texts=tuple(self._text(one.values[place]) for one in self.series),
                total=self._text(totals[place]) if self.has_totals else "",
            )

    def colours(self) -> tuple[str, ...]:
        """The name of the colour of each series."""
        return tuple(
            str(place % MOST_SERIES + 1) if one.role is SeriesRole.PART else one.role.value
            for place, one in enumerate(self.series)
        )

    def payload(self) -> dict[str, object]:
        """What `charts.js` reads."""
        totals = [self._text(total) for total in self._totals()] if self.has_totals else []
        return {
            "kind": self.kind.value,
            "labels": self.labels,
            "links": self.links,
            "totals": totals,
            "ticks": [{"at": _point(tick), "text": self.form(tick)} for tick in self._ticks()],
            "series": [
                {
                    "name": one.name,
                    "role": one.role.value,
                    "colour": colour,
                    "points": [_point(value) for value in one.values],
                    "texts": [self._text(value) for value in one.values],
                }
                for one, colour in zip(self.series, self.colours(), strict=True)
            ],
        }

    @property
    def _summed(self) -> list[Series]:
        return [one for one in self.series if one.role is not SeriesRole.PLAN]

    def _totals(self) -> list[Value | None]:
        return [_sum(column) for column in self._columns(self._summed)]

    def _highest(self) -> list[Value | None]:
        return [max(_known(column), default=None) for column in self._columns(self._summed)]

    def _columns(self, series: Sequence[Series]) -> list[tuple[Value | None, ...]]:
        if not series:
            return [()] * len(self.labels)
        return list(zip(*(one.values for one in series), strict=True))

    def _ticks(self) -> tuple[Value, ...]:
        heights = self._totals() if self.kind is ChartKind.BARS else self._highest()
        plans = [one for one in self.series if one.role is SeriesRole.PLAN]
        drawn = [*heights, *(value for plan in plans for value in plan.values)]
        return axis_ticks(max(_known(drawn), default=0))

    def _text(self, value: Value | None) -> str:
        return NOTHING if value is None else self.form(value)


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Lines in a box of 100 by 24, each a text of points; a gap begins a new one."""

    lines: tuple[str, ...]


def sparkline(values: Sequence[Value | None]) -> Sparkline:
    """The course of a figure without axes, from zero up."""
    top = max(_known(values), default=0) or 1
    lines: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            lines.append([])
            continue
        x, y = Fraction(100 * place, max(len(values) - 1, 1)), 23 - Fraction(22 * value) / top
        lines[-1].append(f"{float(x):.1f},{float(y):.1f}")
    return Sparkline(tuple(" ".join(line) for line in lines if len(line) > 1))


def fold_series(series: Sequence[Series], most: int = MOST_SERIES) -> tuple[Series, ...]:
    """The largest series, the largest first, and one for the sum of all that are left."""
    ranked = sorted(series, key=lambda one: (-sum(_known(one.values)), one.name))
    kept, left = ranked[:most], ranked[most:]
    if not left:
        return tuple(kept)
    columns = zip(*(one.values for one in left), strict=True)
    rest = Series(OTHER, tuple(_sum(column) for column in columns), SeriesRole.REST)
    return (*kept, rest)


def axis_ticks(top: Value) -> tuple[Value, ...]:
    """Round numbers from zero to the first at or above `top`; whole ones for whole numbers."""
    if top <= 0:
        return (0,)
    step = _nice_step(Fraction(top) / MOST_STEPS)
    if isinstance(top, int):
        step = max(step, Fraction(1))
    count = -(-Fraction(top) // step)
    return tuple(_whole(step * place) for place in range(int(count) + 1))


def _nice_step(least: Fraction) -> Fraction:
    power = Fraction(1)
    while power > least:
        power /= 10
    while power * 10 <= least:
        power *= 10
    return next(power * nice for nice in NICE_STEPS if power * nice >= least)


def _whole(value: Fraction) -> Value:
    return value.numerator if value.denominator == 1 else value


def _known(values: Sequence[Value | None]) -> list[Value]:
    return [value for value in values if value is not None]


def _sum(values: Sequence[Value | None]) -> Value | None:
    known = _known(values)
    return sum(known, 0) if known else None


def _point(value: Value | None) -> float | None:
    """Where a value is drawn; what it is stands in its text."""
    return None if value is None else float(value)

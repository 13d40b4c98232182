"""What charts are told to draw, and that it is what their tables say."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.web import formatting
from ai_gateway.web.admin.charts import (
    MOST_SERIES,
    MOST_STEPS,
    Chart,
    ChartKind,
    Series,
    SeriesRole,
    axis_ticks,
    fold_series,
    sparkline,
)

USD = 10**9
Column = st.lists(st.none() | st.integers(0, 10**15), min_size=3, max_size=3)


def chart(*series: Series, kind: ChartKind = ChartKind.BARS, links: tuple[str, ...] = ()) -> Chart:
    days = ("Mon", "Tue", "Wed")
    return Chart("cost", "Cost", kind, days, series, formatting.money, links=links)


def test_what_is_unknown_is_a_gap_and_not_zero() -> None:
    one = chart(Series("a", (USD, None, 0)), Series("b", (None, None, USD)))
    payload = one.payload()
    assert [series["points"] for series in payload["series"]] == [  # type: ignore[attr-defined]  # JSON to be
        [1e9, None, 0.0],
        [None, None, 1e9],
    ]
    assert payload["totals"] == ["$1.00", "—", "$1.00"]
    assert [row.texts for row in one.rows()] == [
        ("$1.00", "—"),
        ("—", "—"),
        ("$0.00", "$1.00"),
    ]


def test_no_data_is_not_the_same_as_zero() -> None:
    assert chart(Series("a", (None, None, None))).is_empty
    assert chart().is_empty
    assert not chart(Series("a", (0, None, None))).is_empty
    plan = Series("pace", (1, 2, 3), SeriesRole.PLAN)
    assert chart(plan).is_empty


def test_a_plan_is_in_no_sum_but_below_the_top_of_the_axis() -> None:
    plan = Series("pace", (0, 0, 90 * USD), SeriesRole.PLAN)
    one = chart(Series("a", (USD, USD, USD)), Series("b", (USD, 0, 0)), plan)
    assert [row.total for row in one.rows()] == ["$2.00", "$1.00", "$1.00"]
    assert one.colours() == ("1", "2", "plan")
    ticks = one.payload()["ticks"]
    assert ticks[-1] == {"at": 100.0 * USD, "text": "$100.00"}  # type: ignore[index]  # JSON to be


def test_the_summary_names_span_sum_and_peak() -> None:
    bars = chart(Series("a", (USD, 3 * USD, None)), Series("b", (USD, 0, USD)))
    assert bars.summary == "Mon to Wed: $6.00 in all, the highest is $3.00 at Tue."
    lines = chart(Series("p50", (1, None, 2)), kind=ChartKind.LINES)
    assert lines.summary == "Mon to Wed: the highest is $0.000000002 at Wed."
    assert chart(Series("a", (None, None, None))).summary == "No data in this window."


def test_only_stacked_bars_have_totals() -> None:
    pair = (Series("p50", (1, 2, 3)), Series("p95", (4, 5, 6)))
    assert not chart(*pair, kind=ChartKind.LINES).has_totals
    assert chart(*pair).has_totals
    assert not chart(pair[0]).has_totals


def test_each_label_leads_to_its_address() -> None:
    one = chart(Series("a", (1, 2, 3)), links=("/1", "/2", "/3"))
    assert [row.link for row in one.rows()] == ["/1", "/2", "/3"]
    assert one.payload()["links"] == ("/1", "/2", "/3")


def test_values_and_links_that_do_not_fit_the_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="3 labels"):
        chart(Series("a", (1, 2)))
    with pytest.raises(ValueError, match="3 labels"):
        chart(Series("a", (1, 2, 3)), links=("/1",))


def test_the_largest_series_stay_and_the_rest_is_one() -> None:
    series = [Series(f"s{number:02}", (number, None, 1)) for number in range(12)]
    folded = fold_series(series)
    assert [one.name for one in folded] == [*(f"s{n:02}" for n in range(11, 3, -1)), "Other"]
    assert folded[-1] == Series("Other", (0 + 1 + 2 + 3, None, 4), SeriesRole.REST)
    assert chart(*folded).colours() == (*map(str, range(1, 9)), "rest")


def test_few_series_are_only_ordered() -> None:
    few = [Series("small", (1,)), Series("large", (9,)), Series("equal", (1,))]
    assert [one.name for one in fold_series(few)] == ["large", "equal", "small"]


@given(st.lists(Column, max_size=14))
def test_folding_loses_nothing(columns: list[list[int | None]]) -> None:
    series = [Series(str(place), tuple(column)) for place, column in enumerate(columns)]
    folded = fold_series(series)
    assert len(folded) <= MOST_SERIES + 1
    before, after = chart(*series), chart(*folded)
    assert before.is_empty == after.is_empty
    for place in range(3):
        known = [one.values[place] for one in series if one.values[place] is not None]
        kept = [one.values[place] for one in folded if one.values[place] is not None]
        assert sum(v or 0 for v in kept) == sum(v or 0 for v in known)
        assert bool(kept) == bool(known)


@given(st.integers(0, 10**18) | st.fractions(0, 10**6))
def test_axes_have_few_round_steps_up_to_the_top(top: int | Fraction) -> None:
    ticks = axis_ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] >= top
    assert len(ticks) <= MOST_STEPS + 1
    steps = {Fraction(high) - low for low, high in pairwise(ticks)}
    assert len(steps) <= 1
    for step in steps:
        assert ticks[-1] - step < top
        assert str(step.numerator).rstrip("0") in {"1", "2", "5"} or step.denominator > 1
    if isinstance(top, int):
        assert all(isinstance(tick, int) for tick in ticks)


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (0, (0,)),
        (1, (0, 1)),
        (3, (0, 1, 2, 3)),
        (97, (0, 20, 40, 60, 80, 100)),
        (Fraction(1, 8), (0, Fraction(1, 20), Fraction(1, 10), Fraction(3, 20))),
    ],
)
def test_axes(top: int | Fraction, ticks: tuple[int | Fraction, ...]) -> None:
    assert axis_ticks(top) == ticks


def test_a_sparkline_breaks_at_a_gap() -> None:
    assert sparkline((0, 2, None, 4, 2)).lines == ("0.0,23.0 25.0,12.0", "75.0,1.0 100.0,12.0")
    assert sparkline((0, 0)).lines == ("0.0,23.0 100.0,23.0",)
    assert sparkline((None, 5, None)).lines == ()
    assert sparkline(()).lines == ()

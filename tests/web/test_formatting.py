"""How numbers and moments read."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.web import formatting as f

USD = 10**9
NOW = datetime(2026, 11, 23, 7, 10, 5, tzinfo=UTC)
UTC_ZONE, KOLKATA = ZoneInfo("UTC"), ZoneInfo("Asia/Kolkata")


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (12_000, "$0.000012"),
        (4_900_000, "$0.0049"),
        (9_999_999, "$0.01"),
        (10_000_000, "$0.01"),
        (57_400_000, "$0.06"),
        (125_000_000, "$0.12"),
        (48_200_000_000, "$48.20"),
        (1_043_834_000_000, "$1,043.83"),
        (999_999_994 * USD // 1000, "$999,999.99"),
        (999_999_996 * USD // 1000, "$1.00M"),
        (1_284_370 * USD, "$1.28M"),
        (9_000_000 * USD, "$9.00M"),
        (2_500_000_000 * USD, "$2.50B"),
        (-5 * USD, "−$5.00"),
        (-1, "−$0.000000001"),
        (None, "—"),
    ],
)
def test_sums_have_cents(nano: int | None, text: str) -> None:
    assert f.money(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (57_400_000, "$0.0574"),
        (12_000, "$0.000012"),
        (123_456_789, "$0.123"),
        (100_000_000, "$0.10"),
        (999_600_000, "$1.00"),
        (1_043_834_000_000, "$1,043.83"),
        (Fraction(USD, 3), "$0.333"),
        (Fraction(1, 3), "$0.000000000333"),
        (None, "—"),
    ],
)
def test_unit_amounts_have_three_digits_below_a_dollar(
    nano: int | Fraction | None, text: str
) -> None:
    assert f.unit_money(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (1_284_370 * USD, "$1,284,370.00"),
        (1_043_834_000_000, "$1,043.834000000"),
        (12_000, "$0.000012000"),
        (-5 * USD, "−$5.00"),
        (Fraction(USD, 3), "$0.333333333333"),
        (None, "—"),
    ],
)
def test_exact_amounts_lose_nothing(nano: int | Fraction | None, text: str) -> None:
    assert f.exact_money(nano) == text


@given(st.integers(min_value=-(10**19), max_value=10**19))
def test_no_amount_has_three_decimals_from_a_dollar_on_nor_an_exponent(nano: int) -> None:
    for text in (f.money(nano), f.unit_money(nano), f.exact_money(nano)):
        assert "E" not in text
        assert "e" not in text
        whole = re.fullmatch(r"−?\$([\d,]+)\.(\d+)[MBT]?", text)
        assert whole is not None, text
        assert whole[1] == "0" or len(whole[2]) in {2, 9}


@given(st.integers(min_value=-(10**19), max_value=10**19))
def test_an_exact_amount_can_be_read_back(nano: int) -> None:
    text = f.exact_money(nano).replace("$", "").replace(",", "").replace("−", "-")
    assert Decimal(text) * USD == nano


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_a_larger_amount_never_reads_as_a_smaller_one(one: int, other: int) -> None:
    low, high = sorted((one, other))
    for write in (f.money, f.unit_money):
        assert value(write(low)) <= value(write(high))


@given(st.integers(0, 10**14), st.integers(0, 10**14))
def test_a_larger_count_never_reads_as_a_smaller_one(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert value(f.count(low)) <= value(f.count(high))


@given(st.fractions(0, 1), st.fractions(0, 1))
def test_a_higher_rate_never_reads_as_a_lower_one(one: Fraction, other: Fraction) -> None:
    low, high = (Decimal(f.rate(part).strip("<% ")) for part in sorted((one, other)))
    assert low <= high


@given(st.integers(1, 10**18))
def test_an_amount_is_never_shown_as_nothing(nano: int) -> None:
    for text in (f.money(nano), f.unit_money(nano), f.exact_money(nano)):
        assert value(text) > 0


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**12))
def test_a_change_points_where_the_figure_went(current: int, previous: int) -> None:
    text = f.change(current, previous)
    if text.startswith("↑"):
        assert current > previous
    elif text.startswith("↓"):
        assert current < previous
    else:
        assert text == "unchanged"
        assert abs(current - previous) * 200 <= previous


def value(text: str) -> Decimal:
    """What a shown number says."""
    found = re.fullmatch(r"\$?([\d,.]+)([kMBT]?)", text)
    assert found is not None, text
    return Decimal(found[1].replace(",", "")).scaleb(
        {"": 0, "k": 3, "M": 6, "B": 9, "T": 12}[found[2]]
    )


@given(st.integers(min_value=0, max_value=10**14))
def test_rounding_moves_an_amount_by_half_a_cent_at_most(nano: int) -> None:
    shown = Decimal(f.money(nano).replace("$", "").replace(",", ""))
    assert abs(shown - Decimal(nano) / USD) <= Decimal("0.005")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9999, "9,999"),
        (10_000, "10.0k"),
        (12_345, "12.3k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_950, "1.0M"),
        (6_200_000, "6.2M"),
        (1_000_000_000, "1.0B"),
        (7_500_000_000_000, "7.5T"),
        (-20_000, "−20.0k"),
    ],
)
def test_counts_are_rounded_before_their_unit_is_chosen(number: int, text: str) -> None:
    assert f.count(number) == text


def test_an_exact_count_has_every_digit() -> None:
    assert f.exact_count(6_214_003) == "6,214,003"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (None, "—"),
        (Fraction(0), "0 %"),
        (Fraction(1, 100_000), "< 0.01 %"),
        (Fraction(1, 10_000), "0.01 %"),
        (Fraction(125, 10_000), "1.25 %"),
        (Fraction(19_999, 1_000_000), "2.0 %"),
        (Fraction(5, 100), "5.0 %"),
        (Fraction(9_999, 100_000), "10 %"),
        (Fraction(1), "100 %"),
    ],
)
def test_small_rates_have_more_decimals(part: Fraction | None, text: str) -> None:
    assert f.rate(part) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "—"), (0, 9, "0 %"), (1, 900, "< 1 %"), (58, 100, "58 %"), (9, 9, "100 %")],
)
def test_shares_are_whole_percents(part: int, whole: int, text: str) -> None:
    assert f.share(part, whole) == text


@pytest.mark.parametrize(
    ("current", "previous", "text"),
    [
        (15, 10, "↑ 50 %"),
        (5, 10, "↓ 50 %"),
        (1001, 1000, "unchanged"),
        (3, 0, "new"),
        (3, None, "new"),
        (0, 0, "unchanged"),
        (None, 5, "—"),
        (10**6, 1, "↑ over 999 %"),
        (Fraction(1, 3), Fraction(1, 2), "↓ 33 %"),
    ],
)
def test_a_change_from_nothing_is_new_and_never_endless(
    current: int | None, previous: int | None, text: str
) -> None:
    assert f.change(current, previous) == text


def test_moments_name_their_zone() -> None:
    assert f.moment(NOW, UTC_ZONE) == "23 Nov 2026, 07:10:05 UTC"
    assert f.moment(NOW, KOLKATA) == "23 Nov 2026, 12:40:05 IST"
    assert f.clock_time(NOW, KOLKATA) == "12:40:05 IST"


@pytest.mark.parametrize(
    ("seconds", "past", "future"),
    [
        (0, "just now", "in less than a minute"),
        (59, "just now", "in less than a minute"),
        (60, "1 min ago", "in 1 min"),
        (3599, "59 min ago", "in 59 min"),
        (3600, "1 h ago", "in 1 h"),
        (47 * 3600, "47 h ago", "in 47 h"),
        (48 * 3600, "2 d ago", "in 2 d"),
    ],
)
def test_distances_in_time(seconds: int, past: str, future: str) -> None:
    other = timedelta(seconds=seconds)
    assert f.ago(NOW - other, NOW) == past
    assert f.left(NOW + other, NOW) == future


@pytest.mark.parametrize(
    ("since", "text"),
    [
        ("2026-11-23", "23 Nov 2026, UTC"),
        ("2026-11-17", "17–23 Nov 2026, UTC"),
        ("2026-10-25", "25 Oct – 23 Nov 2026, UTC"),
        ("2025-12-25", "25 Dec 2025 – 23 Nov 2026, UTC"),
    ],
)
def test_days_in_words(since: str, text: str) -> None:
    begin = datetime.fromisoformat(since).replace(tzinfo=UTC)
    assert f.days(begin, NOW, UTC_ZONE) == text


def test_hours_in_words() -> None:
    begin = datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert f.hours(begin, NOW, UTC_ZONE) == "22 Nov, 08:00 – 23 Nov 2026, 07:10, UTC"


@pytest.mark.parametrize(
    ("pico", "per_million", "per_token"),
    [
        (0, "$0.00", "$0.00 a token"),
        (75_000, "$0.075", "$0.000000075 a token"),
        (2_500_000, "$2.50", "$0.0000025 a token"),
        (1, "$0.000001", "$0.000000000001 a token"),
        (None, "—", "—"),
    ],
)
def test_prices_are_for_a_million_tokens(
    pico: int | None, per_million: str, per_token: str
) -> None:
    assert f.price(pico) == per_million
    assert f.exact_price(pico) == per_token


def test_labels_of_an_axis_are_of_the_zone() -> None:
    late = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
    assert f.short_day(late, UTC_ZONE) == "23 Nov"
    assert f.short_day(late, KOLKATA) == "24 Nov"
    assert f.short_hour(late, UTC_ZONE) == "18:30"
    assert f.short_hour(late, KOLKATA) == "24 Nov"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "less than a minute"), (61, "1 min"), (7200, "2 h"), (172800, "2 d")]
)
def test_lengths_of_time(seconds: int, text: str) -> None:
    assert f.span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (714, "714 ms"),
        (Fraction(1429, 2), "714 ms"),
        (8550, "8.6 s"),
        (59_949, "59.9 s"),
        (59_950, "1 min 0 s"),
        (125_400, "2 min 5 s"),
    ],
)
def test_durations(ms: int | Fraction, text: str) -> None:
    assert f.seconds(ms) == text

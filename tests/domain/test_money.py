"""Rounding, and the way between USD and nano-USD."""

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, InvalidOperation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.domain.money import Money, ceil_pico, from_pico, from_usd, to_usd, usd_text

PICO = st.integers(-(10**24), 10**24)
NANO = st.integers(-(10**18), 10**18).map(Money)


def rounded(pico_usd: int, rounding: str) -> int:
    return int((Decimal(pico_usd) / 1000).quantize(Decimal(1), rounding))


@pytest.mark.parametrize(
    ("pico_usd", "nano_usd"),
    [
        pytest.param(0, 0, id="nothing"),
        pytest.param(499, 0, id="below half"),
        pytest.param(500, 0, id="half goes down to even"),
        pytest.param(501, 1, id="above half"),
        pytest.param(1499, 1, id="below half of the next"),
        pytest.param(1500, 2, id="half goes up to even"),
        pytest.param(2500, 2, id="half goes down to even again"),
        pytest.param(-500, 0, id="negative half goes up to even"),
        pytest.param(-1500, -2, id="negative half goes down to even"),
    ],
)
def test_half_a_nano_dollar_is_rounded_to_even(pico_usd: int, nano_usd: int) -> None:
    assert from_pico(pico_usd) == nano_usd


@given(PICO | st.integers(-(10**12), 10**12).map(lambda number: number * 500))
def test_rounding_is_that_of_decimal(pico_usd: int) -> None:
    assert from_pico(pico_usd) == rounded(pico_usd, ROUND_HALF_EVEN)
    assert ceil_pico(pico_usd) == rounded(pico_usd, ROUND_CEILING)


@given(PICO)
def test_what_is_held_is_never_less_than_what_is_charged(pico_usd: int) -> None:
    assert ceil_pico(pico_usd) >= from_pico(pico_usd)


@given(NANO)
def test_usd_and_nano_usd_turn_into_each_other_exactly(amount: Money) -> None:
    assert from_usd(to_usd(amount)) == amount
    assert from_usd(Decimal(usd_text(amount))) == amount


@pytest.mark.parametrize(
    "text", ["0.0000000001", "1.0000000005", "NaN", "Infinity", "-Infinity"], ids=str
)
def test_amount_that_would_lose_a_digit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="more than nine decimals"):
        from_usd(Decimal(text))


def test_signalling_nan_is_no_amount() -> None:
    with pytest.raises((ValueError, InvalidOperation)):
        from_usd(Decimal("sNaN"))


@pytest.mark.parametrize(
    ("nano_usd", "text"),
    [
        (0, "0.00"),
        (1, "0.000000001"),
        (450_000, "0.00045"),
        (12_500_000_000, "12.50"),
        (12_340_000_000, "12.34"),
        (-1_230_000_000, "-1.23"),
        (9_000_000_000_000_000, "9000000.00"),
        (123_456_789_012_345_678, "123456789.012345678"),
    ],
    ids=str,
)
def test_text_of_an_amount_is_plain_and_exact(nano_usd: int, text: str) -> None:
    assert usd_text(Money(nano_usd)) == text


@given(NANO)
def test_text_of_an_amount_has_two_to_nine_decimals(amount: Money) -> None:
    text = usd_text(amount)
    assert "E" not in text
    assert 2 <= len(text.partition(".")[2]) <= 9

"""Money: integers of nano-USD, a billionth of a dollar. The only place that rounds.

Prices are integers of pico-USD for one token, so that every list price with up to six decimals for
a million tokens is exact (1 USD per million tokens = 1,000,000 pico-USD per token).
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import NewType

Money = NewType("Money", int)
"""An amount in nano-USD."""

ZERO = Money(0)
NANO_PER_USD = 10**9
PICO_PER_NANO = 1000


def from_pico(pico_usd: int) -> Money:
    """Round an amount in pico-USD half to even; called once for each call."""
    quotient, remainder = divmod(pico_usd, PICO_PER_NANO)
    half = PICO_PER_NANO // 2
    is_up = remainder > half or (remainder == half and quotient % 2 == 1)
    return Money(quotient + is_up)


def ceil_pico(pico_usd: int) -> Money:
    """Round up: what is held must never be less than what it stands for."""
    return Money(-(-pico_usd // PICO_PER_NANO))


def from_usd(amount: Decimal) -> Money:
    """Turn USD into nano-USD; raises `ValueError` where that would lose a digit."""
    nano = amount * NANO_PER_USD
    if not nano.is_finite() or nano != nano.to_integral_value():
        raise ValueError(f"{amount} USD has more than nine decimals")
    return Money(int(nano))


def round_usd(amount: Decimal) -> Money:
    """Round an amount that somebody else states, half to even."""
    return Money(int((amount * NANO_PER_USD).to_integral_value(ROUND_HALF_EVEN)))


def to_usd(amount: Money) -> Decimal:
    """The amount in USD, exact, with nine decimals."""
    return Decimal(amount).scaleb(-9)


def usd_text(amount: Money) -> str:
    """The amount in USD, exact, as a plain decimal string such as `0.00045` or `12.50`."""
    whole, fraction = f"{to_usd(amount):.9f}".split(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"

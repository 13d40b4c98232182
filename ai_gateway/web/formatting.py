"""How numbers and moments are written on the staff pages. Amounts are exact, never a float.

Each function takes a value and gives text; `FILTERS` names them for the templates.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from ai_gateway.domain.money import NANO_PER_USD, Money, usd_text

NOTHING = "—"
MINUS = "\N{MINUS SIGN}"
CENT = Decimal("0.01")
LETTERS = "kMBT"
"""For thousands, millions, ..."""

Amount = int | Fraction
"""Nano-USD; a fraction where it is an average."""


def money(amount: Amount | None) -> str:
    """A sum: cents from one cent on, three significant digits below, short from a million on."""
    if amount is None:
        return NOTHING
    usd = _usd(amount)
    text = _three_digits(abs(usd)) if abs(usd) < CENT else _cents(abs(usd))
    return _sign(usd) + text


def unit_money(amount: Amount | None) -> str:
    """An average or the cost of one call: three significant digits below one dollar."""
    if amount is None:
        return NOTHING
    usd = _usd(amount)
    text = _three_digits(abs(usd)) if abs(usd) < 1 else _cents(abs(usd))
    return _sign(usd) + text


def exact_money(amount: Amount | None) -> str:
    """Every digit, for tooltips: two decimals or nine, since $1,043.834 reads like a million.

    An average has no end, so it gets twelve.
    """
    if amount is None:
        return NOTHING
    if isinstance(amount, Fraction):
        return f"{_sign(_usd(amount))}${abs(_usd(amount)):,.12f}"
    whole, decimals = usd_text(Money(abs(amount))).split(".")
    decimals = decimals if len(decimals) == 2 else decimals.ljust(9, "0")
    return f"{_sign(_usd(amount))}${int(whole):,}.{decimals}"


def price(pico_usd_per_token: int | None) -> str:
    """What a million tokens cost; a price of 0 is a price."""
    return unit_money(None if pico_usd_per_token is None else pico_usd_per_token * 1000)


def exact_price(pico_usd_per_token: int | None) -> str:
    """What one token costs, for tooltips: every digit and no more."""
    if pico_usd_per_token is None:
        return NOTHING
    usd = Decimal(pico_usd_per_token).scaleb(-12)
    whole, _, decimals = f"{usd:f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')} a token"


def exact_pico(pico_usd: int) -> str:
    """An amount in pico-USD, every digit and no more."""
    whole, _, decimals = f"{Decimal(pico_usd).scaleb(-12):f}".partition(".")
    return f"${int(whole):,}.{decimals.rstrip('0').ljust(2, '0')}"


def count(number: Amount) -> str:
    """Exact below 10,000; above that three digits with a letter, rounded before it is chosen."""
    number = round(number)
    if abs(number) < 10_000:
        return exact_count(number)
    value = Decimal(abs(number))
    for letter in LETTERS:
        value /= 1000
        rounded = _round(value, 1) if _round(value, 1) < 100 else _round(value, 0)
        if rounded < 1000 or letter == LETTERS[-1]:
            break
    return f"{_sign(Decimal(number))}{rounded:,}{letter}"


def exact_count(number: int) -> str:
    return f"{_sign(Decimal(number))}{abs(number):,}"


def rate(part: Amount | None) -> str:
    """A part of a whole as a percent, with more decimals the smaller it is."""
    if part is None:
        return NOTHING
    percent = Decimal(part.numerator) * 100 / Decimal(part.denominator)
    if percent == 0:
        return "0 %"
    if _round(percent, 2) == 0:
        return "< 0.01 %"
    for decimals, end in ((2, 2), (1, 10)):
        if _round(percent, decimals) < end:
            return f"{_round(percent, decimals)} %"
    return f"{_round(percent, 0)} %"


def share(part: int, whole: int) -> str:
    """A part of a sum as an integer percent."""
    if not whole:
        return NOTHING
    percent = Decimal(part) * 100 / Decimal(whole)
    return "< 1 %" if 0 < percent < 1 else f"{_round(percent, 0)} %"


def change(current: Amount | None, previous: Amount | None) -> str:
    """How much more or less than before; growth from nothing has no percent."""
    if current is None:
        return NOTHING
    if not previous:
        return "unchanged" if current == 0 and previous == 0 else "new"
    percent = (Fraction(current) - previous) * 100 / abs(Fraction(previous))
    number = _round(Decimal(abs(percent.numerator)) / Decimal(percent.denominator), 0)
    if number == 0:
        return "unchanged"
    arrow = "↑" if percent > 0 else "↓"
    return f"{arrow} {number} %" if number < 1000 else f"{arrow} over 999 %"


def moment(value: datetime, zone: ZoneInfo) -> str:
    """Absolute, to the second, with the zone."""
    local = value.astimezone(zone)
    return f"{_day(local)}, {local:%H:%M:%S %Z}"


def clock_time(value: datetime, zone: ZoneInfo) -> str:
    return f"{value.astimezone(zone):%H:%M:%S %Z}"


def ago(value: datetime, now: datetime) -> str:
    """How long ago; the absolute moment has to stand beside it."""
    return "just now" if now - value < timedelta(minutes=1) else f"{_length(now - value)} ago"


def span(length: timedelta) -> str:
    """A length of time in its largest whole unit."""
    return "less than a minute" if length < timedelta(minutes=1) else _length(length)


def left(value: datetime, now: datetime) -> str:
    """How long until a moment that is to come."""
    if value - now < timedelta(minutes=1):
        return "in less than a minute"
    return f"in {_length(value - now)}"


def days(since: datetime, until: datetime, zone: ZoneInfo) -> str:
    """The local days of a span in words; `until` is the last moment in it."""
    first, last = since.astimezone(zone), until.astimezone(zone)
    if first.date() == last.date():
        return f"{_day(last)}, {zone.key}"
    if first.year != last.year:
        begin = _day(first)
    elif first.month != last.month:
        begin = f"{first.day} {first:%b}"
    else:
        return f"{first.day}–{_day(last)}, {zone.key}"
    return f"{begin} – {_day(last)}, {zone.key}"


def hours(since: datetime, until: datetime, zone: ZoneInfo) -> str:
    """A span of hours in words."""
    first, last = since.astimezone(zone), until.astimezone(zone)
    return f"{first.day} {first:%b, %H:%M} – {_day(last)}, {last:%H:%M}, {zone.key}"


def short_day(value: datetime, zone: ZoneInfo) -> str:
    """A local day below an axis; the window in words has the year and the zone."""
    local = value.astimezone(zone)
    return f"{local.day} {local:%b}"


def short_hour(value: datetime, zone: ZoneInfo) -> str:
    """A local hour below an axis, with its day where one begins."""
    local = value.astimezone(zone)
    return f"{local:%H:%M}" if local.hour else f"{local.day} {local:%b}"


def seconds(milliseconds: Amount) -> str:
    """A duration, in seconds from one second on and in minutes from one minute on."""
    milliseconds = round(milliseconds)
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 59_950:
        return f"{_round(Decimal(milliseconds) / 1000, 1)} s"
    minutes, left_over = divmod(round(Fraction(milliseconds, 1000)), 60)
    return f"{minutes} min {left_over} s"


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            money,
            unit_money,
            exact_money,
            price,
            exact_price,
            exact_pico,
            count,
            exact_count,
            rate,
            share,
            change,
            moment,
            clock_time,
            ago,
            span,
            left,
            days,
            hours,
            short_day,
            short_hour,
            seconds,
        )
    }
)


def _usd(amount: Amount) -> Decimal:
    return Decimal(amount.numerator) / (amount.denominator * NANO_PER_USD)


def _sign(value: Decimal) -> str:
    return MINUS if value < 0 else ""


def _round(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)


def _cents(usd: Decimal) -> str:
    if _round(usd, 2) < 1_000_000:
        return f"${_round(usd, 2):,}"
    millions = _round(usd / 1_000_000, 2)
    return f"${millions:,}M" if millions < 1000 else f"${_round(usd / 1_000_000_000, 2):,}B"


def _three_digits(usd: Decimal) -> str:
    if usd == 0:
        return "$0.00"
    rounded = _round(usd, 2 - usd.adjusted())
    whole, _, decimals = f"{rounded:f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _day(local: datetime) -> str:
    return f"{local.day} {local:%b %Y}"


def _length(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"

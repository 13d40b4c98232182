"""The range that a page's address asks for; what makes no sense becomes the default."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from ai_gateway.services.periods import AskedRange, Period, RangeName
from ai_gateway.web.admin.links import here

ONE_DAY = timedelta(days=1)

WORDS = {
    RangeName.HOURS_24: "24 h",
    RangeName.DAYS_7: "7 days",
    RangeName.DAYS_30: "30 days",
    RangeName.MONTH: "Month",
}
"""The ranges that have a link; a custom one has a form."""


def range_options() -> list[tuple[str, str]]:
    """Value and words of each range that has a link."""
    return [(name.value, words) for name, words in WORDS.items()]


def read_range(arguments: MultiDict[str, str]) -> AskedRange:
    """Read `range`, and for a custom one its inclusive days `from` and `to` (YYYY-MM-DD)."""
    try:
        name = RangeName(arguments.get("range", RangeName.DAYS_7))
    except ValueError:
        return AskedRange()
    if name is not RangeName.CUSTOM:
        return AskedRange(name)
    first, last = _day(arguments.get("from", "")), _day(arguments.get("to", ""))
    return AskedRange(name, first, last) if first and last else AskedRange()


def range_parameters(asked: AskedRange) -> dict[str, str]:
    """What `read_range` reads back; nothing for the default."""
    if asked == AskedRange():
        return {}
    days = {"from": asked.first, "to": asked.last}
    return {"range": asked.name.value} | {
        name: day.isoformat() for name, day in days.items() if day is not None
    }


def earlier(period: Period, zone: ZoneInfo) -> str:
    """The address of as many days just before."""
    first, last = _shown_days(period, zone)
    length = last - first + ONE_DAY
    return _custom(first - length, last - length)


def later(period: Period, zone: ZoneInfo) -> str:
    """The address of as many days just after; empty where they would be to come."""
    if period.is_running:
        return ""
    first, last = _shown_days(period, zone)
    length = last - first + ONE_DAY
    return _custom(first + length, last + length)


def _shown_days(period: Period, zone: ZoneInfo) -> tuple[date, date]:
    return period.since.astimezone(zone).date(), period.last_moment.astimezone(zone).date()


def _custom(first: date, last: date) -> str:
    days = {"from": first.isoformat(), "to": last.isoformat()}
    return here(range=RangeName.CUSTOM.value, page=None, **days)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None

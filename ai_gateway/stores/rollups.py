"""Sums that pages read instead of the ledger: by hour, by account, and by latency.

A late correction is a difference like any other; only the first entry of a call has a latency.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from math import floor, log
from typing import Any
from zoneinfo import ZoneInfo

from ai_gateway.domain.call import TALLY_FIELDS
from ai_gateway.domain.limits import Window, quarter_of, window_start
from ai_gateway.domain.outbox import OutboxEntry

CALL = "call"
"""The other kind of entry is `adjustment`: it moves an account and is no cost."""

HOUR_SUMS = ("cost_nano_usd", *TALLY_FIELDS)
ACCOUNT_SUMS = ("spent_nano_usd", "cost_nano_usd", "requests")
BUCKET_GROWTH = 1.1
"""Each latency bucket is 10 % wider than the one before (architecture.md 8.8)."""

DURATION, FIRST_TOKEN, OVERHEAD = "duration", "first_token", "overhead"
"""Kinds of times. The first two are in milliseconds, the gateway's own time in microseconds."""

Row = dict[str, Any]


def local_hour(moment: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the hour of `moment` began on the clocks of `zone`."""
    return _hour_of(quarter_of(moment), zone)


@lru_cache(maxsize=256)
def _hour_of(quarter: datetime, zone: ZoneInfo) -> datetime:
    return quarter.astimezone(zone).replace(minute=0).astimezone(UTC)


def by_hour(calls: Sequence[OutboxEntry], zone: ZoneInfo) -> list[Row]:
    """Rows of `usage_hour`: sums by hour of admission, user, provider and model."""
    names = ("user_id", "provider", "model")
    return _summed(calls, "hour", partial(local_hour, zone=zone), names)


def by_model_hour(calls: Sequence[OutboxEntry], zone: ZoneInfo) -> list[Row]:
    """Rows of `model_hour`: the same over all users."""
    return _summed(calls, "hour", partial(local_hour, zone=zone), ("provider", "model"))


def by_model_day(calls: Sequence[OutboxEntry], zone: ZoneInfo) -> list[Row]:
    """Rows of `model_day`: sums by local day of admission, provider and model."""
    return _summed(calls, "day", partial(_local_day, zone=zone), ("provider", "model"))


def _local_day(moment: datetime, zone: ZoneInfo) -> datetime:
    return _day_of(quarter_of(moment), zone)


@lru_cache(maxsize=256)
def _day_of(quarter: datetime, zone: ZoneInfo) -> datetime:
    return window_start(Window.DAY, quarter, zone)


def _summed(
    calls: Sequence[OutboxEntry],
    start_name: str,
    start_of: Callable[[datetime], datetime],
    names: tuple[str, ...],
) -> list[Row]:
    sums: dict[tuple[Any, ...], Row] = {}
    for call in calls:
        key = (start_of(call.admitted_at), *(call.words[name] for name in names))
        row = sums.get(key) or sums.setdefault(key, dict.fromkeys(HOUR_SUMS, 0))
        row["cost_nano_usd"] += call.cost
        for name, count in call.tally.items():
            if count:  # most are 0
                row[name] += count
    return [dict(zip((start_name, *names), key, strict=True)) | row for key, row in sums.items()]


def by_account(entries: Iterable[OutboxEntry]) -> list[Row]:
    """Rows of `account_total`: costs and adjustments by account, and what calls alone did."""
    rows: dict[tuple[str, int, str], Row] = {}
    for entry in entries:
        for account in entry.accounts:
            key = account.scope.value, account.subject_id, account.window_id
            row = rows.get(key) or rows.setdefault(key, account_row(key))
            row["spent_nano_usd"] += entry.cost
            if entry.kind == CALL:
                row["cost_nano_usd"] += entry.cost
                row["requests"] += entry.tally["requests"]
                known = row["last_request_at"] or entry.admitted_at
                row["last_request_at"] = max(known, entry.admitted_at)
    return list(rows.values())


def by_latency_hour(calls: Iterable[OutboxEntry], zone: ZoneInfo) -> list[Row]:
    """Rows of `latency_bucket`: durations, times to first token of streams, and own time."""
    names = ("hour", "provider", "model", "kind", "bucket")
    return _counted(
        names,
        (
            (local_hour(call.admitted_at, zone), call.words["provider"], call.words["model"], *at)
            for call, at in _buckets(calls)
        ),
    )


def by_latency_day(calls: Iterable[OutboxEntry], zone: ZoneInfo) -> list[Row]:
    """Rows of `latency_day`: the same by local day, without the model."""
    names = ("day", "provider", "kind", "bucket")
    return _counted(
        names,
        (
            (_local_day(call.admitted_at, zone), call.words["provider"], *at)
            for call, at in _buckets(calls)
        ),
    )


def by_outcome(
    calls: Iterable[OutboxEntry], earlier: Mapping[tuple[str, int], str], zone: ZoneInfo
) -> list[Row]:
    """Rows of `outcome_hour`: a later entry of a call takes it from its `earlier` outcome.

    `earlier` has the outcome of each entry that comes before one of these, by request and number.
    """
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for call in calls:
        start = (local_hour(call.admitted_at, zone), call.words["provider"])
        before = earlier.get((call.request_id, call.entry_no - 1))
        if before is not None:
            counts[*start, before] -= 1
        counts[*start, call.words["outcome"]] += 1
    names = ("hour", "provider", "outcome")
    return [dict(zip(names, key, strict=True)) | {"count": n} for key, n in counts.items() if n]


def _buckets(calls: Iterable[OutboxEntry]) -> Iterator[tuple[OutboxEntry, tuple[str, int]]]:
    """The measured times of the first entries, each as its kind and bucket."""
    for call in calls:
        if not call.tally["requests"]:
            continue
        measured = {
            DURATION: call.tally["latency_ms"],
            FIRST_TOKEN: call.words["ttft_ms"],
            OVERHEAD: call.overhead_us,
        }
        for kind, time in measured.items():
            if time is not None:
                yield call, (kind, bucket_of(int(time)))


def _counted(names: tuple[str, ...], keys: Iterable[tuple[Any, ...]]) -> list[Row]:
    return [dict(zip(names, key, strict=True)) | {"count": n} for key, n in Counter(keys).items()]


def bucket_of(time: int) -> int:
    """The number of the bucket that holds a time; bucket 0 is up to and with 1 of its unit."""
    return 0 if time <= 1 else floor(log(time, BUCKET_GROWTH))


def bucket_time(bucket: int) -> float:
    """The middle of a bucket: at most 5 % from every time in it."""
    return float(BUCKET_GROWTH ** (bucket + 0.5))


def account_row(key: tuple[str, int, str]) -> Row:
    """A row of `account_total` on which nothing was booked yet."""
    names = ("scope", "subject_id", "window_id")
    return dict(zip(names, key, strict=True)) | {
        "spent_nano_usd": 0,
        "is_refused": False,
        "cost_nano_usd": 0,
        "requests": 0,
        "last_request_at": None,
    }

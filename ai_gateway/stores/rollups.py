"""Sums that pages read instead of the ledger: by hour, by account, and by latency.

A late correction is a difference like any other; only the first entry of a call has a latency.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import floor, log
from typing import Any
from zoneinfo import ZoneInfo

from ai_gateway.domain.call import TALLY_FIELDS
from ai_gateway.domain.outbox import OutboxEntry

CALL = "call"
"""The other kind of entry is `adjustment`: it moves an account and is no cost."""

HOUR_SUMS = ("cost_nano_usd", *TALLY_FIELDS)
BUCKET_GROWTH = 1.1
"""Each latency bucket is 10 % wider than the one before (architecture.md 8.8)."""

Row = dict[str, Any]


def local_hour(moment: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the hour of `moment` began on the clocks of `zone`."""
    local = moment.astimezone(zone)
    return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def by_hour(calls: Sequence[OutboxEntry], zone: ZoneInfo) -> list[Row]:
    """Rows of `usage_hour`: sums by hour of admission, user, provider and model."""
    names = ("hour", "user_id", "provider", "model")
    sums: dict[tuple[Any, ...], Row] = {}
    for call in calls:
        words = call.words
        key = (local_hour(call.admitted_at, zone), *(words[name] for name in names[1:]))
        row = sums.setdefault(key, dict.fromkeys(HOUR_SUMS, 0))
        row["cost_nano_usd"] += call.cost
        for name, count in call.tally.items():
            row[name] += count
    return [dict(zip(names, key, strict=True)) | row for key, row in sums.items()]


def by_account(entries: Iterable[OutboxEntry]) -> list[Row]:
    """Rows of `account_total`: costs and adjustments by account."""
    totals: dict[tuple[str, int, str], int] = defaultdict(int)
    for entry in entries:
        for account in entry.accounts:
            totals[account.scope.value, account.subject_id, account.window_id] += entry.cost
    return [account_row(key, amount) for key, amount in totals.items()]


def by_latency(calls: Iterable[OutboxEntry], zone: ZoneInfo) -> list[Row]:
    """Rows of `latency_bucket`: durations, and times to first token of streams."""
    names = ("hour", "provider", "model", "kind", "bucket")
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for call in calls:
        if not call.tally["requests"]:
            continue
        start = (local_hour(call.admitted_at, zone), call.words["provider"], call.words["model"])
        measured = {"duration": call.tally["latency_ms"], "first_token": call.words["ttft_ms"]}
        for kind, milliseconds in measured.items():
            if milliseconds is not None:
                counts[*start, kind, bucket_of(int(milliseconds))] += 1
    return [dict(zip(names, key, strict=True)) | {"count": n} for key, n in counts.items()]


def bucket_of(milliseconds: int) -> int:
    """The number of the bucket that holds a time; bucket 0 is up to and with 1 ms."""
    return 0 if milliseconds <= 1 else floor(log(milliseconds, BUCKET_GROWTH))


def account_row(key: tuple[str, int, str], amount: int) -> Row:
    names = ("scope", "subject_id", "window_id")
    return dict(zip(names, key, strict=True)) | {"spent_nano_usd": amount, "is_refused": False}

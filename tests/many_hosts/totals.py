"""What has to be true after everything came to rest: the figures of a run, and all that is wrong.

It only reads: what clients were told, the ledger, the totals in SQL, the counters in Redis and what
the provider billed.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from ai_gateway.stores import redis_keys
from tests.e2e.caller import price_of
from tests.faults.checker import Call, complaints_of_calls
from tests.faults.history import Told
from tests.many_hosts.site import Site
from tests.running import wait_for

REST_SECONDS = 120.0
"""A lease lasts 45 s, and what Redis lost is booked again after that."""

Row = dict[str, Any]
Sums = dict[str, int]


@dataclass(frozen=True, slots=True)
class Books:
    """All that was booked, in three places; the accounts by name."""

    calls: Sequence[Call]
    ledger: Sums
    totals: Sums
    counters: Sums
    held: int
    seq_gaps: int
    seq_repeats: int
    billed: int


def come_to_rest(site: Site) -> None:
    """Wait until nothing is held, nothing waits for the ledger, and Redis is trusted."""

    def rests() -> bool:
        with site.client() as store:
            return (
                bool(store.hexists(redis_keys.META, "epoch"))
                and store.zcard(redis_keys.LEASES) == 0
                and store.xlen(redis_keys.OUTBOX) == 0
            )

    wait_for(rests, "nothing is held and nothing waits", REST_SECONDS)
    wait_for(lambda: not list(_of_accounts(books_of(site))), "sums agree", REST_SECONDS)


def books_of(site: Site) -> Books:
    rows = site.rows(
        "SELECT entry.*, key.id AS key_number FROM ledger_entry AS entry"
        " JOIN virtual_key AS key ON key.key_id = entry.key_id ORDER BY entry.id"
    )
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["request_id"]].append(row)
    totals = {
        f"{row['scope']}:{row['subject_id']}:{row['window_id']}": row["spent_nano_usd"]
        for row in site.rows("SELECT * FROM account_total WHERE requests > 0")
    }
    counters, held = _counters(site)
    numbers = [row["seq"] for row in rows]
    return Books(
        calls=[Call(*call) for call in grouped.items()],
        ledger=ledger_sums(rows),
        totals=totals,
        counters=counters,
        held=held,
        seq_gaps=max(numbers, default=0) - len(set(numbers)),
        seq_repeats=len(numbers) - len(set(numbers)),
        billed=sum(price_of(call) for call in site.simulator.calls()),
    )


def ledger_sums(rows: Sequence[Row]) -> Sums:
    """What the entries come to in each account."""
    sums: Sums = defaultdict(int)
    for row in rows:
        for account in _accounts_of(row):
            sums[account] += row["cost_nano_usd"]
    return dict(sums)


def complaints(told: Sequence[Told], books: Books) -> list[str]:
    """All that is wrong."""
    found = list(_of_accounts(books))
    if books.held:
        found.append(f"{books.held} nano-USD are held and nothing runs")
    if books.seq_gaps:
        found.append(f"{books.seq_gaps} numbers of the sequence are in no entry")
    keys = {row["key_id"] for call in books.calls for row in call.rows}
    for key in keys | {one.key_id for one in told}:
        of_key = [call for call in books.calls if call.rows[0]["key_id"] == key]
        mine = [one for one in told if one.key_id == key]
        found += [f"{key}: {complaint}" for complaint in complaints_of_calls(mine, of_key)]
    return found


def figures(told: Sequence[Told], books: Books) -> dict[str, int]:
    """What a run shows, by name."""
    ends = [one.end for one in told]
    rows = [row for call in books.calls for row in call.rows]
    heard_of = {one.request_id for one in told}
    return {
        "attempts of clients": len(told),
        "answered whole": ends.count("whole"),
        "refused with 503": sum(one.status == 503 for one in told),
        "refused with 429": sum(one.status == 429 for one in told),
        "broken off, or no answer at all": sum(end in {"broken", "nothing"} for end in ends),
        "calls in the ledger": len(books.calls),
        "of which no client heard": sum(c.request_id not in heard_of for c in books.calls),
        "of which estimated": sum(
            any(row["confidence"] == "estimated" for row in call.rows) for call in books.calls
        ),
        "entries": len(rows),
        "nano-USD in the ledger": sum(row["cost_nano_usd"] for row in rows),
        "nano-USD billed by the provider": books.billed,
        "accounts compared": len(books.ledger),
        "gaps in the sequence": books.seq_gaps,
        "numbers given twice": books.seq_repeats,
    }


def _of_accounts(books: Books) -> Iterator[str]:
    for name in sorted(books.ledger.keys() | books.totals.keys() | books.counters.keys()):
        sums = [of.get(name, 0) for of in (books.ledger, books.totals, books.counters)]
        if len(set(sums)) != 1:
            yield "{}: ledger {}, totals {}, counter {}".format(name, *sums)


def _accounts_of(row: Row) -> Iterator[str]:
    """The accounts that an entry belongs to; a run is over before its day is."""
    day = row["admitted_at"].astimezone(UTC).strftime("%Y-%m-%d")
    yield f"installation:0:{day[:7]}"
    for scope, subject in (("user", row["user_id"]), ("key", row["key_number"])):
        yield f"{scope}:{subject}:{day}"
        yield f"{scope}:{subject}:{day[:7]}"


def _counters(site: Site) -> tuple[Sums, int]:
    counters, held = {}, 0
    with site.client() as store:
        for name in store.scan_iter(redis_keys.EVERY_ACCOUNT, count=1000):
            spent, open_holds = store.hmget(name, "spent", "held")
            counters[redis_keys.account_of(str(name)).name] = int(spent or 0)
            held += int(open_holds or 0)
    return counters, held

"""5. Redis loses everything while calls run: how soon are the counters exact again?

What `make total-loss` measures, with each kind of database.
"""

from collections import Counter
from datetime import UTC, datetime

from bench.scale.databases import KINDS, server
from bench.total_loss.crowd import ACCOUNTS_OF_ONE, Crowd
from bench.total_loss.loss import Loss
from bench.total_loss.loss import measure as losses
from tests.figures.figure import Figure, Measured, Trial

LOSSES = 3
ROWS_OF_ACCOUNT = 10
MOST_SECONDS = 5.0
SERVED_OR_TOLD_WHEN = {200, 503}


def measure(trial: Trial) -> Measured:
    """So many accounts with ten rows each, and three losses of everything for each database."""
    crowd = Crowd(
        trial.amount // ACCOUNTS_OF_ONE, trial.amount * ROWS_OF_ACCOUNT, datetime.now(UTC)
    )
    found: dict[str, list[Loss]] = {}
    for number, kind in enumerate(KINDS, 1):
        with server(kind) as opened:
            found[kind] = list(losses(opened, crowd, bookkeepers=1, times=LOSSES))
        for loss in found[kind]:
            trial.record.event("loss", database=kind, differences=loss.differences)
            trial.record.event("refused", database=kind, seconds=loss.refused_for_seconds)
        trial.has_done(trial.amount * number // len(KINDS))
    return measured(found)


def measured(found: dict[str, list[Loss]]) -> Measured:
    """The slowest loss of all, and what differed after any."""
    everything = [loss for of_kind in found.values() for loss in of_kind]
    slowest = max(loss.refused_for_seconds for loss in everything)
    differences = sum(loss.differences for loss in everything)
    answers = sum((Counter(loss.answers) for loss in everything), Counter[int]())
    counts: dict[str, int | float] = {
        "losses": len(everything),
        "accounts": min(loss.accounts for loss in everything),
        "rows": min(loss.rows for loss in everything),
        "accounts that differ": differences,
    }
    for kind, of_kind in found.items():
        slow = max(loss.refused_for_seconds for loss in of_kind)
        counts[f"seconds at most, {kind}"] = round(slow, 2)
    counts |= {f"answers {status}": count for status, count in sorted(answers.items())}
    wrong = [f"a call was answered {status}" for status in answers.keys() - SERVED_OR_TOLD_WHEN]
    is_met = slowest < MOST_SECONDS and not differences and not wrong
    return Measured(f"{slowest:.1f} s; {differences} differ", is_met, counts, tuple(wrong))


FIGURE = Figure(
    5,
    "Total loss of Redis: time to exact counters; difference",
    "less than 5 s with 100,000 accounts and 1,000,000 rows this month; 0",
    "Users with calls of this month, ten rows of the ledger for each account; `FLUSHALL` while a "
    "client calls; the time ends when it is served again, and then counters and ledger are "
    "compared, every account. Three losses for SQLite and three for PostgreSQL; the slowest "
    "counts. No call may be answered otherwise than 200 or 503.",
    "accounts",
    10_000,
    100_000,
    measure,
)

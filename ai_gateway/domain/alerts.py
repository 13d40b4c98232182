"""What staff are told of: the rules, what makes one fire, and what a message says.

`SPECS` is the one table: pages, commands, the API and the bookkeeper derive from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

MOST_COOL_DOWN = timedelta(days=30)
MOST_LINES = 20
"""So many subjects stand in one message; the others are counted."""


class AlertKind(StrEnum):
    """What is looked at."""

    BUDGET_NEAR = "budget_near"
    BUDGET_REACHED = "budget_reached"
    BUDGET_PROJECTED = "budget_projected"
    UNPRICED_MODEL = "unpriced_model"
    PROVIDER_ERRORS = "provider_errors"
    LEDGER_DRIFT = "ledger_drift"
    OUTBOX_LAG = "outbox_lag"
    EXPORT_QUEUE = "export_queue"
    REDIS_DOWN = "redis_down"
    SQL_DOWN = "sql_down"


@dataclass(frozen=True, slots=True)
class Rule:
    """What staff chose for a kind. `version` is 0 until they chose anything."""

    kind: AlertKind
    is_on: bool
    threshold: int
    cool_down: timedelta
    version: int = 0


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A kind of alert: what it is called, how its threshold is counted, what holds by default."""

    title: str
    about: str
    unit: str
    low: int
    high: int
    threshold: int
    cool_down: timedelta
    is_recommended: bool = False


HOUR, DAY, NONE = timedelta(hours=1), timedelta(days=1), timedelta(0)

SPECS = MappingProxyType(
    {
        AlertKind.BUDGET_NEAR: RuleSpec(
            "Budget nearly spent",
            "A user, a key or the installation has spent so much of a limit, and not all of it.",
            "% of the limit",
            1,
            99,
            80,
            NONE,
        ),
        AlertKind.BUDGET_REACHED: RuleSpec(
            "Budget spent",
            "A user, a key or the installation has spent so much of a limit; from 100 % on also "
            "where the last call was refused.",
            "% of the limit",
            1,
            1000,
            100,
            NONE,
            is_recommended=True,
        ),
        AlertKind.BUDGET_PROJECTED: RuleSpec(
            "Budget will not last",
            "At the pace of the last seven full days the month ends at so much of its limit.",
            "% of the limit",
            1,
            1000,
            100,
            NONE,
        ),
        AlertKind.UNPRICED_MODEL: RuleSpec(
            "Model without a price",
            "So many requests of today went to a model whose price nobody knows.",
            "requests",
            1,
            1_000_000,
            1,
            7 * DAY,
            is_recommended=True,
        ),
        AlertKind.PROVIDER_ERRORS: RuleSpec(
            "Provider fails",
            "So large a part of the calls of this hour and the one before failed; at least 20 "
            "calls, or it tells nothing.",
            "% of the calls",
            1,
            100,
            20,
            HOUR,
        ),
        AlertKind.LEDGER_DRIFT: RuleSpec(
            "Counters and ledger differ",
            "The counter of the installation's month is not what was booked.",
            "US cents",
            1,
            100_000_000,
            100,
            HOUR,
        ),
        AlertKind.OUTBOX_LAG: RuleSpec(
            "Ledger is behind",
            "The oldest settled call has waited so long to be booked.",
            "seconds",
            10,
            86_400,
            120,
            HOUR,
        ),
        AlertKind.EXPORT_QUEUE: RuleSpec(
            "Traces pile up or are lost",
            "So many traces wait to be sent to LangSmith, or some were dropped just now.",
            "traces",
            1,
            1_000_000,
            1000,
            HOUR,
        ),
        AlertKind.REDIS_DOWN: RuleSpec(
            "Redis is down",
            "So long Redis has not answered, or its counters were not restored: no call is "
            "admitted.",
            "seconds",
            0,
            86_400,
            60,
            timedelta(minutes=10),
            is_recommended=True,
        ),
        AlertKind.SQL_DOWN: RuleSpec(
            "The database is down",
            "So long the database has not answered: calls go on, and wait to be booked.",
            "seconds",
            0,
            86_400,
            60,
            timedelta(minutes=10),
        ),
    }
)


def default_rule(kind: AlertKind) -> Rule:
    """What holds where staff chose nothing."""
    spec = SPECS[kind]
    return Rule(kind, is_on=True, threshold=spec.threshold, cool_down=spec.cool_down)


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that a rule has to do with now.

    `subject` and `window` name it: once is told for each pair. Without a `window`, which is that of
    a budget, it lasts until it is over. `name` and `words` are for people. One that is not firing
    keeps an alert open that there is, and opens none.
    """

    subject: str
    name: str
    words: str
    window: str = ""
    is_firing: bool = True


class NoticeState(StrEnum):
    """What a message is about."""

    FIRING = "firing"
    RESOLVED = "resolved"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message; `id` is the same however often it is sent. `kind` is None for a test."""

    id: str
    state: NoticeState
    kind: AlertKind | None
    title: str
    lines: tuple[str, ...]
    at: datetime


def notice_of(
    notice_id: str,
    state: NoticeState,
    kind: AlertKind,
    found: Sequence[Condition],
    at: datetime,
) -> Notice:
    """Tell of one subject by its name, and of several in one message."""
    title = SPECS[kind].title
    about = found[0].name if len(found) == 1 else f"{len(found)} of them"
    start = "Resolved: " if state is NoticeState.RESOLVED else ""
    lines = [f"{one.name}: {one.words}" for one in found[:MOST_LINES]]
    if len(found) > MOST_LINES:
        lines.append(f"and {len(found) - MOST_LINES} more: the alerts page has them all")
    if state is NoticeState.RESOLVED and any(one.window for one in found):
        lines.append("Of the same budget nothing more is told before its window ends.")
    return Notice(
        notice_id,
        state,
        kind,
        printable(f"{start}{title}: {about}"),
        tuple(map(printable, lines)),
        at,
    )


def printable(text: str) -> str:
    """On one line and without control characters: names are chosen by people."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


MOST_ATTEMPTS = 12
_FIRST_RETRY = timedelta(seconds=15)
_LONGEST_RETRY = timedelta(minutes=30)


def retry_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts that failed: all take two and a half hours."""
    doubled: timedelta = _FIRST_RETRY * 2 ** (attempts - 1)
    return min(doubled, _LONGEST_RETRY)

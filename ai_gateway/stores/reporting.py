"""What the staff pages read: sums of the roll-ups, and the last calls from the ledger by its index.

Reads only. No method sums ledger entries over more than the calls that it was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from fractions import Fraction

from sqlalchemy import ColumnElement, func, select

from ai_gateway.domain.money import ZERO, Money
from ai_gateway.stores.budget_use import BudgetUseStore
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import LedgerEntry, UsageHour, User, VirtualKey, db


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Sums over a span of hours. `tokens` are input and output; cached input is part of input."""

    requests: int = 0
    failures: int = 0
    cancellations: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost: Money = ZERO

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def plus(self, other: "UsageSums") -> "UsageSums":
        return UsageSums(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    @property
    def error_rate(self) -> Fraction | None:
        """The part of the requests that failed, 0 to 1; None without requests."""
        return Fraction(self.failures, self.requests) if self.requests else None

    @property
    def average_cost(self) -> Fraction | None:
        """Total cost by total requests, in nano-USD; None without requests."""
        return Fraction(self.cost, self.requests) if self.requests else None


@dataclass(frozen=True, slots=True)
class ProviderSums:
    """What went to one provider."""

    provider: str
    sums: UsageSums


@dataclass(frozen=True, slots=True)
class UserSums:
    """What one user caused; a user that is gone from the table has no name."""

    user_id: int
    username: str | None
    email: str | None
    requests: int
    cost: Money


@dataclass(frozen=True, slots=True)
class RecentCall:
    """One call as the ledger knows it: its entries summed, the words of the last one."""

    request_id: str
    admitted_at: datetime
    user_id: int
    username: str | None
    provider: str
    model: str
    outcome: str
    confidence: str
    price_status: str
    input_tokens: int
    output_tokens: int
    cost: Money
    latency_ms: int


@dataclass(frozen=True, slots=True)
class SetUpFacts:
    """Whether the first steps of an installation were done."""

    has_staff: bool
    has_key: bool
    has_call: bool


class ReportingStore:
    """Reads of the roll-ups; a span is the hours from `since` to before `until`, or to now.

    `budgets` reads what is spent of the limits.
    """

    def __init__(self) -> None:
        self.budgets = BudgetUseStore()

    @translated_errors()
    def sums_by_provider(
        self, since: datetime, until: datetime | None = None
    ) -> tuple[ProviderSums, ...]:
        """The providers of a span, the dearest first."""
        query = (
            select(UsageHour.provider, *_sums())
            .where(*_span(since, until))
            .group_by(UsageHour.provider)
            .order_by(func.sum(UsageHour.cost_nano_usd).desc(), UsageHour.provider)
        )
        return tuple(
            ProviderSums(provider, _read_sums(numbers))
            for provider, *numbers in db.session.execute(query)
        )

    @translated_errors()
    def sums(self, since: datetime, until: datetime | None = None) -> UsageSums:
        row = db.session.execute(select(*_sums()).where(*_span(since, until))).one()
        return _read_sums(row)

    @translated_errors()
    def top_users(self, since: datetime, count: int) -> tuple[UserSums, ...]:
        """The users with the highest cost since a moment; ties go by requests, then by id."""
        cost, requests = func.sum(UsageHour.cost_nano_usd), func.sum(UsageHour.requests)
        top = (
            select(UsageHour.user_id, requests.label("requests"), cost.label("cost"))
            .where(*_span(since, None))
            .group_by(UsageHour.user_id)
            .order_by(cost.desc(), requests.desc(), UsageHour.user_id)
            .limit(count)
            .subquery()
        )
        query = (
            select(top.c.user_id, User.username, User.email, top.c.requests, top.c.cost)
            .outerjoin_from(top, User, User.id == top.c.user_id)
            .order_by(top.c.cost.desc(), top.c.requests.desc(), top.c.user_id)
        )
        return tuple(
            UserSums(user_id, username, email, int(requests), Money(int(cost)))
            for user_id, username, email, requests, cost in db.session.execute(query)
        )

    @translated_errors()
    def recent_calls(self, count: int) -> tuple[RecentCall, ...]:
        """The calls that were admitted last, newest first."""
        newest = (
            select(LedgerEntry.request_id)
            # Only the first entry of a call counts a request; an adjustment counts none.
            .where(LedgerEntry.requests > 0)
            .order_by(LedgerEntry.admitted_at.desc(), LedgerEntry.id.desc())
            .limit(count)
        )
        ids = list(db.session.scalars(newest))
        query = (
            select(LedgerEntry, User.username)
            .outerjoin(User, User.id == LedgerEntry.user_id)
            .where(LedgerEntry.request_id.in_(ids))
            .order_by(LedgerEntry.request_id, LedgerEntry.entry_no)
        )
        names: dict[str, str | None] = {}
        entries: dict[str, list[LedgerEntry]] = {}
        for entry, username in db.session.execute(query):
            names[entry.request_id] = username
            entries.setdefault(entry.request_id, []).append(entry)
        return tuple(_read_call(entries[request_id], names[request_id]) for request_id in ids)

    @translated_errors()
    def set_up_facts(self) -> SetUpFacts:
        query = select(
            select(User.id).where(User.role != "none").exists(),
            select(VirtualKey.id).exists(),
            select(UsageHour.hour).exists(),
        )
        has_staff, has_key, has_call = db.session.execute(query).one()
        return SetUpFacts(bool(has_staff), bool(has_key), bool(has_call))


def _span(since: datetime, until: datetime | None) -> list[ColumnElement[bool]]:
    begin = [UsageHour.hour >= since]
    return begin if until is None else [*begin, UsageHour.hour < until]


_SUMMED = (
    "requests",
    "failures",
    "cancellations",
    "unpriced",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "cost_nano_usd",
)


def _sums() -> list[ColumnElement[int]]:
    return [func.coalesce(func.sum(getattr(UsageHour, name)), 0) for name in _SUMMED]


def _read_sums(row: Sequence[object]) -> UsageSums:
    # PostgreSQL sums bigint as numeric, which arrives as a Decimal.
    numbers = dict(zip(_SUMMED, (int(str(number)) for number in row), strict=True))
    cost = Money(numbers.pop("cost_nano_usd"))
    return UsageSums(**numbers, cost=cost)


def _read_call(entries: list[LedgerEntry], username: str | None) -> RecentCall:
    last = entries[-1]
    return RecentCall(
        request_id=last.request_id,
        admitted_at=last.admitted_at,
        user_id=last.user_id,
        username=username,
        provider=last.provider,
        model=last.model,
        outcome=last.outcome,
        confidence=last.confidence,
        price_status=last.price_status,
        input_tokens=sum(entry.input_tokens for entry in entries),
        output_tokens=sum(entry.output_tokens for entry in entries),
        cost=Money(sum(entry.cost_nano_usd for entry in entries)),
        latency_ms=sum(entry.latency_ms for entry in entries),
    )

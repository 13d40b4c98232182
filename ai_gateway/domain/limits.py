"""Kinds of limit, their calendar windows in the reporting zone, and the state of a budget.

`BUDGETS` is the one table: scripts, commands, forms and labels derive from it.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from ai_gateway.domain.money import ZERO, Money

WARNING_PERCENT = 80


class Scope(StrEnum):
    """Whose spend is summed."""

    INSTALLATION = "installation"
    USER = "user"
    KEY = "key"


class Window(StrEnum):
    """The calendar span after which an account starts afresh."""

    DAY = "day"
    MONTH = "month"


class BudgetState(StrEnum):
    """`warning` from 80 %; `exceeded` from 100 %, or when the last decision was a refusal."""

    OK = "ok"
    WARNING = "warning"
    EXCEEDED = "exceeded"


class LimitKind(StrEnum):
    """An explicit `none` is not the same as no choice at all, which inherits.

    An `amount` is a ceiling; what reaches one of kind `warn` is shown and told, and goes on.
    """

    AMOUNT = "amount"
    WARN = "warn"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Budget:
    """A kind of limit: a scope and a window."""

    scope: Scope
    window: Window


BUDGETS = (
    Budget(Scope.INSTALLATION, Window.MONTH),
    Budget(Scope.USER, Window.DAY),
    Budget(Scope.USER, Window.MONTH),
    Budget(Scope.KEY, Window.DAY),
    Budget(Scope.KEY, Window.MONTH),
)
INSTALLATION_ID = 0
"""The subject of the installation's one account."""

EVERYBODY = 0
"""The subject of the limits that hold for whoever has none of their own; nobody has this id."""

COMMON_BUDGETS = BUDGETS[:3]
"""The budgets whose limit is set for all at once: the installation's, and the users' default."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit in force for one budget; `amount` counts for nothing without one."""

    kind: LimitKind
    amount: Money = ZERO

    @property
    def is_amount(self) -> bool:
        """Whether spend is compared with an amount, whatever happens when that is reached."""
        return self.kind is not LimitKind.NONE

    @property
    def is_ceiling(self) -> bool:
        """Whether a call that does not fit is refused."""
        return self.kind is LimitKind.AMOUNT


NO_LIMIT = Limit(LimitKind.NONE)


@dataclass(frozen=True, slots=True)
class Account:
    """One counter: whose, and of which window (`2026-11-25` or `2026-11`)."""

    scope: Scope
    subject_id: int
    window: Window
    window_id: str
    name: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Made once: each script asks for it, and callers come again.
        name = f"{self.scope}:{self.subject_id}:{self.window_id}"
        object.__setattr__(self, "name", name)


@lru_cache(maxsize=4096)
def account_from_name(name: str) -> Account:
    """Read back what `Account.name` wrote."""
    scope, subject_id, window_id = name.split(":")
    window = Window.DAY if window_id.count("-") == 2 else Window.MONTH
    return Account(Scope(scope), int(subject_id), window, window_id)


def window_id(window: Window, moment: datetime, zone: ZoneInfo) -> str:
    """Name the calendar window that holds `moment` in the reporting zone."""
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d}" if window is Window.DAY else f"{local:%Y-%m}"


def quarter_of(moment: datetime) -> datetime:
    """The quarter of an hour that holds a moment: in no zone does an hour or a window end inside.

    What is found out about its zone can be kept for all moments in it.
    """
    return moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)


def window_start(window: Window, moment: datetime, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, of the window that holds `moment`."""
    local = moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if window is Window.MONTH:
        local = local.replace(day=1)
    return local.astimezone(UTC)


def window_end(window: Window, moment: datetime, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, after the window that holds `moment`."""
    span = timedelta(days=1) if window is Window.DAY else timedelta(days=32)
    local_start = window_start(window, moment, zone).astimezone(zone).replace(tzinfo=None)
    inside_next = (local_start + span).replace(tzinfo=zone)
    return window_start(window, inside_next, zone)


def accounts_of(
    subjects: dict[Scope, int], moment: datetime, zone: ZoneInfo
) -> tuple[Account, ...]:
    """The accounts that a call touches, in the order of `BUDGETS`."""
    return _accounts(tuple([subjects[b.scope] for b in BUDGETS]), quarter_of(moment), zone)


@lru_cache(maxsize=4096)
def _accounts(
    subject_ids: tuple[int, ...], quarter: datetime, zone: ZoneInfo
) -> tuple[Account, ...]:
    """The same objects for all calls of a key at about a time: they are kept for minutes."""
    return tuple(
        Account(b.scope, subject_id, b.window, window_id(b.window, quarter, zone))
        for b, subject_id in zip(BUDGETS, subject_ids, strict=True)
    )


def forget_at(moment: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """When each account may go: two windows' ends later, so that late settles still find it."""
    return _forget_at(quarter_of(moment), zone)


@lru_cache(maxsize=64)
def _forget_at(quarter: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    return tuple(window_end(b.window, window_end(b.window, quarter, zone), zone) for b in BUDGETS)


def state_of(spent: Money, limit: Limit, *, is_refused: bool) -> BudgetState:
    """Compare as exact integers; a worst-case hold can refuse a user just below 100 %."""
    if not limit.is_amount:
        return BudgetState.OK
    if is_refused or spent >= limit.amount:
        return BudgetState.EXCEEDED
    if spent * 100 >= limit.amount * WARNING_PERCENT:
        return BudgetState.WARNING
    return BudgetState.OK


def worse(first: BudgetState, second: BudgetState) -> BudgetState:
    order = list(BudgetState)
    return max(first, second, key=order.index)

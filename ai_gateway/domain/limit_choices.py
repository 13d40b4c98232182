"""What staff chose for the budgets of one subject, what holds where they chose nothing, and which
budget decides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from ai_gateway.domain.limits import (
    BUDGETS,
    EVERYBODY,
    Budget,
    BudgetState,
    Limit,
    LimitKind,
    Scope,
    state_of,
)
from ai_gateway.domain.money import Money, from_usd, usd_text

MOST_USD = 9_000_000
"""Per limit: scripts count exactly up to a little more."""

Choices = Mapping[Budget, Limit | None]
"""Limits by budget; None inherits."""


@dataclass(frozen=True, slots=True)
class LimitSubject:
    """Whose limits are meant: the installation's, a key's, a user's, or the default of all users.

    The default of users is the subject `EVERYBODY` of their scope.
    """

    scope: Scope
    subject_id: int = EVERYBODY

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Those that have a limit of this subject, the shortest window first."""
        return tuple(budget for budget in BUDGETS if budget.scope is self.scope)

    @property
    def is_common(self) -> bool:
        """Whether its limits hold for everybody."""
        return self.subject_id == EVERYBODY


INSTALLATION = LimitSubject(Scope.INSTALLATION)
USER_DEFAULTS = LimitSubject(Scope.USER)


class LimitSource(StrEnum):
    """Where the limit comes from that holds without a choice of the subject's own."""

    STAFF = "staff"
    ENVIRONMENT = "environment"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class LimitChoice:
    """One budget of a subject: its own choice, and what it inherits without one."""

    budget: Budget
    own: Limit | None
    inherited: Limit
    source: LimitSource

    @property
    def in_force(self) -> Limit:
        return self.inherited if self.own is None else self.own


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """One budget that calls have to fit into, with what is spent and held of it now."""

    budget: Budget
    limit: Limit
    spent: Money
    held: Money
    is_refused: bool
    resets_at: datetime

    @property
    def state(self) -> BudgetState:
        return state_of(self.spent, self.limit, is_refused=self.is_refused)

    @property
    def room(self) -> Money:
        """What a further call may hold at most."""
        return Money(max(0, self.limit.amount - self.spent - self.held))


def tightest(standings: Iterable[BudgetStanding]) -> BudgetStanding | None:
    """The budget that decides: the ceiling with the least room. None where nothing is one."""
    ceilings = [standing for standing in standings if standing.limit.is_ceiling]
    return min(ceilings, key=lambda standing: standing.room, default=None)


def seal(choices: Choices) -> str:
    """Names the choices as they were read, so that a change can tell whether they still stand."""
    return " ".join(
        f"{budget.window}={choice_word(choices[budget])}"
        for budget in sorted(choices, key=lambda budget: budget.window)
    )


def choice_word(limit: Limit | None) -> str:
    """A choice as the audit and commands say it: `inherit`, `none`, or the amount in USD."""
    if limit is None:
        return "inherit"
    if not limit.is_amount:
        return "none"
    return usd_text(limit.amount) + (" warn" if limit.kind is LimitKind.WARN else "")


def is_over(spent: Money, limit: Limit) -> bool:
    """Whether a limit is reached by what is spent already."""
    return limit.is_amount and spent >= limit.amount


def read_usd(text: str) -> Money:
    """The amount of a limit in USD as somebody wrote it; raises `ValueError`."""
    try:
        amount = Decimal(text.strip().removeprefix("$").replace(",", ""))
        if not 0 <= amount <= MOST_USD:
            raise InvalidOperation
        return from_usd(amount)
    except (InvalidOperation, ValueError):
        raise ValueError(f"Write an amount in USD such as 12.50, from 0 to {MOST_USD:,}.") from None

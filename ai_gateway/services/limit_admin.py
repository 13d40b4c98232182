"""Limits as staff see and change them: of the installation, all users, one user or one key.

A change commits in SQL with its line of the audit, then goes to Redis, so that it acts on the very
next call of every worker.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ai_gateway.domain.audit import Action, Actor, AuditEntry, Change, Target, TargetKind
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limit_choices import (
    USER_DEFAULTS,
    BudgetStanding,
    Choices,
    LimitSubject,
    choice_word,
    is_over,
    tightest,
)
from ai_gateway.domain.limits import Budget
from ai_gateway.errors import BudgetUnavailable, InvalidRequest
from ai_gateway.services.audit import Audit
from ai_gateway.services.budget_standings import BudgetStandings
from ai_gateway.stores.budget_accounts import Impact
from ai_gateway.stores.limit_acts import LimitChange, SubjectLimits
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable

MAX_REASON_CHARACTERS = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """The limits of a subject, and how the budgets stand that its calls have to fit into.

    Not `is_live`: the amounts are those of the database, since the counters cannot be read.
    """

    limits: SubjectLimits
    standings: tuple[BudgetStanding, ...]
    is_live: bool
    now: datetime

    @property
    def tightest(self) -> BudgetStanding | None:
        """The budget that decides about the next call."""
        return tightest(self.standings)

    def of(self, budget: Budget) -> BudgetStanding | None:
        return next((one for one in self.standings if one.budget == budget), None)


@dataclass(frozen=True, slots=True)
class LimitOrder:
    """Who wants which limits, and why. `seen` is the version that they saw; None is any."""

    actor: Actor
    wanted: Choices
    seen: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LimitsSet:
    """What was changed, if anything; not `is_in_force` while Redis is away."""

    change: LimitChange
    is_in_force: bool


class LimitAdmin:
    """Reads and changes the limits of one subject."""

    def __init__(
        self,
        table: KeyTable,
        copies: KeyCopies,
        standings: BudgetStandings,
        *,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._acts = table.limit_acts
        self._table = table
        self._copies = copies
        self._standings = standings
        self._audit = audit
        self._clock = clock

    def key(self, key_id: str) -> LimitSubject:
        """The key of an id; raises `KeyNotFound`."""
        return self._acts.key(key_id)

    def standing(self, subject: LimitSubject) -> LimitStanding:
        """Raises `UserNotFound`, `KeyNotFound` and `GatewayUnavailable`."""
        limits, now = self._acts.read(subject), self._clock()
        standings, is_live = self._standings.of(limits, now)
        return LimitStanding(limits, standings, is_live, now)

    def over(self, standing: LimitStanding, wanted: Choices) -> tuple[Budget, ...]:
        """The budgets whose new limit is reached by what is spent already."""
        return tuple(
            choice.budget
            for choice in standing.limits.choices
            if choice.budget in wanted
            and wanted[choice.budget] != choice.own
            and (known := standing.of(choice.budget)) is not None
            and is_over(known.spent, wanted[choice.budget] or choice.inherited)
        )

    def impact(self, limits: SubjectLimits, wanted: Choices) -> dict[Budget, Impact]:
        """Whom a change of the users' default would concern."""
        return {
            choice.budget: self._standings.impact(choice, wanted[choice.budget], self._clock())
            for choice in limits.choices
            if limits.subject == USER_DEFAULTS
            and choice.budget in wanted
            and wanted[choice.budget] != choice.own
        }

    def impact_of_present(self, limits: SubjectLimits) -> dict[Budget, Impact]:
        """Whom the users' default concerns as it is."""
        now = self._clock()
        return {
            choice.budget: self._standings.impact(choice, choice.own, now)
            for choice in limits.choices
        }

    def change(self, subject: LimitSubject, order: LimitOrder) -> LimitsSet:
        """Set limits; in force on the next call.

        Raises `ChangedMeanwhile`, `InvalidRequest`, `UserNotFound`, `KeyNotFound`, and
        `GatewayUnavailable` where nothing was changed.
        """
        if len(order.reason) > MAX_REASON_CHARACTERS:
            raise InvalidRequest(
                f"Give the reason in at most {MAX_REASON_CHARACTERS} characters.", "reason"
            )
        review = partial(self._entries, order=order)
        done = self._acts.change(subject, order.wanted, seen=order.seen, review=review)
        try:
            self._publish(done.before)
            self._forgive(done)
        except BudgetUnavailable:
            # The bookkeeper publishes all again within 30 s of Redis being back.
            logger.warning("publish_postponed")
            return LimitsSet(done, is_in_force=False)
        return LimitsSet(done, is_in_force=True)

    def _entries(self, change: LimitChange, order: LimitOrder) -> Sequence[AuditEntry]:
        before, after = change.before.own, change.after
        changed = [budget for budget in before if before[budget] != after[budget]]
        told = Change(
            {f"limit_{budget.window}": choice_word(before[budget]) for budget in changed},
            {f"limit_{budget.window}": choice_word(after[budget]) for budget in changed},
            order.reason,
        )
        target = _target(change.before)
        return [self._audit.entry(Action.LIMIT_CHANGE, order.actor, target, told)]

    def _publish(self, limits: SubjectLimits) -> None:
        if limits.subject.is_common:
            self._copies.house_rules.publish(self._table.house_rules.read())
        elif limits.key_id:
            record = self._table.record(limits.key_id)
            self._copies.publish([record] if record else [])
        else:
            self._copies.publish(self._table.records(user_id=limits.user_id))

    def _forgive(self, done: LimitChange) -> None:
        """A refusal under the old limit says nothing of the new one."""
        before = done.before
        for budget in (b for b, own in before.own.items() if own != done.after[b]):
            refused = [
                account
                for account in self._copies.refused()
                if (account.scope, account.window) == (budget.scope, budget.window)
            ]
            if before.subject == USER_DEFAULTS:
                own = self._acts.with_own(budget, {account.subject_id for account in refused})
                refused = [account for account in refused if account.subject_id not in own]
            else:
                refused = [a for a in refused if a.subject_id == before.subject.subject_id]
            self._copies.forgive(refused)


def _target(limits: SubjectLimits) -> Target:
    if limits.key_id:
        return Target(TargetKind.KEY, limits.key_id, limits.name)
    if limits.user_id is not None:
        return Target(TargetKind.USER, str(limits.user_id), limits.name)
    name = "default of users" if limits.subject == USER_DEFAULTS else "installation"
    return Target(TargetKind.INSTALLATION, limits.subject.scope.value, name)

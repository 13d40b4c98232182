"""How the budgets stand that calls of a subject have to fit into, by the enforcement counters."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.limit_choices import BudgetStanding, LimitChoice
from ai_gateway.domain.limits import (
    INSTALLATION_ID,
    Account,
    Budget,
    Limit,
    Scope,
    window_end,
    window_id,
)
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.budget_accounts import BudgetAccounts, Impact
from ai_gateway.stores.limit_acts import SubjectLimits
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.meter import Counters


class BudgetStandings:
    """Reads the counters, and the database where these cannot be trusted."""

    def __init__(self, accounts: BudgetAccounts, counters: LiveCounters, zone: ZoneInfo) -> None:
        self._accounts = accounts
        self._counters = counters
        self._zone = zone

    def of(self, limits: SubjectLimits, now: datetime) -> tuple[tuple[BudgetStanding, ...], bool]:
        """Each budget that the subject touches, and whether they are by the counters."""
        accounts = {budget: self._account(budget, limits, now) for budget in limits.touched}
        found, is_live = self._read(list(accounts.values()))
        standings = (
            BudgetStanding(
                budget,
                limits.touched[budget],
                found[account].spent,
                found[account].held,
                found[account].is_refused,
                window_end(budget.window, now, self._zone),
            )
            for budget, account in accounts.items()
        )
        return tuple(standings), is_live

    def impact(self, choice: LimitChoice, wanted: Limit | None, now: datetime) -> Impact:
        """Whom another default of users would concern."""
        return self._accounts.impact(
            choice.budget,
            window_id(choice.budget.window, now, self._zone),
            before=choice.in_force,
            after=wanted or choice.inherited,
        )

    def _account(self, budget: Budget, limits: SubjectLimits, now: datetime) -> Account:
        subjects = {
            Scope.INSTALLATION: INSTALLATION_ID,
            Scope.USER: limits.user_id or INSTALLATION_ID,
            Scope.KEY: limits.subject.subject_id,
        }
        name = window_id(budget.window, now, self._zone)
        return Account(budget.scope, subjects[budget.scope], budget.window, name)

    def _read(self, accounts: Sequence[Account]) -> tuple[Mapping[Account, Counters], bool]:
        with suppress(BudgetUnavailable):
            return self._counters.read(accounts), True
        return self._accounts.read(accounts), False

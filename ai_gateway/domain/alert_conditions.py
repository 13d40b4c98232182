"""From what was read to what a rule has to do with: pure comparisons, and the words for people.

What may swing around a threshold is let go of only somewhat below it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ai_gateway.domain.alerts import Condition, Rule
from ai_gateway.domain.limits import INSTALLATION_ID, Account, Scope, Window
from ai_gateway.domain.money import NANO_PER_USD, Money, usd_text
from ai_gateway.domain.projection import NO_DAYS, Trailing, projected_month
from ai_gateway.domain.spend_list import BudgetUse

LET_GO_BELOW = 10
"""A budget's alert is over when its use is so many points below the threshold: a reset, or a
higher limit, since use does not fall by itself."""

LEAST_CALLS = 20
"""With fewer the share of failures tells nothing."""

INSTALLATION_NAME = "the installation"
NANO_PER_CENT = NANO_PER_USD // 100


@dataclass(frozen=True, slots=True)
class SpentBudget:
    """One budget in its open window, and whose it is; `name` is a username or the id of a key."""

    account: Account
    name: str
    use: BudgetUse
    trailing: Trailing = NO_DAYS


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """Requests of today that went to a model without a price."""

    provider: str
    model: str
    requests: int


@dataclass(frozen=True, slots=True)
class ProviderCalls:
    """Calls to one provider in the last two hours of the clock."""

    provider: str
    requests: int
    failures: int


def near(rule: Rule, budgets: Iterable[SpentBudget], resets: str) -> list[Condition]:
    """Budgets from the threshold on; what is spent whole is the matter of `reached`."""
    return [
        _budget(one, resets, is_firing=_percent(one) >= rule.threshold and not _is_spent(one))
        for one in budgets
        if _percent(one) >= rule.threshold - LET_GO_BELOW
    ]


def reached(rule: Rule, budgets: Iterable[SpentBudget], resets: str) -> list[Condition]:
    """Budgets from the threshold on; a worst case stops a user just below 100 %."""
    found = []
    for one in budgets:
        is_refused = one.use.is_refused and rule.threshold <= 100
        is_firing = is_refused or _percent(one) >= rule.threshold
        if is_firing or _percent(one) >= rule.threshold - LET_GO_BELOW:
            found.append(_budget(one, resets, is_firing=is_firing))
    return found


def projected(
    rule: Rule, budgets: Iterable[SpentBudget], days_left: int, resets: str
) -> list[Condition]:
    """Monthly budgets that end beyond the threshold; one that is spent already is no forecast."""
    found = []
    for one in budgets:
        month_end = projected_month(one.use.spent, one.trailing, days_left)
        if month_end is None or month_end * 100 < one.use.limit.amount * (
            rule.threshold - LET_GO_BELOW
        ):
            continue
        is_beyond = month_end * 100 >= one.use.limit.amount * rule.threshold
        words = (
            f"{dollars(one.use.spent)} of {dollars(one.use.limit.amount)} spent, "
            f"{dollars(month_end)} at the end of the month at this pace; resets {resets}"
        )
        is_firing = is_beyond and not _is_spent(one)
        found.append(_condition(one, words, is_firing=is_firing))
    return found


def unpriced(rule: Rule, models: Iterable[UnpricedModel], day: str) -> list[Condition]:
    return [
        Condition(
            subject=f"{one.provider}/{one.model}"[:200],
            name=f"{one.provider}/{one.model}",
            words=f"{one.requests:,} requests without a known price today ({day})",
            window=day,
            is_firing=one.requests >= rule.threshold,
        )
        for one in models
    ]


def provider_errors(rule: Rule, calls: Iterable[ProviderCalls]) -> list[Condition]:
    return [
        Condition(
            subject=one.provider,
            name=one.provider,
            words=f"{one.failures:,} of {one.requests:,} calls failed in the last hours "
            f"({one.failures * 100 // one.requests} %)",
        )
        for one in calls
        if one.requests >= LEAST_CALLS and one.failures * 100 >= one.requests * rule.threshold
    ]


def ledger_drift(rule: Rule, drift: Money) -> list[Condition]:
    if abs(drift) < rule.threshold * NANO_PER_CENT:
        return []
    words = f"they differ by {dollars(Money(abs(drift)))}; flask ledger verify names the accounts"
    return [Condition("ledger", "counters and ledger", words)]


def outbox_lag(rule: Rule, seconds: float) -> list[Condition]:
    if seconds < rule.threshold:
        return []
    return [Condition("outbox", "the ledger", f"{seconds:,.0f} seconds behind the calls")]


def export_queue(rule: Rule, queued: int, newly_dropped: int) -> list[Condition]:
    if queued < rule.threshold and not newly_dropped:
        return []
    words = f"{queued:,} traces wait, {newly_dropped:,} were dropped since the last look"
    return [Condition("langsmith", "LangSmith", words)]


def down(rule: Rule, name: str, since: datetime | None, now: datetime) -> list[Condition]:
    """A part that has not answered for as long as the rule allows."""
    if since is None or now - since < timedelta(seconds=rule.threshold):
        return []
    return [Condition(rule.kind.value, name, f"it has not answered since {moment(since)}")]


def moment(at: datetime, zone: ZoneInfo | None = None) -> str:
    """`2026-11-23 07:10 UTC`, in the zone if one is given."""
    return f"{at.astimezone(zone) if zone else at:%Y-%m-%d %H:%M %Z}"


def dollars(amount: Money) -> str:
    """To the cent, rounded down, for people; below a cent every digit."""
    if 0 < amount < NANO_PER_CENT:
        return f"${usd_text(amount)}"
    return f"${amount // NANO_PER_USD:,}.{amount % NANO_PER_USD // NANO_PER_CENT:02}"


def _percent(one: SpentBudget) -> int:
    return one.use.spent * 100 // one.use.limit.amount


def _is_spent(one: SpentBudget) -> bool:
    return one.use.spent >= one.use.limit.amount


def _budget(one: SpentBudget, resets: str, *, is_firing: bool) -> Condition:
    refused = ", last call refused" if one.use.is_refused else ""
    words = (
        f"{dollars(one.use.spent)} of {dollars(one.use.limit.amount)} spent "
        f"({_percent(one)} %{refused}); resets {resets}"
    )
    return _condition(one, words, is_firing=is_firing)


def _condition(one: SpentBudget, words: str, *, is_firing: bool) -> Condition:
    scope, window = one.account.scope, one.account.window
    # The number stays when a user is called otherwise.
    subject = f"{scope}:{one.account.subject_id}:{window}"
    length = {Window.DAY: "day", Window.MONTH: "month"}[window]
    who = INSTALLATION_NAME if one.account.subject_id == INSTALLATION_ID else one.name
    kind = "" if scope is Scope.INSTALLATION else f"{scope} "
    return Condition(
        subject, f"{kind}{who}, {length}", words, one.account.window_id, is_firing=is_firing
    )

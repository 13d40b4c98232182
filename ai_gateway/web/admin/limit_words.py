"""How limits, and what decides about calls, are said on pages."""

from ai_gateway.domain.limit_choices import (
    INSTALLATION,
    USER_DEFAULTS,
    LimitChoice,
    LimitSource,
)
from ai_gateway.domain.limits import Budget, Limit, LimitKind, Scope, Window
from ai_gateway.stores.limit_acts import SubjectLimits
from ai_gateway.web.formatting import exact_money

BUDGET_WORDS = {
    Budget(Scope.INSTALLATION, Window.MONTH): "Installation, this month",
    Budget(Scope.USER, Window.DAY): "User, today",
    Budget(Scope.USER, Window.MONTH): "User, this month",
    Budget(Scope.KEY, Window.DAY): "Key, today",
    Budget(Scope.KEY, Window.MONTH): "Key, this month",
}
VARIABLES = {
    Budget(Scope.INSTALLATION, Window.MONTH): "AI_MONTHLY_SPEND_LIMIT_USD",
    Budget(Scope.USER, Window.DAY): "AI_USER_DAILY_SPEND_LIMIT_USD",
    Budget(Scope.USER, Window.MONTH): "AI_USER_MONTHLY_SPEND_LIMIT_USD",
}
"""The environment's word for each."""


def limit_words(limit: Limit | None) -> str:
    """A choice in words; nothing is read out as inheriting."""
    if limit is None:
        return "inherit"
    if not limit.is_amount:
        return "no limit"
    amount = exact_money(limit.amount)
    if limit.kind is LimitKind.WARN:
        return f"{amount}, warn only"
    return f"{amount}, blocks everything" if limit.amount == 0 else amount


def source_words(choice: LimitChoice) -> str:
    """Where a limit that is inherited comes from."""
    match choice.source:
        case LimitSource.STAFF:
            return "the default of all users"
        case LimitSource.ENVIRONMENT:
            return f"the environment ({VARIABLES[choice.budget]})"
        case LimitSource.NOBODY if choice.budget.scope is Scope.KEY:
            return "nothing: the limits of the owner hold"
        case _:
            return "nothing is set"


def subject_words(limits: SubjectLimits) -> str:
    """Whose limits they are."""
    if limits.subject == INSTALLATION:
        return "the installation"
    if limits.subject == USER_DEFAULTS:
        return "all users without limits of their own"
    return f"key agw_{limits.key_id}… of {limits.name}" if limits.key_id else limits.name

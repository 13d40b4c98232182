"""Limits: of the installation, all users, one user or one key; and setting them."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from ai_gateway.domain.limit_choices import (
    INSTALLATION,
    USER_DEFAULTS,
    LimitChoice,
    LimitSource,
    LimitSubject,
    choice_word,
    read_usd,
)
from ai_gateway.domain.limits import (
    NO_LIMIT,
    Budget,
    BudgetState,
    Limit,
    LimitKind,
    Scope,
    Window,
)
from ai_gateway.errors import InvalidRequest
from ai_gateway.services.limit_admin import LimitOrder, LimitStanding
from ai_gateway.web.admin.staff import current_actor
from ai_gateway.web.api.caller import Access, idempotency_id
from ai_gateway.web.api.endpoint import KEY_ID, USER_ID, Asked, get, post
from ai_gateway.web.api.fields import Absent, Answer, Body, Moment, NanoUsd, NoQuery, Usd
from ai_gateway.web.api.fields import LimitChoice as ChoiceText
from ai_gateway.web.context import services

FIELDS = {Window.DAY: "daily", Window.MONTH: "monthly"}


class OnExceed(StrEnum):
    """What happens to a call that does not fit: it is refused, or passes and is shown."""

    BLOCK = "block"
    WARN = "warn"


class LimitAnswer(Answer):
    """One budget of a subject. Amounts that a default of all users has not are null."""

    window: Window
    chosen: str
    """`inherit`, `none`, or the amount in USD."""
    on_exceed: OnExceed | None
    """Of the limit in force; null without one."""
    limit: Usd | None
    """In force, chosen or inherited; null where there is none."""
    limit_nano_usd: NanoUsd | None
    inherited_from: LimitSource
    """Where the limit comes from while nothing is chosen."""
    spent: Usd | None
    spent_nano_usd: NanoUsd | None
    held: Usd | None
    """By running calls."""
    held_nano_usd: NanoUsd | None
    status: BudgetState | None
    resets_at: Moment | None


class LimitsAnswer(Answer):
    """The limits of one subject."""

    version: str
    """A change has to bring it along, so that nobody overwrites what they have not seen."""
    limits: list[LimitAnswer]
    decides: str | None
    """The budget with the least room, such as `user_day`; null where none blocks."""
    is_live: bool
    """False while the counters are away: the amounts are then those of the database."""


class BudgetsAnswer(Answer):
    """What holds for everybody."""

    installation: LimitsAnswer
    user_defaults: LimitsAnswer


class LimitsBody(Body):
    """The limits to set; one that is left out stays."""

    version: Annotated[str, Field(max_length=200)]
    """Of the answer that was read before."""
    daily: ChoiceText | Absent = None
    monthly: ChoiceText | Absent = None
    on_exceed: OnExceed = OnExceed.BLOCK
    """Of the amounts in this body."""
    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    """Stands in the audit."""


class LimitsSetAnswer(Answer):
    """What holds now. Not `is_in_force` while Redis is away."""

    version: str
    is_in_force: bool


@get("/budgets/", NoQuery, BudgetsAnswer, Access.STAFF)
def budgets(asked: Asked[NoQuery]) -> BudgetsAnswer:  # noqa: ARG001  # every view takes it
    """The limit of the installation, and the default of users."""
    limits = services().budgets.limits
    return BudgetsAnswer(
        installation=_answer(limits.standing(INSTALLATION)),
        user_defaults=_answer(limits.standing(USER_DEFAULTS)),
    )


@get(f"/budgets/users/{USER_ID}/", NoQuery, LimitsAnswer, Access.STAFF)
def user_limits(asked: Asked[NoQuery], user_id: int) -> LimitsAnswer:  # noqa: ARG001
    """The limits of one user."""
    return _answer(services().budgets.limits.standing(LimitSubject(Scope.USER, user_id)))


@get(f"/budgets/keys/{KEY_ID}/", NoQuery, LimitsAnswer, Access.STAFF)
def key_limits(asked: Asked[NoQuery], key_id: str) -> LimitsAnswer:  # noqa: ARG001
    """The limits of one key."""
    limits = services().budgets.limits
    return _answer(limits.standing(limits.key(key_id)))


@post("/budgets/installation/set/", LimitsBody, LimitsSetAnswer, Access.LIMITS)
def set_installation_limit(asked: Asked[LimitsBody]) -> LimitsSetAnswer:
    """Set the monthly limit of the installation, from the next call on."""
    return _set(INSTALLATION, asked.given)


@post("/budgets/users/set/", LimitsBody, LimitsSetAnswer, Access.LIMITS)
def set_user_defaults(asked: Asked[LimitsBody]) -> LimitsSetAnswer:
    """Set the default of all users without limits of their own, from the next call on."""
    return _set(USER_DEFAULTS, asked.given)


@post(f"/budgets/users/{USER_ID}/set/", LimitsBody, LimitsSetAnswer, Access.LIMITS)
def set_user_limits(asked: Asked[LimitsBody], user_id: int) -> LimitsSetAnswer:
    """Set the limits of one user, from the next call on."""
    return _set(LimitSubject(Scope.USER, user_id), asked.given)


@post(f"/budgets/keys/{KEY_ID}/set/", LimitsBody, LimitsSetAnswer, Access.LIMITS)
def set_key_limits(asked: Asked[LimitsBody], key_id: str) -> LimitsSetAnswer:
    """Set the limits of one key, from the next call on."""
    return _set(services().budgets.limits.key(key_id), asked.given)


def _set(subject: LimitSubject, given: LimitsBody) -> LimitsSetAnswer:
    # A repeat changes nothing by itself; the header has to be as the document says all the same.
    idempotency_id()
    wanted = {
        Budget(subject.scope, window): _limit(text, given.on_exceed)
        for window, name in FIELDS.items()
        if (text := getattr(given, name)) is not None
    }
    if not wanted or not wanted.keys() <= set(subject.budgets):
        raise InvalidRequest("Name a limit that there is: the installation has no daily one.")
    order = LimitOrder(current_actor(), wanted, given.version, given.reason.strip())
    done = services().budgets.limits.change(subject, order)
    return LimitsSetAnswer(
        version=services().budgets.limits.standing(subject).limits.version,
        is_in_force=done.is_in_force,
    )


def _limit(text: str, on_exceed: OnExceed) -> Limit | None:
    if text == "inherit":
        return None
    if text == "none":
        return NO_LIMIT
    try:
        amount = read_usd(text)
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    return Limit(LimitKind.WARN if on_exceed is OnExceed.WARN else LimitKind.AMOUNT, amount)


def _answer(standing: LimitStanding) -> LimitsAnswer:
    tightest = standing.tightest
    return LimitsAnswer(
        version=standing.limits.version,
        limits=[_of_budget(choice, standing) for choice in standing.limits.choices],
        decides=f"{tightest.budget.scope}_{tightest.budget.window}" if tightest else None,
        is_live=standing.is_live,
    )


def _of_budget(choice: LimitChoice, standing: LimitStanding) -> LimitAnswer:
    limit, now = choice.in_force, standing.of(choice.budget)
    amount = limit.amount if limit.is_amount else None
    exceed: Literal["block", "warn"] = "block" if limit.is_ceiling else "warn"
    return LimitAnswer(
        window=choice.budget.window,
        chosen=choice_word(choice.own).removesuffix(" warn"),
        on_exceed=OnExceed(exceed) if limit.is_amount else None,
        limit=amount,
        limit_nano_usd=amount,
        inherited_from=choice.source,
        spent=now.spent if now else None,
        spent_nano_usd=now.spent if now else None,
        held=now.held if now else None,
        held_nano_usd=now.held if now else None,
        status=now.state if now else None,
        resets_at=now.resets_at if now else None,
    )

"""The users with their budgets and usage, and giving one room again."""

import secrets
from datetime import datetime
from typing import Literal

from ai_gateway.domain.limits import BudgetState, Window, worse
from ai_gateway.domain.money import usd_text
from ai_gateway.domain.spend_list import Selection, SpendFilter, SpendSort
from ai_gateway.services.spend_list_report import ListMoment, UserSpendRow
from ai_gateway.services.spend_reset import BOTH, UserReset
from ai_gateway.services.user_walk import PageAsked, Place
from ai_gateway.web.admin.staff import current_actor
from ai_gateway.web.api.budgets import BudgetAnswer, Used, budget_answer
from ai_gateway.web.api.caller import Access, idempotency_id
from ai_gateway.web.api.cursors import read_cursor, write_cursor
from ai_gateway.web.api.endpoint import USER_ID, Asked, get, post
from ai_gateway.web.api.fields import (
    Absent,
    Answer,
    Body,
    Count,
    Cursor,
    Days,
    Moment,
    NanoUsd,
    PageLimit,
    Query,
    Reason,
    Text,
    Usd,
    Windows,
)
from ai_gateway.web.api.sums import Sums, sums_of
from ai_gateway.web.context import services


class UsersQuery(Query):
    """Which users, in which order, and which page of them."""

    filter: SpendFilter = SpendFilter.ALL
    """`warning` shows the exceeded ones too."""
    search: Text = ""
    """A part of the name or the mail address; who begins with it comes first."""
    sort: SpendSort = SpendSort.USER
    order: Literal["asc", "desc"] = "asc"
    limit: PageLimit = 50
    cursor: Cursor | Absent = None
    """The `next_cursor` of an earlier answer to the same filter, search, sort and order."""


class UserRow(Answer):
    """One user of the list."""

    user_id: int
    username: str
    email: str
    is_enabled: bool
    limit_status: BudgetState
    """The worse of both budgets."""
    daily: BudgetAnswer
    monthly: BudgetAnswer
    requests_today: Count
    cost_today_usd: Usd
    cost_today_nano_usd: NanoUsd
    cost_this_month_usd: Usd
    cost_this_month_nano_usd: NanoUsd
    projected_month_usd: Usd | None
    """At the pace of the last seven full days; null with under three active ones."""
    projected_month_nano_usd: NanoUsd | None
    last_active_at: Moment | None


class UsersAnswer(Answer):
    """Some users. Who comes or goes meanwhile moves nobody else between the pages."""

    users: list[UserRow]
    is_live: bool
    """False while the counters are away: the amounts are then those of the database."""
    next_cursor: str | None
    """Null on the last page."""


class ProfileQuery(Query):
    """How far back."""

    days: Days = 30
    """Today so far and the days before it, so many in all."""


class ProviderSums(Answer):
    """What went to one provider."""

    provider: str
    total: Sums


class ProfileAnswer(Answer):
    """One user: budgets by the counters, usage by the ledger."""

    user_id: int
    username: str
    email: str
    is_enabled: bool
    limit_status: BudgetState
    daily: BudgetAnswer
    monthly: BudgetAnswer
    period_days: int
    total: Sums
    providers: list[ProviderSums]


class ResetBody(Body):
    """Why, and which windows."""

    reason: Reason
    """Stands in the audit."""
    windows: Windows = BOTH


class ResetAnswer(Answer):
    """What was done."""

    message: str
    user_id: int
    reset_date: Moment


@get("/users/", UsersQuery, UsersAnswer, Access.STAFF)
def users(asked: Asked[UsersQuery]) -> UsersAnswer:
    """All users with their budgets, filtered, searched and sorted.

    A user whose own place in the order changes between two pages may come twice, or not at all;
    by name that does not happen.
    """
    query = asked.given
    cursors = f"/users/ {query.filter} {query.sort} {query.order} {query.search}"
    page = services().user_walk.page(
        PageAsked(
            Selection(query.filter, query.search),
            query.sort,
            is_descending=query.order == "desc",
            count=query.limit,
            behind=_read(cursors, query.cursor),
        )
    )
    return UsersAnswer(
        users=[_row(row, page.moment) for row in page.rows],
        is_live=page.is_live,
        next_cursor=_write(cursors, page.last),
    )


@get(f"/users/{USER_ID}/", ProfileQuery, ProfileAnswer)
def user_profile(asked: Asked[ProfileQuery], user_id: int) -> ProfileAnswer:
    """Budgets and usage of one user: one's own, or for staff anybody's."""
    days = asked.given.days
    profile = services().analytics.profile(asked.caller.one(user_id), days)
    user, standing, usage = profile.user, profile.report.standing, profile.report.usage
    day, month = standing.day, standing.month
    return ProfileAnswer(
        user_id=user.user_id,
        username=user.username,
        email=user.email,
        is_enabled=user.is_enabled,
        limit_status=worse(day.state, month.state),
        daily=budget_answer(Used.of(day.spent, day.limit), day.state, day.resets_at),
        monthly=budget_answer(Used.of(month.spent, month.limit), month.state, month.resets_at),
        period_days=days,
        total=sums_of(usage.current),
        providers=[
            ProviderSums(provider=row.provider, total=sums_of(row.sums)) for row in usage.providers
        ],
    )


@post(f"/user/{USER_ID}/reset/", ResetBody, ResetAnswer, Access.RESET)
def reset_user(asked: Asked[ResetBody], user_id: int) -> ResetAnswer:
    """Give a user room again: the counters of the windows become 0, the ledger stays as it is.

    A repeat with the same `Idempotency-Key` within a day changes nothing and answers the same.
    """
    done = services().spend_reset.reset_user(
        user_id,
        reset_id=_reset_id(asked.caller.user.user_id),
        actor=current_actor(),
        reason=asked.given.reason,
        windows=tuple(window for window in Window if window in asked.given.windows),
    )
    return ResetAnswer(message=_message(done), user_id=done.user_id, reset_date=done.reset_at)


def _row(row: UserSpendRow, moment: ListMoment) -> UserRow:
    activity, projected = row.activity, moment.projected(row)
    daily, monthly = row.daily, row.monthly
    return UserRow(
        user_id=row.user_id,
        username=row.username,
        email=row.email,
        is_enabled=row.is_enabled,
        limit_status=row.state,
        daily=budget_answer(Used.of(daily.spent, daily.limit), daily.state, moment.day_resets_at),
        monthly=budget_answer(
            Used.of(monthly.spent, monthly.limit), monthly.state, moment.month_resets_at
        ),
        requests_today=activity.requests_today,
        cost_today_usd=activity.cost_today,
        cost_today_nano_usd=activity.cost_today,
        cost_this_month_usd=activity.cost_this_month,
        cost_this_month_nano_usd=activity.cost_this_month,
        projected_month_usd=projected,
        projected_month_nano_usd=projected,
        last_active_at=activity.last_active_at,
    )


def _write(address: str, place: Place | None) -> str | None:
    if place is None:
        return None
    # JSON has no moments; no other value of a place is a list.
    return write_cursor(
        address, [[one.isoformat()] if isinstance(one, datetime) else one for one in place]
    )


def _read(address: str, cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    return tuple(
        datetime.fromisoformat(one[0]) if isinstance(one, list) else one
        for one in read_cursor(address, cursor)
    )


def _reset_id(staff_id: int) -> str:
    """Each member of staff has ids of their own, so that nobody's hides another's reset."""
    return f"api:{staff_id}:{idempotency_id() or secrets.token_urlsafe()}"


def _message(done: UserReset) -> str:
    words = {Window.DAY: "today", Window.MONTH: "this month"}
    amounts = " and ".join(
        f"${usd_text(taken)} of {words[window]}" for window, taken in done.taken.items()
    )
    return f"The spend of {done.username} was reset: {amounts}. The ledger is unchanged."

"""The page of one user: budgets with their pace, use, keys, the last calls, what was changed."""

from http import HTTPStatus

from flask import Response, request
from flask_admin.base import expose

from ai_gateway.domain.house_rules import user_pause
from ai_gateway.domain.limits import Window
from ai_gateway.domain.roles import Permission, Role, allows
from ai_gateway.errors import UserNotFound
from ai_gateway.services.user_detail import UserDetail
from ai_gateway.web import formatting
from ai_gateway.web.admin.charts import Chart, ChartKind, Series, SeriesRole, Value
from ai_gateway.web.admin.conditions import pause_of
from ai_gateway.web.admin.error_pages import Words, error_page
from ai_gateway.web.admin.provider_table import ProviderChoices, sorted_providers
from ai_gateway.web.admin.ranges import earlier, later, range_options, read_range
from ai_gateway.web.admin.staff import StaffView, current_member
from ai_gateway.web.admin.wording import action_words, outcome_words
from ai_gateway.web.context import services

NOBODY = Words("No such user", "Nobody has this id, and no call was ever booked on it.")


class UserDetailView(StaffView):
    """At /admin/ai-analytics/users/<id>/; it has no place of its own in the menu."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "User"
    group = "Analytics"
    address = "ai-analytics/users/<int:user_id>"
    icon = "person"
    has_menu_entry = False

    @expose("/")
    def index(self, user_id: int) -> str | Response:
        try:
            detail = services().user_details.detail(user_id, read_range(request.args))
        except UserNotFound:
            return error_page(HTTPStatus.NOT_FOUND, NOBODY)
        zone = services().zone
        period = detail.usage.period
        member = current_member()
        role = member.user.role if member else Role.NONE
        choices = ProviderChoices.asked()
        return self.render(
            "admin/user_detail.html",
            detail=detail,
            zone=zone,
            ranges=range_options(),
            shifts=(earlier(period, zone), later(period, zone)),
            is_compared=request.args.get("compare") != "off",
            chart=burn_up_chart(detail),
            changes=services().user_details.changes(user_id),
            choices=choices,
            providers=sorted_providers(detail.usage.providers, choices),
            outcome_words=outcome_words,
            has_langsmith=services().tracing_health().project_page is not None,
            action_words=action_words,
            may_reset=allows(role, Permission.RESET_USER_SPEND) and detail.user is not None,
            may_edit=role is Role.ADMIN and detail.user is not None,
            may_limit=allows(role, Permission.MANAGE_LIMITS) and detail.user is not None,
            pause=pause_of(user_pause(user_id)),
            may_manage_keys=allows(role, Permission.MANAGE_KEYS),
        )


def burn_up_chart(detail: UserDetail) -> Chart:
    """The cost of the month so far, where it is heading, and the limit."""
    burn_up, days = detail.burn_up, range(1, detail.burn_up.days_in_month + 1)
    known: list[Value | None] = list(burn_up.totals)
    ahead = len(days) - len(known)
    series = [Series("Cost", (*known, *[None] * ahead))]
    if burn_up.pace is not None and known:
        rising = [burn_up.totals[-1] + burn_up.pace * day for day in range(ahead + 1)]
        series.append(
            Series("At this pace", (*[None] * (len(known) - 1), *rising), SeriesRole.PLAN)
        )
    series += [
        Series("Limit", (card.view.limit.amount,) * len(days), SeriesRole.PLAN)
        for card in detail.budgets
        if card.window is Window.MONTH and card.view.limit.is_amount
    ]
    local = detail.now.astimezone(services().zone)
    return Chart(
        id="burn-up",
        title="Cost of this month, day by day",
        kind=ChartKind.LINES,
        labels=tuple(f"{day} {local:%b}" for day in days),
        series=tuple(series),
        form=_money,
        label_name="Day",
    )


def _money(value: Value) -> str:
    return formatting.money(value)

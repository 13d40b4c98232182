"""The list of users as rows of a CSV file: every amount in USD with all its digits."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from ai_gateway.services.budget_view import BudgetView
from ai_gateway.services.spend_list_report import ListMoment, SpendBatch, UserSpendRow
from ai_gateway.web.csv_export import Cell, Row, usd

HEADER = (
    "Username",
    "Daily Spend",
    "Monthly Spend",
    "User ID",
    "Email",
    "Enabled",
    "Status",
    "Last Call Refused",
    "Daily Limit",
    "Daily Percent Used",
    "Daily Status",
    "Monthly Limit",
    "Monthly Percent Used",
    "Monthly Status",
    "Requests Today",
    "Cost Today",
    "Cost This Month",
    "Projected Month End",
    "Last Active",
    "Day Resets",
    "Month Resets",
    "Spend Source",
)
LIVE, DATABASE = "counter", "database"
"""Where the spends come from: the enforcement counters, or their copy while they are away."""


def file_name(moment: ListMoment) -> str:
    windows = moment.windows
    return f"user-spend-{windows.monthly.window_id}-as-of-{windows.daily.window_id}.csv"


def batches(moment: ListMoment, found: Iterable[SpendBatch]) -> Iterator[list[Row]]:
    for batch in found:
        source = LIVE if batch.is_live else DATABASE
        yield [_row(row, moment, source) for row in batch.rows]


def _row(row: UserSpendRow, moment: ListMoment, source: str) -> list[Cell]:
    activity, zone = row.activity, moment.zone
    last, projected = activity.last_active_at, moment.projected(row)
    return [
        row.username,
        usd(row.daily.spent),
        usd(row.monthly.spent),
        row.user_id,
        row.email,
        _yes(is_true=row.is_enabled),
        row.state.value,
        _yes(is_true=row.is_refused_below_limit),
        *_budget(row.daily),
        *_budget(row.monthly),
        activity.requests_today,
        usd(activity.cost_today),
        usd(activity.cost_this_month),
        None if projected is None else usd(projected),
        last and last.astimezone(zone),
        moment.day_resets_at.astimezone(zone),
        moment.month_resets_at.astimezone(zone),
        source,
    ]


def _budget(budget: BudgetView) -> tuple[Decimal | None, int | None, str]:
    limit = usd(budget.limit.amount) if budget.limit.is_amount else None
    return limit, budget.percent, budget.state.value


def _yes(*, is_true: bool) -> str:
    return "yes" if is_true else "no"

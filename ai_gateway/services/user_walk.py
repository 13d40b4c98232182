"""The users with their budgets, for whoever goes through all of them page by page."""

from dataclasses import dataclass

from ai_gateway.services.live_budgets import LiveBudgets
from ai_gateway.services.spend_list_report import (
    ListMoment,
    SpendListReport,
    UserSpendRow,
    spend_row,
)
from ai_gateway.stores.user_pages import PageAsked, Place, UserPages

__all__ = ["PageAsked", "Place", "UserWalk", "WalkPage"]


@dataclass(frozen=True, slots=True)
class WalkPage:
    """Some users, and the place behind which the next ones stand; `is_live` as in the list."""

    moment: ListMoment
    rows: tuple[UserSpendRow, ...]
    last: Place | None
    is_live: bool


class UserWalk:
    """Hands out the pages. SQL sorts, the amounts are those of the counters."""

    def __init__(self, pages: UserPages, spend_list: SpendListReport, live: LiveBudgets) -> None:
        self._pages = pages
        self._spend_list = spend_list
        self._live = live

    def page(self, asked: PageAsked) -> WalkPage:
        moment = self._spend_list.moment()
        page = self._pages.read(moment.windows, asked)
        users, is_live = self._live.or_as_known(page.users, moment.windows)
        return WalkPage(moment, tuple(map(spend_row, users)), page.last, is_live)

"""The users with what they have spent of their budgets: who is near a limit, who costs most."""

from dataclasses import replace
from typing import Any

from flask import Response, request, url_for
from flask_admin.base import expose
from werkzeug.datastructures import MultiDict

from ai_gateway.domain.audit import Action, Change, Target, TargetKind
from ai_gateway.domain.roles import Permission, Role, allows
from ai_gateway.domain.spend_list import Selection, SpendFilter, SpendSort
from ai_gateway.services.spend_list_report import PAGE_SIZES, UserSpendQuery
from ai_gateway.web.admin import spend_csv
from ai_gateway.web.admin.links import page_size, word_of
from ai_gateway.web.admin.staff import StaffView, current_actor, current_member
from ai_gateway.web.context import services
from ai_gateway.web.csv_export import MAX_ROWS, csv_response

DEFAULTS = UserSpendQuery()
MAX_SEARCH_CHARACTERS = 254
MAX_PAGE_DIGITS = 9
TEXT_SORTS = frozenset({SpendSort.USER, SpendSort.EMAIL})
"""Columns that begin with the letter A when they are chosen; the others begin with the largest."""

FILTERS = {
    SpendFilter.ALL: "All",
    SpendFilter.WARNING: "Warning (over 80 %)",
    SpendFilter.EXCEEDED: "Exceeded",
    SpendFilter.NO_LIMIT: "No limit",
}


class UserSpendView(StaffView):
    """At /admin/ai-analytics/users/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Users"
    group = "Analytics"
    address = "ai-analytics/users"
    icon = "users"

    @expose("/")
    def index(self) -> str:
        page = services().spend_list.page(read_query(request.args))
        return self.render(
            "admin/user_spend.html",
            page=page,
            links=Links(page.query),
            sizes=PAGE_SIZES,
            filters=FILTERS,
            most_rows=MAX_ROWS,
            **_permits(),
        )

    @expose("/export.csv")
    def export(self) -> Response:
        """All users of the filter and the search, whatever page was shown."""
        selection = read_query(request.args).selection
        report = services().spend_list
        moment = report.moment()
        batches = spend_csv.batches(moment, report.all(moment, selection))
        response = csv_response(spend_csv.file_name(moment), spend_csv.HEADER, batches)
        asked = {"filter": selection.chosen.value, "search": selection.search}
        services().audit.record(
            Action.EXPORT,
            current_actor(),
            Target(TargetKind.REPORT, "user_spend"),
            Change(after=asked),
        )
        return response


class Links:
    """Addresses of the same list seen otherwise; what has its default is left out."""

    def __init__(self, query: UserSpendQuery) -> None:
        self._query = query

    def here(self) -> str:
        return self._to()

    def filtered(self, chosen: str) -> str:
        return self._selected(chosen=SpendFilter(chosen))

    def searched(self, search: str) -> str:
        return self._selected(search=search)

    def turned(self, page: int) -> str:
        return self._to(page=page)

    def sorted(self, sort: str) -> str:
        """By another column, or by the same one the other way round."""
        column = SpendSort(sort)
        is_same = column is self._query.sort
        is_descending = not self._query.is_descending if is_same else column not in TEXT_SORTS
        return self._to(sort=column, is_descending=is_descending, page=1)

    def export(self) -> str:
        """The whole list as CSV; the order and the page make no difference to it."""
        whole = UserSpendQuery(selection=self._query.selection)
        return url_for("userspend.export", **_parameters(whole))

    def direction(self, *sorts: str) -> str:
        """How a heading with these columns is sorted, in the words of `aria-sort`."""
        if self._query.sort not in map(SpendSort, sorts):
            return "none"
        return "descending" if self._query.is_descending else "ascending"

    def chips(self) -> list[tuple[str, str]]:
        """What narrows the list: words, and the address without it."""
        chosen, search = self._query.selection.chosen, self._query.selection.search
        found = []
        if chosen is not SpendFilter.ALL:
            found.append((FILTERS[chosen], self.filtered(SpendFilter.ALL)))
        if search:
            found.append((f"matches “{search}”", self.searched("")))
        return found

    def fields(self) -> dict[str, str]:
        """What a form has to send along, so that a search keeps filter and order."""
        kept = _parameters(replace(self._query, page=1))
        return {name: value for name, value in kept.items() if name not in {"q", "size"}}

    def _selected(self, **changes: Any) -> str:
        return self._to(selection=replace(self._query.selection, **changes), page=1)

    def _to(self, **changes: Any) -> str:
        return url_for("userspend.index", **_parameters(replace(self._query, **changes)))


def read_query(arguments: MultiDict[str, str]) -> UserSpendQuery:
    """Read the address; what makes no sense becomes the default or the nearest that does."""
    sort = word_of(arguments, "sort", DEFAULTS.sort)
    # PostgreSQL takes no NUL in a text.
    search = arguments.get("q", "").replace("\0", "").strip()[:MAX_SEARCH_CHARACTERS]
    return UserSpendQuery(
        selection=Selection(word_of(arguments, "filter", DEFAULTS.selection.chosen), search),
        sort=sort,
        is_descending=arguments.get("dir", _first_direction(sort)) != "asc",
        page=_number(arguments, "page", DEFAULTS.page),
        page_size=page_size(_number(arguments, "size", DEFAULTS.page_size), PAGE_SIZES),
    )


def _permits() -> dict[str, bool]:
    """What the page offers; the server asks again when it is done."""
    member = current_member()
    role = member.user.role if member else Role.NONE
    return {
        "may_reset": allows(role, Permission.RESET_USER_SPEND),
        "may_limit": allows(role, Permission.MANAGE_LIMITS),
        "may_edit": role is Role.ADMIN,
    }


def _parameters(query: UserSpendQuery) -> dict[str, Any]:
    direction = "desc" if query.is_descending else "asc"
    values = {
        "filter": (query.selection.chosen.value, DEFAULTS.selection.chosen.value),
        "q": (query.selection.search, DEFAULTS.selection.search),
        "sort": (query.sort.value, DEFAULTS.sort.value),
        "dir": (direction, _first_direction(query.sort)),
        "size": (str(query.page_size), str(DEFAULTS.page_size)),
        "page": (str(query.page), str(DEFAULTS.page)),
    }
    return {name: value for name, (value, default) in values.items() if value != default}


def _first_direction(sort: SpendSort) -> str:
    return "asc" if sort in TEXT_SORTS else "desc"


def _number(arguments: MultiDict[str, str], name: str, default: int) -> int:
    text = arguments.get(name, "")
    if not (text.isascii() and text.isdigit()):
        return default
    return int(text) if len(text) <= MAX_PAGE_DIGITS else 10**MAX_PAGE_DIGITS

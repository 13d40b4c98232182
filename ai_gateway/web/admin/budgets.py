"""Budgets and limits: of the installation, the default of users, each user and each key."""

from dataclasses import replace
from urllib.parse import urlencode

from flask import request, url_for
from flask_admin.base import expose

from ai_gateway.domain.limit_choices import INSTALLATION, USER_DEFAULTS
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.roles import Permission
from ai_gateway.services.limit_list import LimitQuery
from ai_gateway.stores.limit_rows import LimitSelection
from ai_gateway.web.admin.keys import read_number
from ai_gateway.web.admin.limit_form import WINDOW_WORDS
from ai_gateway.web.admin.limit_words import limit_words, source_words
from ai_gateway.web.admin.staff import StaffView, may
from ai_gateway.web.context import services

MAX_SEARCH_CHARACTERS = 254
TABS = (
    ("budgets.index", "Installation"),
    ("budgets.defaults", "Default for users"),
    ("budgets.users", "Users"),
    ("budgets.keys", "Keys"),
    ("pauses.index", "Pause"),
)


class BudgetsView(StaffView):
    """At /admin/budgets/; each tab has an address of its own below it."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Budgets"
    group = "Manage"
    address = "budgets"
    icon = "coins"

    @expose("/")
    def index(self) -> str:
        standing = services().budgets.limits.standing(INSTALLATION)
        return self._page("admin/budgets.html", standing=standing, impact={}, of="installation")

    @expose("/defaults/")
    def defaults(self) -> str:
        limits = services().budgets.limits
        standing = limits.standing(USER_DEFAULTS)
        impact = limits.impact_of_present(standing.limits)
        return self._page("admin/budgets.html", standing=standing, impact=impact, of="users")

    @expose("/users/")
    def users(self) -> str:
        return self._list(Scope.USER)

    @expose("/keys/")
    def keys(self) -> str:
        return self._list(Scope.KEY)

    def _list(self, scope: Scope) -> str:
        # PostgreSQL takes no NUL in a text.
        search = request.args.get("q", "").replace("\0", "").strip()[:MAX_SEARCH_CHARACTERS]
        selection = LimitSelection(scope, search, request.args.get("own") == "1")
        query = LimitQuery(selection, read_number(request.args.get("page", "")) or 1)
        page = services().budgets.lists.page(query)
        return self._page("admin/limit_list.html", page=page, links=Links(page.query))

    def _page(self, template: str, **values: object) -> str:
        return self.render(
            template,
            tabs=TABS,
            window_words=WINDOW_WORDS,
            limit_words=limit_words,
            source_words=source_words,
            may_limit=may(Permission.MANAGE_LIMITS),
            **values,
        )


class Links:
    """Addresses of the same list seen otherwise; what has its default is left out."""

    def __init__(self, query: LimitQuery) -> None:
        self._query = query

    def turned(self, page: int) -> str:
        return self._to(replace(self._query, page=page))

    def filtered(self, *, is_own_only: bool) -> str:
        selection = replace(self._query.selection, is_own_only=is_own_only)
        return self._to(LimitQuery(selection))

    def whole(self) -> str:
        return self._to(LimitQuery(LimitSelection(self._query.selection.scope)))

    def _to(self, query: LimitQuery) -> str:
        chosen = query.selection
        names = {
            "q": chosen.search,
            "own": "1" if chosen.is_own_only else "",
            "page": "" if query.page == 1 else str(query.page),
        }
        address = url_for("budgets.users" if chosen.scope is Scope.USER else "budgets.keys")
        kept = urlencode({name: text for name, text in names.items() if text})
        return f"{address}?{kept}" if kept else address

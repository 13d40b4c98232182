"""The virtual keys: whose they are, what they may call, in which state, and what they spent."""

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.datastructures import MultiDict

from ai_gateway.domain.key_list import KeyFilter, KeySelection, KeySort
from ai_gateway.domain.roles import Permission
from ai_gateway.domain.virtual_key import key_id_of, parse_key
from ai_gateway.services.key_list import PAGE_SIZES, KeyPage, KeyQuery
from ai_gateway.web.admin.links import here, page_size, word_of
from ai_gateway.web.admin.staff import StaffView, may
from ai_gateway.web.context import services

DEFAULTS = KeyQuery()
MAX_SEARCH_CHARACTERS = 254
MAX_NUMBER_DIGITS = 18
RISING = frozenset({KeySort.LABEL, KeySort.OWNER, KeySort.EXPIRES})
"""Columns that begin with the letter A, or the nearest day, when they are chosen."""

FILTERS = {
    KeyFilter.ALL: "All",
    KeyFilter.ACTIVE: "Active",
    KeyFilter.ROTATING: "Rotating",
    KeyFilter.EXPIRED: "Expired",
    KeyFilter.REVOKED: "Revoked",
}


class KeysView(StaffView):
    """At /admin/api-keys/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "API keys"
    group = "Manage"
    address = "api-keys"
    icon = "key"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        searched = request.args.get("q", "").strip()
        if parse_key(searched):
            # A whole key that somebody looks for must stand in no page and no address.
            return redirect(here(q=f"agw_{key_id_of(searched)}"))
        page = services().key_list.page(read_query(request.args))
        return self.render(
            "admin/keys.html",
            page=page,
            links=Links(page),
            sizes=PAGE_SIZES,
            filters=FILTERS,
            may_manage=may(Permission.MANAGE_KEYS),
            base_url=request.url_root,
        )


class Links:
    """Addresses of the same list seen otherwise."""

    def __init__(self, page: KeyPage) -> None:
        self._page = page
        self._query = page.query

    def sorted(self, sort: str) -> str:
        """By another column, or by the same one the other way round."""
        column = KeySort(sort)
        is_same = column is self._query.sort
        is_descending = not self._query.is_descending if is_same else column not in RISING
        return here(sort=column.value, dir="desc" if is_descending else "asc", page=None)

    def direction(self, sort: str) -> str:
        """How a heading is sorted, in the words of `aria-sort`."""
        if self._query.sort is not KeySort(sort):
            return "none"
        return "descending" if self._query.is_descending else "ascending"

    def chips(self) -> list[tuple[str, str]]:
        """What narrows the list: words, and the address without it."""
        selection = self._query.selection
        found = []
        if selection.chosen is not KeyFilter.ALL:
            found.append((FILTERS[selection.chosen], here(filter=None, page=None)))
        if selection.owner_id is not None:
            rows = self._page.rows
            name = rows[0].entry.username if rows else f"user {selection.owner_id}"
            found.append((f"keys of {name}", here(owner=None, page=None)))
        if selection.search:
            found.append((f"matches “{selection.search}”", here(q=None, page=None)))
        return found

    def turned(self, page: int) -> str:
        """Another page of the same list."""
        return here(page=page)

    def new(self) -> str:
        """Where a key is made, for the owner whose keys are shown."""
        return url_for("keycreate.index", owner=self._query.selection.owner_id)


def read_query(arguments: MultiDict[str, str]) -> KeyQuery:
    """Read the address; what makes no sense becomes the default or the nearest that does."""
    sort = word_of(arguments, "sort", DEFAULTS.sort)
    first = "asc" if sort in RISING else "desc"
    return KeyQuery(
        selection=KeySelection(
            word_of(arguments, "filter", DEFAULTS.selection.chosen),
            _search(arguments.get("q", "")),
            read_number(arguments.get("owner", "")),
        ),
        sort=sort,
        is_descending=arguments.get("dir", first) != "asc",
        page=read_number(arguments.get("page", "")) or DEFAULTS.page,
        page_size=page_size(
            read_number(arguments.get("size", "")) or DEFAULTS.page_size, PAGE_SIZES
        ),
    )


def read_number(text: str) -> int | None:
    """A whole number from an address; None for anything else."""
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER_DIGITS
    return int(text) if is_number else None


def _search(text: str) -> str:
    # PostgreSQL takes no NUL in a text.
    return text.replace("\0", "").strip()[:MAX_SEARCH_CHARACTERS]

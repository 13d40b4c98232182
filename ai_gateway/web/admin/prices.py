"""The prices in force and whose they are, models without one, providers, and a calculator."""

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, TypeVar

from flask import abort, request, url_for
from flask_admin.base import expose
from werkzeug.datastructures import MultiDict

from ai_gateway.domain.price_lines import (
    LineStatus,
    PriceSelection,
    PriceSort,
    PriceSource,
)
from ai_gateway.domain.roles import Permission, Role, allows
from ai_gateway.services.price_table import PAGE_SIZES, PricePage, PriceQuery
from ai_gateway.services.provider_report import TIME_LIMITS, provider_lines
from ai_gateway.web.admin.links import read_word
from ai_gateway.web.admin.staff import StaffView, current_member
from ai_gateway.web.context import services

Choice = TypeVar("Choice", LineStatus, PriceSource)

DEFAULTS = PriceQuery()
MAX_SEARCH_CHARACTERS = 160
MAX_PAGE_DIGITS = 6
TEXT_SORTS = frozenset({PriceSort.MODEL, PriceSort.PROVIDER})

STATUS_WORDS = {
    LineStatus.UNPRICED: "Unpriced",
    LineStatus.PRICED: "Priced",
    LineStatus.SCHEDULED: "Scheduled",
    LineStatus.SUPERSEDED: "Superseded",
}
SOURCE_WORDS = {
    PriceSource.ENTERED: "Entered here",
    PriceSource.OPERATOR: "Configuration file",
    PriceSource.LIST: "Price list",
}


class PricesView(StaffView):
    """At /admin/prices/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Prices"
    group = "Manage"
    address = "prices"
    icon = "tag"

    @expose("/")
    def index(self) -> str:
        page = services().prices.table.page(read_query(request.args))
        return self.render(
            "admin/prices.html",
            page=page,
            links=Links(page.query),
            segments=_segments(page),
            statuses=STATUS_WORDS,
            sources=SOURCE_WORDS,
            sizes=PAGE_SIZES,
            fetched=services().prices.table.fetch_state(),
            **permits(),
        )

    @expose("/model/")
    def model(self) -> str:
        """Everything that is known of one model, with all that was ever entered."""
        provider, model = request.args.get("provider", ""), request.args.get("model", "")
        found = services().prices.table.model(provider, model)
        if found is None:
            abort(HTTPStatus.NOT_FOUND)
        return self.render("admin/price_model.html", found=found, sources=SOURCE_WORDS, **permits())

    @expose("/providers/")
    def providers(self) -> str:
        table = services().prices.table
        health = services().parts_health.read(services().health)
        lines = provider_lines(table.providers(), table.priced_by_provider(), health.providers)
        return self.render(
            "admin/price_providers.html", lines=lines, limits=TIME_LIMITS, **permits()
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """One choice of the status, with how many lines it has."""

    words: str
    href: str
    count: int
    is_chosen: bool


class Links:
    """Addresses of the same list seen otherwise; what has its default is left out."""

    def __init__(self, query: PriceQuery) -> None:
        self._query = query

    def turned(self, page: int) -> str:
        return self._to(page=page)

    def filtered(self, status: LineStatus | None) -> str:
        return self._selected(status=status)

    def sorted(self, sort: str) -> str:
        """By another column, or by the same one the other way round."""
        column = PriceSort(sort)
        is_same = column is self._query.sort
        is_descending = not self._query.is_descending if is_same else column not in TEXT_SORTS
        return self._to(sort=column, is_descending=is_descending, page=1)

    def direction(self, sort: str) -> str:
        if self._query.sort is not PriceSort(sort):
            return "none"
        return "descending" if self._query.is_descending else "ascending"

    def chips(self) -> list[tuple[str, str]]:
        """What narrows the list: words, and the address without it."""
        chosen = self._query.selection
        found = []
        if chosen.source is not None:
            found.append((SOURCE_WORDS[chosen.source], self._selected(source=None)))
        if chosen.provider:
            found.append((chosen.provider, self._selected(provider="")))
        if chosen.search:
            found.append((f"matches “{chosen.search}”", self._selected(search="")))
        return found

    def kept(self, *without: str) -> dict[str, str]:
        """What a form has to send along."""
        whole = _parameters(replace(self._query, page=1))
        return {name: value for name, value in whole.items() if name not in without}

    def _selected(self, **changes: Any) -> str:
        return self._to(selection=replace(self._query.selection, **changes), page=1)

    def _to(self, **changes: Any) -> str:
        return url_for("prices.index", **_parameters(replace(self._query, **changes)))


def permits() -> dict[str, bool]:
    """What the page offers; the server asks again when it is done."""
    member = current_member()
    role = member.user.role if member else Role.NONE
    return {
        "may_change": allows(role, Permission.MANAGE_PRICES),
        "may_call": allows(role, Permission.MANAGE_KEYS),
    }


def read_query(arguments: MultiDict[str, str]) -> PriceQuery:
    """Read the address; what makes no sense becomes the default or the nearest that does."""
    sort = read_word("sort", DEFAULTS.sort)
    direction = "asc" if sort in TEXT_SORTS else "desc"
    size = _number(arguments, "size", DEFAULTS.page_size)
    return PriceQuery(
        PriceSelection(
            _choice(arguments, "status", LineStatus),
            _choice(arguments, "source", PriceSource),
            arguments.get("provider", "")[:MAX_SEARCH_CHARACTERS],
            arguments.get("q", "").strip()[:MAX_SEARCH_CHARACTERS],
        ),
        sort,
        is_descending=arguments.get("dir", direction) == "desc",
        page=_number(arguments, "page", DEFAULTS.page),
        page_size=max((one for one in PAGE_SIZES if one <= size), default=PAGE_SIZES[0]),
    )


def _segments(page: PricePage) -> list[Segment]:
    links, chosen = Links(page.query), page.query.selection.status
    current = sum(
        count for status, count in page.counts.items() if status is not LineStatus.SUPERSEDED
    )
    return [
        Segment("Current", links.filtered(None), current, chosen is None),
        *(
            Segment(words, links.filtered(status), page.counts[status], chosen is status)
            for status, words in STATUS_WORDS.items()
        ),
    ]


def _parameters(query: PriceQuery) -> dict[str, Any]:
    chosen, direction = query.selection, "desc" if query.is_descending else "asc"
    values = {
        "status": (chosen.status.value if chosen.status else "", ""),
        "source": (chosen.source.value if chosen.source else "", ""),
        "provider": (chosen.provider, ""),
        "q": (chosen.search, ""),
        "sort": (query.sort.value, DEFAULTS.sort.value),
        "dir": (direction, "asc" if query.sort in TEXT_SORTS else "desc"),
        "size": (str(query.page_size), str(DEFAULTS.page_size)),
        "page": (str(query.page), str(DEFAULTS.page)),
    }
    return {name: value for name, (value, default) in values.items() if value != default}


def _choice(arguments: MultiDict[str, str], name: str, words: type[Choice]) -> Choice | None:
    try:
        return words(arguments.get(name, ""))
    except ValueError:
        return None


def _number(arguments: MultiDict[str, str], name: str, default: int) -> int:
    text = arguments.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_PAGE_DIGITS
    return int(text) if is_number else default

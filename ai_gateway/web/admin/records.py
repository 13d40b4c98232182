"""Pages of plain records on Flask-Admin's `ModelView`: its list, our access, looks and limits.

Flask-Admin reads here and never writes: a change goes through a service, which checks and records
it. Of its routes only those in `ROUTES` are served.
"""

from collections.abc import Iterable
from math import ceil
from typing import Any, ClassVar

from flask import request
from flask_admin.contrib.sqla.view import ModelView
from flask_admin.form import BaseForm
from flask_admin.model.base import ViewArgs
from sqlalchemy import or_

from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import Base, db
from ai_gateway.web.admin.staff import StaffAccess

MAX_ID = 2**63 - 1
MAX_SEARCH_CHARACTERS = 254
MAX_SEARCH_WORDS = 8


class RecordsView(StaffAccess, ModelView):
    """A list of the rows of one table."""

    ROUTES: ClassVar[tuple[str, ...]] = ("index_view", "action_view")
    _urls: list[tuple[str, str, Iterable[str]]]
    records: ClassVar[type[Base]]

    # No field is derived from a column: what a form takes is listed by hand.
    form = BaseForm
    can_create = can_edit = can_delete = can_export = can_view_details = False
    can_set_page_size = True
    page_size = 50
    page_size_options = (25, 50, 100)
    list_template = "admin/model/list.html"

    def __init__(self) -> None:
        self._urls = [route for route in self._urls if route[1] in self.ROUTES]
        super().__init__(
            self.records,
            db,
            name=self.title,
            category=self.group,
            endpoint=self.endpoint_name(),
            url=self.address,
            menu_icon_value=self.icon,
        )

    @translated_errors()
    def get_list(self, *args: Any, **kwargs: Any) -> Any:
        return super().get_list(*args, **kwargs)

    @translated_errors()
    def get_one(self, id: Any) -> Any:  # noqa: A002  # the base class calls it so
        return super().get_one(id) if read_id(id) is not None else None

    def handle_view_exception(self, exc: Exception) -> bool:
        """Leave it to our error pages: the base class would show the statement to the user."""
        raise exc

    def _get_list_extra_args(self) -> ViewArgs:
        asked = super()._get_list_extra_args()
        # PostgreSQL takes no NUL in a text.
        asked.search = (asked.search or "").replace("\0", "")[:MAX_SEARCH_CHARACTERS] or None
        # What we do not know must not steer the addresses that are made of it (`_scheme`).
        asked.extra_args = {}
        count, _ = self.get_list(
            page=0,
            sort_column=None,
            sort_desc=False,
            search=asked.search,
            filters=asked.filters,
            execute=False,
        )
        last = max(0, ceil(count / self.get_safe_page_size(asked.page_size)) - 1)
        asked.page = min(max(asked.page or 0, 0), last)
        return asked

    def _apply_search(
        self, query: Any, count_query: Any, joins: Any, count_joins: Any, search: str
    ) -> Any:
        # The base class takes `%` and `_` in what was typed for wildcards.
        for word in search.split()[:MAX_SEARCH_WORDS]:
            fields = [field for field, _ in self._search_fields or ()]
            matching = or_(*(field.icontains(word, autoescape=True) for field in fields))
            query, count_query = query.filter(matching), count_query.filter(matching)
        return query, count_query, joins, count_joins


def read_id(text: str | None) -> int | None:
    """The number of a row in an address or a form; None where it is none."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_ID)):
        return None
    return int(text) if int(text) <= MAX_ID else None


def selected_ids() -> list[int]:
    """The rows that were chosen, in the order of the list, each once."""
    asked = (read_id(text) for text in request.values.getlist("selected"))
    return list(dict.fromkeys(number for number in asked if number is not None))

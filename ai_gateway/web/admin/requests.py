"""The requests: calls and refusals as lists, as a file, and one of them explained."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose

from ai_gateway.domain.audit import Action, Change, Target, TargetKind
from ai_gateway.domain.request_list import Place
from ai_gateway.domain.roles import Permission
from ai_gateway.domain.virtual_key import key_id_of, parse_key
from ai_gateway.errors import RequestNotFound
from ai_gateway.services.explanation import ExplainedCharge, ExplainedRefusal
from ai_gateway.services.export_rows import HEADER, readable
from ai_gateway.services.request_list import CallPage, CallQuery, RefusalPage, RefusalQuery
from ai_gateway.web.admin import request_wording as wording
from ai_gateway.web.admin.error_pages import Words, error_page
from ai_gateway.web.admin.links import here
from ai_gateway.web.admin.ranges import earlier, later, range_options
from ai_gateway.web.admin.request_query import (
    AFTER,
    BEFORE,
    YES,
    Filter,
    call_filters,
    parameters,
    read_calls,
    read_refusals,
    refusal_filters,
    turned,
)
from ai_gateway.web.admin.staff import StaffView, current_actor
from ai_gateway.web.admin.wording import REFUSAL_WORDS, outcome_words, refusal_words
from ai_gateway.web.context import services
from ai_gateway.web.csv_export import Row, csv_response

NOBODY = Words(
    "No such request",
    "Neither the ledger nor the kept refusals have a request of this id.",
)
MAX_ID_CHARACTERS = 160
SHARED = frozenset({"user", "key", "model"})


class RequestsView(StaffView):
    """At /admin/ai-analytics/requests/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Requests"
    group = "Analytics"
    address = "ai-analytics/requests"
    icon = "list"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        asked_id = request.args.get("id", "").strip()
        if asked_id:
            return self._jump(asked_id)
        if parse_key(request.args.get("key", "").strip()):
            # A whole key that somebody looks for must stand in no page and no address.
            return redirect(here(key=key_id_of(request.args["key"].strip())))
        page = services().requests.lists.page(
            read_calls(request.args), with_count=request.args.get("count") == YES
        )
        filters = call_filters(page.query.selection, wording.OUTCOME_CHOICES)
        return self._render_list(
            "admin/requests.html",
            page,
            filters,
            outcomes=wording.OUTCOME_CHOICES,
            outcome_words=outcome_words,
            has_langsmith=services().tracing_health().project_page is not None,
            export=url_for("requests.export", **parameters(page.query, filters)),
        )

    @expose("/refused/")
    def refused(self) -> str:
        page = services().requests.lists.refusals(read_refusals(request.args))
        selection = page.query.selection
        filters = refusal_filters(selection, refusal_words(selection.reason))
        return self._render_list(
            "admin/refusals.html",
            page,
            filters,
            reasons=REFUSAL_WORDS,
            refusal_words=refusal_words,
            total=sum(page.numbers.values()),
        )

    @expose("/export.csv")
    def export(self) -> Response:
        """Every call of the filters with the columns of `flask ledger export`, oldest first."""
        query = read_calls(request.args)
        rows = _csv_rows(query, services().zone)
        asked = parameters(query, call_filters(query.selection, wording.OUTCOME_CHOICES))
        today = services().clock().astimezone(services().zone)
        response = csv_response(f"requests-as-of-{today:%Y-%m-%d}.csv", HEADER, rows)
        services().audit.record(
            Action.EXPORT,
            current_actor(),
            Target(TargetKind.REPORT, "requests"),
            Change(after=asked),
        )
        return response

    @expose("/<request_id>/")
    def detail(self, request_id: str) -> ResponseReturnValue:
        try:
            found = services().requests.explanations.explain(request_id)
        except RequestNotFound:
            return error_page(HTTPStatus.NOT_FOUND, NOBODY)
        if isinstance(found, ExplainedRefusal):
            return self.render(
                "admin/refusal.html",
                refused=found,
                refusal_words=refusal_words,
            )
        return self._render_charge(found)

    def _render_charge(self, charge: ExplainedCharge) -> str:
        return self.render(
            "admin/request.html",
            charge=charge,
            said=wording.said,
            wording=wording,
            rounding_words=wording.rounding_words(charge),
            raw_usage=_indented(charge.call.raw_usage),
            outcome_words=outcome_words,
            has_langsmith=services().tracing_health().project_page is not None,
        )

    def _render_list(
        self, template: str, page: CallPage | RefusalPage, filters: list[Filter], **more: Any
    ) -> str:
        zone, period = services().zone, page.period
        return self.render(
            template,
            page=page,
            zone=zone,
            ranges=range_options(),
            shifts=(earlier(period, zone), later(period, zone)),
            chips=[(one.words, here(**{one.name: None, "page": None})) for one in filters],
            values={one.name: one.text for one in filters},
            shared=_shared(page.query, filters),
            newer=_turned(AFTER, page.newer),
            older=_turned(BEFORE, page.older),
            unfiltered=here(**dict.fromkeys(one.name for one in filters), page=None),
            **more,
        )

    def _jump(self, asked_id: str) -> ResponseReturnValue:
        try:
            found = services().requests.explanations.named(
                asked_id.replace("\0", "")[:MAX_ID_CHARACTERS]
            )
        except RequestNotFound:
            return error_page(HTTPStatus.NOT_FOUND, NOBODY)
        return redirect(url_for("requests.detail", request_id=found))


def _shared(query: CallQuery | RefusalQuery, filters: list[Filter]) -> dict[str, Any]:
    """What narrows calls and refusals alike."""
    return parameters(query, [one for one in filters if one.name in SHARED])


def _turned(direction: str, place: Place | None) -> str:
    return here(page=turned(direction, place)) if place else ""


def _csv_rows(query: CallQuery, zone: ZoneInfo) -> Iterator[list[Row]]:
    for batch in services().requests.lists.all(query):
        yield [list(readable(row, zone).values()) for row in batch]


def _indented(raw_usage: str | None) -> str | None:
    """As it was sent, but with line ends; what is no JSON stays as it is."""
    if raw_usage is None:
        return None
    try:
        return json.dumps(json.loads(raw_usage), indent=2, ensure_ascii=False)
    except ValueError:
        return raw_usage

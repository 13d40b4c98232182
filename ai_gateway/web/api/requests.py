"""Requests: the calls and the refusals of a span, narrowed as asked, and one of them explained."""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from ai_gateway.domain.money import from_usd
from ai_gateway.domain.request_list import (
    CallSelection,
    OutcomeFilter,
    Place,
    RefusalSelection,
    Whose,
)
from ai_gateway.services.explanation_facts import charge_facts, refusal_facts, request_facts
from ai_gateway.services.request_list import CallQuery, ListedCall, RefusalQuery, Turn
from ai_gateway.web.api.caller import Caller
from ai_gateway.web.api.cursors import read_cursor, write_cursor
from ai_gateway.web.api.endpoint import REQUEST_ID, Asked, get
from ai_gateway.web.api.fields import (
    Absent,
    CostText,
    Cursor,
    KeyId,
    Milliseconds,
    NoQuery,
    PageLimit,
    Text,
    read_facts,
)
from ai_gateway.web.api.request_shapes import (
    ListedCallAnswer,
    RefusalAnswer,
    RefusalsAnswer,
    RequestAnswer,
    RequestsAnswer,
)
from ai_gateway.web.api.spans import SpanQuery, asked_range
from ai_gateway.web.context import services


class CallsQuery(SpanQuery):
    """Which calls of a span, and which page of them."""

    key_id: KeyId = ""
    provider: Text = ""
    model: Text = ""
    """What was asked for, by the client's own name or the catalogue's."""
    served_model: Text = ""
    """What answered, by the provider's own word."""
    outcome: OutcomeFilter | Absent = None
    """`failed` is any failure."""
    min_cost_usd: CostText | Absent = None
    """USD as a string, so that it stays exact."""
    min_latency_ms: Milliseconds | Absent = None
    stream: bool | Absent = None
    unpriced: bool = False
    limit: PageLimit = 50
    cursor: Cursor | Absent = None
    """The `next_cursor` of an earlier answer to the same span and filters."""


class RefusalsQuery(SpanQuery):
    """Which refused requests of a span, and which page of them."""

    key_id: KeyId = ""
    model: Text = ""
    reason: Text = ""
    """Such as `user_day` or `ModelNotFound`, as answers have it."""
    limit: PageLimit = 50
    cursor: Cursor | Absent = None
    """The `next_cursor` of an earlier answer to the same span and filters."""


@get("/requests/", CallsQuery, RequestsAnswer)
def requests(asked: Asked[CallsQuery]) -> RequestsAnswer:
    """The calls of a span, newest first, narrowed as asked."""
    given, cursors = asked.given, _cursors("/requests/", asked.given)
    selection = CallSelection(
        whose=Whose(asked.caller.subject(given.user_id), key_id=given.key_id),
        provider=given.provider,
        model=given.model,
        served=given.served_model,
        outcome=given.outcome,
        min_cost=from_usd(Decimal(given.min_cost_usd)) if given.min_cost_usd else None,
        min_latency_ms=given.min_latency_ms,
        is_stream=given.stream,
        is_unpriced=given.unpriced,
    )
    turn = Turn(before=_place(cursors, given.cursor))
    query = CallQuery(selection, asked_range(given), turn)
    calls, reached = services().requests.lists.newest(query, given.limit)
    return RequestsAnswer(
        calls=[_listed(call) for call in calls],
        next_cursor=_cursor(cursors, reached) if reached else None,
    )


@get(f"/requests/{REQUEST_ID}/", NoQuery, RequestAnswer)
def request(asked: Asked[NoQuery], request_id: str) -> RequestAnswer:
    """One call: how its cost came about line by line, what was held, and what the ledger has."""
    explanations = services().requests.explanations
    charge = explanations.charge(request_id, _owner(asked.caller))
    return read_facts(RequestAnswer, charge_facts(charge))


@get("/refusals/", RefusalsQuery, RefusalsAnswer)
def refusals(asked: Asked[RefusalsQuery]) -> RefusalsAnswer:
    """The refused requests of a span, newest first; they are in no sum."""
    given, cursors = asked.given, _cursors("/refusals/", asked.given)
    whose = Whose(asked.caller.subject(given.user_id), key_id=given.key_id)
    selection = RefusalSelection(whose, given.model, given.reason)
    turn = Turn(before=_place(cursors, given.cursor))
    query = RefusalQuery(selection, asked_range(given), turn)
    found = services().requests.lists.newest_refusals(query, given.limit + 1)
    shown, more = found[: given.limit], found[given.limit :]
    return RefusalsAnswer(
        refusals=[read_facts(RefusalAnswer, request_facts(one)) for one in shown],
        next_cursor=_cursor(cursors, shown[-1].place) if more else None,
    )


@get(f"/refusals/{REQUEST_ID}/", NoQuery, RefusalAnswer)
def refusal(asked: Asked[NoQuery], request_id: str) -> RefusalAnswer:
    """One refused request: which budget had no room, and how much was needed."""
    explanations = services().requests.explanations
    refused = explanations.refusal(request_id, _owner(asked.caller))
    return read_facts(RefusalAnswer, refusal_facts(refused))


def _owner(caller: Caller) -> int | None:
    """Whose requests the caller may see; None is everybody's."""
    return None if caller.is_staff else caller.user.user_id


def _listed(call: ListedCall) -> ListedCallAnswer:
    facts: dict[str, Any] = asdict(call)
    del facts["place"]
    cost = facts.pop("cost")
    return ListedCallAnswer(
        admitted_at=call.admitted_at, cost_usd=cost, cost_nano_usd=cost, **facts
    )


def _cursors(address: str, given: CallsQuery | RefusalsQuery) -> str:
    asked = given.model_copy(update={"cursor": None, "limit": 0})
    return f"{address} {asked.model_dump_json()}"


def _place(cursors: str, cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    at, number = read_cursor(cursors, cursor)
    return Place(datetime.fromisoformat(at), int(number))


def _cursor(cursors: str, place: Place) -> str:
    return write_cursor(cursors, [place.at.isoformat(), place.number])

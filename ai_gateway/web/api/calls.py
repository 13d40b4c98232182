"""The last calls, and who spends most today."""

from datetime import datetime

from ai_gateway.domain.limits import BudgetState
from ai_gateway.services.analytics import Position, RecentCall
from ai_gateway.services.reports import Spender
from ai_gateway.web.api.caller import Access
from ai_gateway.web.api.cursors import read_cursor, write_cursor
from ai_gateway.web.api.endpoint import Asked, get
from ai_gateway.web.api.fields import (
    Absent,
    Answer,
    Count,
    Cursor,
    Moment,
    NanoUsd,
    PageLimit,
    Query,
    Usd,
    UserId,
)
from ai_gateway.web.context import services

ADDRESS = "/activity/"


class ActivityQuery(Query):
    """Whose calls, and which page of them."""

    user_id: UserId | Absent = None
    """Of one user; without it staff get the calls of all, anybody else their own."""
    limit: PageLimit = 50
    cursor: Cursor | Absent = None
    """The `next_cursor` of an earlier answer."""


class CallAnswer(Answer):
    """One admitted call, as the ledger has it. What was said in it is not kept."""

    request_id: str
    admitted_at: Moment
    user_id: int
    username: str | None
    """Null for a user that was deleted."""
    provider: str
    model: str
    outcome: str
    confidence: str
    price_status: str
    input_tokens: Count
    output_tokens: Count
    cost_usd: Usd
    cost_nano_usd: NanoUsd
    latency_ms: Count
    ttft_ms: Count | None
    """To the first token; null where nothing was streamed."""
    stream: bool


class ActivityAnswer(Answer):
    """Calls, newest first. A call that comes in later does not move the pages."""

    calls: list[CallAnswer]
    next_cursor: str | None
    """Null on the last page."""


@get(ADDRESS, ActivityQuery, ActivityAnswer)
def activity(asked: Asked[ActivityQuery]) -> ActivityAnswer:
    """The last calls, newest first."""
    query = asked.given
    page = services().analytics.last_calls(
        query.limit,
        older_than=_read(query.cursor),
        user_id=asked.caller.subject(query.user_id),
    )
    return ActivityAnswer(
        calls=[_call(call) for call in page.calls], next_cursor=_write(page.older_than)
    )


class TopQuery(Query):
    """How many."""

    limit: PageLimit = 10


class SpenderAnswer(Answer):
    """What a user caused since midnight. Who was deleted has no name, and no status."""

    user_id: int
    username: str | None
    email: str | None
    requests: Count
    cost_usd: Usd
    cost_nano_usd: NanoUsd
    limit_status: BudgetState | None


class TopAnswer(Answer):
    """The users with the highest cost today, the dearest first."""

    users: list[SpenderAnswer]


@get("/top/", TopQuery, TopAnswer, Access.STAFF)
def top(asked: Asked[TopQuery]) -> TopAnswer:
    """Who spends most today, since midnight in the reporting zone."""
    return TopAnswer(
        users=[_spender(one) for one in services().reports.top_spenders(asked.given.limit)]
    )


def _spender(spender: Spender) -> SpenderAnswer:
    user = spender.user
    return SpenderAnswer(
        user_id=user.user_id,
        username=user.username,
        email=user.email,
        requests=user.requests,
        cost_usd=user.cost,
        cost_nano_usd=user.cost,
        limit_status=None if spender.budgets is None else spender.budgets.state,
    )


def _call(call: RecentCall) -> CallAnswer:
    return CallAnswer(
        request_id=call.request_id,
        admitted_at=call.admitted_at,
        user_id=call.user_id,
        username=call.username,
        provider=call.provider,
        model=call.model,
        outcome=call.outcome,
        confidence=call.confidence,
        price_status=call.price_status,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cost_usd=call.cost,
        cost_nano_usd=call.cost,
        latency_ms=call.latency_ms,
        ttft_ms=call.ttft_ms,
        stream=call.stream,
    )


def _write(position: Position | None) -> str | None:
    if position is None:
        return None
    admitted_at, number = position
    return write_cursor(ADDRESS, [admitted_at.isoformat(), number])


def _read(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    admitted_at, number = read_cursor(ADDRESS, cursor)
    return datetime.fromisoformat(admitted_at), int(number)

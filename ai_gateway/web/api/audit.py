"""The audit for programs: read by staff, written by nobody."""

from datetime import datetime

from ai_gateway.domain.audit import Action, Fact, Result
from ai_gateway.domain.audit_list import AuditLine, AuditPosition, AuditSelection
from ai_gateway.services.audit_report import AuditQuery
from ai_gateway.web.api.caller import Access
from ai_gateway.web.api.cursors import read_cursor, write_cursor
from ai_gateway.web.api.endpoint import Asked, get
from ai_gateway.web.api.fields import Absent, Answer, Cursor, Moment, PageLimit, Text
from ai_gateway.web.api.spans import RangeQuery, asked_range
from ai_gateway.web.context import services


class EntriesQuery(RangeQuery):
    """Which entries of a span, and which page of them."""

    actor: Text = ""
    """The whole name of whoever acted, as it was then."""
    action: Action | Absent = None
    target: Text = ""
    """A whole name as it was then, or a kind and an id: `user:12`, `key:Kd7w0000`."""
    result: Result | Absent = None
    limit: PageLimit = 50
    cursor: Cursor | Absent = None
    """The `next_cursor` of an earlier answer to the same span and filters."""


class EntryAnswer(Answer):
    """One entry, as it was recorded; what was secret in it was masked then."""

    entry: int
    at: Moment
    actor_id: int | None
    """Null for commands, the bookkeeper, and log-ins that failed."""
    actor: str
    role: str
    address: str
    action: str
    target_kind: str | None
    target_id: str | None
    target: str | None
    before: dict[str, Fact]
    """The fields that changed, as they were."""
    after: dict[str, Fact]
    reason: str
    request_id: str | None
    result: str


class EntriesAnswer(Answer):
    """Entries, newest first. One that comes in later does not move the pages."""

    entries: list[EntryAnswer]
    next_cursor: str | None
    """Null on the last page."""


@get("/audit/", EntriesQuery, EntriesAnswer, Access.STAFF)
def audit(asked: Asked[EntriesQuery]) -> EntriesAnswer:
    """Every change and every log-in: who, when, from where, what, to whom, with what result."""
    given = asked.given
    cursors = f"/audit/ {given.model_copy(update={'cursor': None, 'limit': 0}).model_dump_json()}"
    query = AuditQuery(
        AuditSelection(given.actor, given.target, given.action, given.result),
        asked_range(given),
        before=_position(cursors, given.cursor),
    )
    found = services().audit_report.newest(query, given.limit + 1)
    lines, more = found[: given.limit], found[given.limit :]
    return EntriesAnswer(
        entries=[_entry(line) for line in lines],
        next_cursor=_cursor(cursors, lines[-1].position) if more else None,
    )


def _position(cursors: str, cursor: str | None) -> AuditPosition | None:
    if cursor is None:
        return None
    at, number = read_cursor(cursors, cursor)
    return AuditPosition(datetime.fromisoformat(at), int(number))


def _cursor(cursors: str, position: AuditPosition) -> str:
    return write_cursor(cursors, [position.at.isoformat(), position.number])


def _entry(line: AuditLine) -> EntryAnswer:
    return EntryAnswer(
        entry=line.position.number,
        at=line.at,
        actor_id=line.actor_id,
        actor=line.actor,
        role=line.role,
        address=line.address,
        action=line.action,
        target_kind=line.target_kind,
        target_id=line.target_id,
        target=line.target_name,
        before=dict(line.before),
        after=dict(line.after),
        reason=line.reason,
        request_id=line.request_id,
        result=line.result,
    )

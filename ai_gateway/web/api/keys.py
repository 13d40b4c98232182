"""Virtual keys: listed, made, rotated and revoked. A secret is in one answer, and in none after."""

from decimal import Decimal

from ai_gateway.domain.key_list import KeyFilter, KeySelection, KeyState
from ai_gateway.domain.limits import NO_LIMIT, Budget, Limit, LimitKind, Scope, Window
from ai_gateway.domain.money import from_usd
from ai_gateway.domain.virtual_key import Grace
from ai_gateway.services.key_admin import IssuedKey, KeyRequest
from ai_gateway.services.key_list import KeyRow
from ai_gateway.services.key_rules import KeyOptions
from ai_gateway.web.admin.staff import current_actor
from ai_gateway.web.api.budgets import BudgetAnswer, Used, budget_answer
from ai_gateway.web.api.caller import Access, Caller, idempotency_id
from ai_gateway.web.api.cursors import read_cursor, write_cursor
from ai_gateway.web.api.endpoint import KEY_ID, Asked, get, post
from ai_gateway.web.api.fields import (
    Absent,
    Answer,
    Body,
    Cursor,
    GivenMoment,
    LimitChoice,
    ModelNames,
    Moment,
    NoQuery,
    PageLimit,
    Query,
    Text,
    UserId,
)
from ai_gateway.web.context import services


class KeysQuery(Query):
    """Which keys, and which page of them, in the order in which they were made."""

    filter: KeyFilter = KeyFilter.ALL
    """`active` shows the rotating ones too."""
    search: Text = ""
    """A part of the label or of the owner's name or mail address, or the begin of the key's id."""
    user_id: UserId | Absent = None
    """Only the keys of this user; without it everybody's for staff, and one's own for others."""
    limit: PageLimit = 50
    cursor: Cursor | Absent = None
    """The `next_cursor` of an earlier answer to the same filter, search and user."""


class KeyAnswer(Answer):
    """One key with its own budgets; those of its owner hold beside them."""

    key_id: str
    last4: str
    label: str
    user_id: int
    username: str
    status: KeyState
    is_owner_enabled: bool
    """The keys of a disabled owner are refused, whatever their status."""
    allowed_models: list[str]
    """Empty where all are allowed."""
    created_at: Moment
    created_by: str
    expires_at: Moment | None
    previous_works_until: Moment | None
    """While it is rotating: until when the secret before the last rotation works."""
    last_used_at: Moment | None
    """When its latest settled call was admitted."""
    daily: BudgetAnswer
    monthly: BudgetAnswer


class KeysAnswer(Answer):
    """Some keys."""

    keys: list[KeyAnswer]
    is_live: bool
    """False while the counters are away: the amounts are then those of the database."""
    next_cursor: str | None
    """Null on the last page."""


class KeyBody(Body):
    """What the new key is for, and what it may."""

    label: Text = ""
    user_id: UserId | None = None
    """The owner; without it, oneself."""
    allowed_models: ModelNames = ()
    """Empty allows all."""
    expires_at: GivenMoment | None = None
    limit_day: LimitChoice = "inherit"
    """USD as a string, `none`, or `inherit`; never more than the owner's own."""
    limit_month: LimitChoice = "inherit"


class RotateBody(Body):
    """How long the present secret still works."""

    grace: Grace


class RevokeBody(Body):
    """Nothing to choose."""


class IssuedAnswer(Answer):
    """A key with a new secret."""

    key_id: str
    key: str | None
    """The whole key, here and nowhere else; null where the same request was answered before."""
    last4: str
    user_id: int
    previous_works_until: Moment | None
    is_in_force: bool
    """False while Redis is away: then at the latest 30 s after it is back."""


class RevokedAnswer(Answer):
    """A key that is revoked, for good."""

    key_id: str
    is_in_force: bool
    """Redis confirmed it: the next call is refused everywhere."""


@get("/keys/", KeysQuery, KeysAnswer)
def keys(asked: Asked[KeysQuery]) -> KeysAnswer:
    """Virtual keys with their states and spend: one's own, or for staff everybody's."""
    query = asked.given
    selection = KeySelection(query.filter, query.search, asked.caller.subject(query.user_id))
    cursors = f"/keys/ {selection.chosen} {selection.owner_id} {selection.search}"
    behind = int(read_cursor(cursors, query.cursor)[0]) if query.cursor else 0
    found = services().key_list.after(selection, number=behind, count=query.limit + 1)
    rows, more = found.rows[: query.limit], found.rows[query.limit :]
    return KeysAnswer(
        keys=[_answer(row) for row in rows],
        is_live=found.is_live,
        next_cursor=write_cursor(cursors, [rows[-1].entry.number]) if more else None,
    )


@get(f"/keys/{KEY_ID}/", NoQuery, KeyAnswer)
def key(asked: Asked[NoQuery], key_id: str) -> KeyAnswer:
    """One key: one's own, or for staff anybody's."""
    return _answer(services().key_list.find(key_id, owner_id=asked.caller.subject(None)))


@post("/keys/", KeyBody, IssuedAnswer, Access.KEYS)
def create_key(asked: Asked[KeyBody]) -> IssuedAnswer:
    """Make a key. A repeat with the same `Idempotency-Key` makes no other and shows no secret."""
    body, caller = asked.given, asked.caller
    options = KeyOptions(
        label=body.label.strip(),
        allowed_models=body.allowed_models,
        expires_at=body.expires_at,
        limits={
            Budget(Scope.KEY, Window.DAY): _limit(body.limit_day),
            Budget(Scope.KEY, Window.MONTH): _limit(body.limit_month),
        },
    )
    owner_id = caller.user.user_id if body.user_id is None else body.user_id
    return _issued(services().key_admin.create(owner_id, options, _request(caller)))


@post(f"/keys/{KEY_ID}/rotate/", RotateBody, IssuedAnswer, Access.KEYS)
def rotate_key(asked: Asked[RotateBody], key_id: str) -> IssuedAnswer:
    """Give a key another secret; the one before works for the grace, an older one ends at once.

    A repeat with the same `Idempotency-Key` changes nothing and shows no secret.
    """
    admin = services().key_admin
    return _issued(admin.rotate(key_id, asked.given.grace, _request(asked.caller)))


@post(f"/keys/{KEY_ID}/revoke/", RevokeBody, RevokedAnswer, Access.KEYS)
def revoke_key(asked: Asked[RevokeBody], key_id: str) -> RevokedAnswer:
    """Revoke a key for good: the next call is refused, running streams end within 10 seconds."""
    done = services().key_admin.revoke(key_id, _request(asked.caller))
    return RevokedAnswer(key_id=done.key_id, is_in_force=done.is_in_force)


def _request(caller: Caller) -> KeyRequest:
    chosen = idempotency_id()
    return KeyRequest(current_actor(), caller.key_owner, f"api:{chosen}" if chosen else "")


def _limit(choice: str) -> Limit | None:
    if choice == "inherit":
        return None
    if choice == "none":
        return NO_LIMIT
    return Limit(LimitKind.AMOUNT, from_usd(Decimal(choice)))


def _issued(issued: IssuedKey) -> IssuedAnswer:
    return IssuedAnswer(
        key_id=issued.key.key_id,
        key=issued.text,
        last4=issued.key.last4,
        user_id=issued.key.user_id,
        previous_works_until=issued.key.previous_until,
        is_in_force=issued.is_published,
    )


def _answer(row: KeyRow) -> KeyAnswer:
    entry, daily, monthly = row.entry, row.daily, row.monthly
    return KeyAnswer(
        key_id=entry.key_id,
        last4=entry.last4,
        label=entry.label,
        user_id=entry.user_id,
        username=entry.username,
        status=entry.state,
        is_owner_enabled=entry.is_owner_enabled,
        allowed_models=list(entry.allowed_models),
        created_at=entry.created_at,
        created_by=entry.created_by,
        expires_at=entry.expires_at,
        previous_works_until=entry.previous_until,
        last_used_at=entry.last_used_at,
        daily=budget_answer(Used.of(daily.spent, daily.limit), daily.state, row.day_resets_at),
        monthly=budget_answer(
            Used.of(monthly.spent, monthly.limit), monthly.state, row.month_resets_at
        ),
    )

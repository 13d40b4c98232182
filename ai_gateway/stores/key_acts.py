"""What is done to a virtual key in SQL: once for each order, and together with its audit."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.domain.limits import Budget, Limit
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import KeyNotFound, UserNotFound
from ai_gateway.stores.audit import row_of
from ai_gateway.stores.spend_limits import set_limit
from ai_gateway.stores.sql_errors import write
from ai_gateway.stores.tables import KeyOrder, User, VirtualKey


class OrderRepeated(Exception):
    """The same order made or rotated `key` before; nothing was changed."""

    def __init__(self, key: "KeyFacts") -> None:
        super().__init__(key.key_id)
        self.key = key


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is stored: its digest, never its text."""

    key_id: str
    digest: str
    last4: str
    label: str
    user_id: int
    allowed_models: tuple[str, ...]
    expires_at: datetime | None
    created_at: datetime
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What a rotation puts in place of a secret, and until when that one still works."""

    digest: str
    last4: str
    previous_until: datetime


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key at one moment, as far as an act or the audit needs it. `number` is its subject."""

    number: int
    key_id: str
    last4: str
    label: str
    user_id: int
    username: str
    is_owner_enabled: bool
    status: KeyStatus
    allowed_models: tuple[str, ...]
    expires_at: datetime | None
    previous_until: datetime | None


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A change inside its transaction, not yet committed; a new key has no `before`."""

    before: KeyFacts | None
    after: KeyFacts


Review = Callable[[KeyChange], Iterable[AuditEntry]]
"""Gives a change its lines of the audit, or raises, and then nothing is changed."""


@dataclass(frozen=True, slots=True)
class KeyAct:
    """Under which order something is done, on whose keys, and what looks at the change.

    Without `owner_id` any key may be meant; without `order_id` a repeat is another act.
    """

    at: datetime
    review: Review
    owner_id: int | None
    order_id: str | None = None


class KeyActs:
    """Makes, rotates and revokes; each in one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, new: NewKey, limits: Mapping[Budget, Limit | None], act: KeyAct) -> KeyFacts:
        """Store a key with its limits; raises `UserNotFound` and `OrderRepeated`."""

        def add(session: Session) -> KeyFacts:
            _refuse_repeated(session, act)
            owner = session.get(User, new.user_id)
            if owner is None:
                raise UserNotFound(new.user_id)
            row = VirtualKey(**asdict(new) | {"allowed_models": list(new.allowed_models)})
            row.user = owner
            session.add(row)
            session.flush()
            for budget, limit in limits.items():
                set_limit(session, row.id, budget, limit)
            return _done(session, act, None, row)

        return self._write(add, act)

    def rotate(self, key_id: str, secret: NewSecret, act: KeyAct) -> KeyFacts:
        """Put another secret in place; raises `KeyNotFound` and `OrderRepeated`."""

        def rotate(session: Session) -> KeyFacts:
            _refuse_repeated(session, act)
            row = _find(session, key_id, act)
            before = _facts(row)
            row.previous_digest, row.previous_until = row.digest, secret.previous_until
            row.digest, row.last4 = secret.digest, secret.last4
            return _done(session, act, before, row)

        return self._write(rotate, act)

    def revoke(self, key_id: str, act: KeyAct) -> KeyFacts:
        """Revoke for good; raises `KeyNotFound`. Again it changes nothing."""

        def revoke(session: Session) -> KeyFacts:
            row = _find(session, key_id, act)
            before = _facts(row)
            if before.status is KeyStatus.REVOKED:
                return before
            row.status = KeyStatus.REVOKED.value
            return _done(session, act, before, row)

        return self._write(revoke, act)

    def _write(self, action: Callable[[Session], KeyFacts], act: KeyAct) -> KeyFacts:
        try:
            return write(action, engine=self._engine)
        except IntegrityError:
            # The same order was faster in another process.
            write(lambda session: _refuse_repeated(session, act), engine=self._engine)
            raise


def _refuse_repeated(session: Session, act: KeyAct) -> None:
    order = session.get(KeyOrder, act.order_id) if act.order_id else None
    if order is not None:
        raise OrderRepeated(_facts(_find(session, order.key_id, act)))


def _find(session: Session, key_id: str, act: KeyAct) -> VirtualKey:
    query = select(VirtualKey).where(VirtualKey.key_id == key_id)
    if act.owner_id is not None:
        query = query.where(VirtualKey.user_id == act.owner_id)
    # Two rotations at once would both take the same secret for the one before.
    query = query.options(joinedload(VirtualKey.user)).with_for_update(of=VirtualKey)
    row = session.scalar(query)
    if row is None:
        raise KeyNotFound(key_id)
    return row


def _done(session: Session, act: KeyAct, before: KeyFacts | None, row: VirtualKey) -> KeyFacts:
    after = _facts(row)
    if before is not None:
        row.version += 1
    if act.order_id:
        session.add(KeyOrder(id=act.order_id, key_id=row.key_id, at=act.at))
    session.add_all(row_of(entry) for entry in act.review(KeyChange(before, after)))
    return after


def _facts(row: VirtualKey) -> KeyFacts:
    return KeyFacts(
        number=row.id,
        key_id=row.key_id,
        last4=row.last4,
        label=row.label,
        user_id=row.user_id,
        username=row.user.username,
        is_owner_enabled=row.user.is_enabled,
        status=KeyStatus(row.status),
        allowed_models=tuple(row.allowed_models),
        expires_at=row.expires_at,
        previous_until=row.previous_until,
    )

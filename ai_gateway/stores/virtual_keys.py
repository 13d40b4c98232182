"""Virtual keys: the truth in SQL, and the copies in Redis that workers check against.

A change commits in SQL, then writes Redis; the bookkeeper publishes all again every 30 s.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import redis
from sqlalchemy import Engine, and_, false, or_, select, update
from sqlalchemy.orm import Session, joinedload

from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import (
    BUDGETS,
    INSTALLATION_ID,
    NO_LIMIT,
    Budget,
    Limit,
    LimitKind,
    Scope,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.virtual_key import KeyStatus, is_expired
from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import SpendLimit, VirtualKey

_SCRIPTS = Path(__file__).parent / "scripts"
_Chosen = Mapping[tuple[str, int, str], Limit]


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


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as lists show it."""

    key_id: str
    last4: str
    username: str
    label: str
    state: str


class KeyTable:
    """Keys as SQL has them, with the limits in force."""

    def __init__(self, engine: Engine, defaults: Mapping[Budget, Limit]) -> None:
        # Who only reads must not wait for a writer: workers read limits for pages and programs.
        self._reading = engine
        self._engine = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._defaults = defaults

    def records(self, *, user_id: int | None = None) -> list[KeyRecord]:
        """All keys, or those of one user, ready to be published."""
        query = select(VirtualKey).options(joinedload(VirtualKey.user)).order_by(VirtualKey.id)
        if user_id is not None:
            query = query.where(VirtualKey.user_id == user_id)
        with transaction(self._reading) as session:
            keys = list(session.scalars(query))
            own = [_subjects(key) for key in keys] if user_id is not None else None
            chosen = _chosen_limits(session, own)
            return [self._record(key, chosen) for key in keys]

    def record(self, key_id: str) -> KeyRecord | None:
        query = select(VirtualKey).where(VirtualKey.key_id == key_id)
        with transaction(self._reading) as session:
            key = session.scalar(query.options(joinedload(VirtualKey.user)))
            return self._record(key, _chosen_limits(session, [_subjects(key)])) if key else None

    def add(self, new: NewKey) -> int:
        """Store a key; returns its number, the subject of its accounts."""
        with transaction(self._engine) as session:
            row = VirtualKey(**asdict(new) | {"allowed_models": list(new.allowed_models)})
            session.add(row)
            session.flush()
            return row.id

    def rows(self, now: datetime) -> list[KeyRow]:
        query = select(VirtualKey).options(joinedload(VirtualKey.user)).order_by(VirtualKey.id)
        with transaction(self._reading) as session:
            return [
                KeyRow(k.key_id, k.last4, k.user.username, k.label, _state(k, now))
                for k in session.scalars(query)
            ]

    def revoke(self, key_id: str) -> bool:
        """Revoke for good; False for an unknown key."""
        with transaction(self._engine) as session:
            changed = session.execute(
                update(VirtualKey)
                .where(VirtualKey.key_id == key_id)
                .values(status=KeyStatus.REVOKED.value, version=VirtualKey.version + 1)
            )
            return bool(changed.rowcount)  # type: ignore[attr-defined]  # a CursorResult has it

    def set_limits(
        self, scope: Scope, subject_id: int, changes: Mapping[Budget, Limit | None]
    ) -> None:
        """Set limits of one user or key; None takes the choice back, so that it inherits."""
        with transaction(self._engine) as session:
            for budget, limit in changes.items():
                _set_limit(session, subject_id, budget, limit)
            touched = VirtualKey.user_id if scope is Scope.USER else VirtualKey.id
            session.execute(
                update(VirtualKey)
                .where(touched == subject_id)
                .values(version=VirtualKey.version + 1)
            )

    def limits(self, subjects: Mapping[Scope, int]) -> dict[Budget, Limit]:
        """The limits in force for these subjects, whether or not they have a key."""
        with transaction(self._reading) as session:
            chosen = _chosen_limits(session, [subjects])
        return {
            budget: self._limit(chosen, budget, subjects[budget.scope])
            for budget in BUDGETS
            if budget.scope in subjects
        }

    def _record(self, key: VirtualKey, chosen: _Chosen) -> KeyRecord:
        is_active = key.status == KeyStatus.ACTIVE and key.user.is_enabled
        subjects = _subjects(key)
        return KeyRecord(
            key_id=key.key_id,
            subject_id=key.id,
            digest=key.digest,
            user_id=key.user_id,
            status=KeyStatus.ACTIVE if is_active else KeyStatus.REVOKED,
            expires_at=key.expires_at,
            allowed_models=tuple(key.allowed_models),
            limits=tuple(self._limit(chosen, b, subjects[b.scope]) for b in BUDGETS),
            version=key.version,
        )

    def _limit(self, chosen: _Chosen, budget: Budget, subject_id: int) -> Limit:
        own = chosen.get((budget.scope, subject_id, budget.window))
        return own if own is not None else self._defaults.get(budget, NO_LIMIT)


class KeyCopies:
    """The copies in Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._publish = client.register_script((_SCRIPTS / "publish_key.lua").read_text())

    def publish(self, records: Iterable[KeyRecord]) -> None:
        """Write copies; one of an older version never replaces a newer one."""
        with translated_errors():
            pipeline = self._client.pipeline(transaction=False)
            for record in records:
                text = _to_json(record)
                self._publish(
                    [redis_keys.key_record(record.key_id)],
                    [record.version, version_of(text, record.version), record.status, text],
                    client=pipeline,
                )
            pipeline.execute()

    def forgive(self, scope: Scope, subject_id: int) -> None:
        """Forget that accounts of a subject were refused, after its limits changed."""
        with translated_errors():
            names = [str(name) for name in self._client.smembers(redis_keys.REFUSED)]
            pipeline = self._client.pipeline()
            for name in names:
                account = redis_keys.account_of(name)
                if (account.scope, account.subject_id) == (scope, subject_id):
                    pipeline.hdel(name, "refused")
                    pipeline.srem(redis_keys.REFUSED, name)
            pipeline.execute()

    def load(self, key_id: str) -> tuple[KeyRecord, str] | None:
        """The copy of a key with the version that `reserve` compares; None where there is none."""
        with translated_errors():
            text, version = self._client.hmget(redis_keys.key_record(key_id), "record", "version")
        if text is None or version is None:
            return None
        return _from_json(key_id, text), str(version)


def version_of(text: str, number: int) -> str:
    """The number orders versions; the checksum tells apart what the environment's limits change."""
    return f"{number}.{zlib.crc32(text.encode()):08x}"


def _state(key: VirtualKey, now: datetime) -> str:
    if key.status == KeyStatus.ACTIVE and is_expired(key.expires_at, now):
        return "expired"
    return key.status


def _subjects(key: VirtualKey) -> dict[Scope, int]:
    return {
        Scope.INSTALLATION: INSTALLATION_ID,
        Scope.USER: key.user_id,
        Scope.KEY: key.id,
    }


def _chosen_limits(
    session: Session, subjects: Iterable[Mapping[Scope, int]] | None = None
) -> dict[tuple[str, int, str], Limit]:
    """The limits that staff set for these subjects; without them, for everybody."""
    query = select(SpendLimit)
    if subjects is not None:
        wanted = {(scope, number) for one in subjects for scope, number in one.items()}
        theirs = (
            and_(SpendLimit.scope == scope, SpendLimit.subject_id == number)
            for scope, number in sorted(wanted)
        )
        query = query.where(or_(false(), *theirs))
    return {
        (row.scope, row.subject_id, row.window): Limit(
            LimitKind(row.kind), Money(row.amount_nano_usd)
        )
        for row in session.scalars(query)
    }


def _set_limit(session: Session, subject_id: int, budget: Budget, limit: Limit | None) -> None:
    row = session.scalar(
        select(SpendLimit).where(
            SpendLimit.scope == budget.scope,
            SpendLimit.subject_id == subject_id,
            SpendLimit.window == budget.window,
        )
    )
    if limit is None:
        if row is not None:
            session.delete(row)
        return
    if row is None:
        row = SpendLimit(scope=budget.scope, subject_id=subject_id, window=budget.window)
        session.add(row)
    row.kind, row.amount_nano_usd = limit.kind.value, limit.amount


def _to_json(record: KeyRecord) -> str:
    return orjson.dumps(asdict(record), option=orjson.OPT_SORT_KEYS).decode()


def _from_json(key_id: str, text: str | bytes) -> KeyRecord:
    facts: dict[str, Any] = orjson.loads(text)
    expires_at = facts["expires_at"]
    return KeyRecord(
        key_id=key_id,
        subject_id=facts["subject_id"],
        digest=facts["digest"],
        user_id=facts["user_id"],
        status=KeyStatus(facts["status"]),
        expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        allowed_models=tuple(facts["allowed_models"]),
        limits=tuple(Limit(LimitKind(x["kind"]), Money(x["amount"])) for x in facts["limits"]),
        version=facts["version"],
    )

"""Virtual keys: the truth in SQL, and the copies in Redis that workers check against.

A change commits in SQL, then writes Redis; the bookkeeper publishes all again every 30 s.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import redis
from sqlalchemy import Engine, Row, Select, select

from ai_gateway.domain.house_rules import HouseRules
from ai_gateway.domain.key_record import KeyRecord, OutgoingSecret
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Account, Budget, Limit, Scope
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.stores import house_rules, redis_keys
from ai_gateway.stores.house_rules import (
    COMMON_SUBJECTS,
    HouseRulesCopy,
    HouseRulesTable,
    read_limit,
    read_rules,
)
from ai_gateway.stores.key_acts import KeyActs
from ai_gateway.stores.limit_acts import LimitActs
from ai_gateway.stores.questions import Told, asked, nobody
from ai_gateway.stores.redis_client import translated_errors
from ai_gateway.stores.spend_limits import Chosen, chosen_limits
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import User, VirtualKey

_SCRIPTS = Path(__file__).parent / "scripts"
_FIELDS = ("record", "version", "status")

KEYS_AT_ONCE = 1_000
COPIES_AT_ONCE = 200
"""So that Redis stands still for a millisecond at most."""

_KEYS: Select[*tuple[Any, ...]] = select(
    VirtualKey.id,
    VirtualKey.key_id,
    VirtualKey.digest,
    VirtualKey.user_id,
    VirtualKey.status,
    VirtualKey.expires_at,
    VirtualKey.allowed_models,
    VirtualKey.version,
    VirtualKey.previous_digest,
    VirtualKey.previous_until,
    User.is_enabled,
).join(User, VirtualKey.user_id == User.id)
KeyRow = Row[*tuple[Any, ...]]
"""A row of it: no object for each key, since an installation may have very many."""


class KeyTable:
    """Keys as SQL has them, with the limits that were chosen; `acts` makes and changes them.

    `limit_acts` chooses limits, `house_rules` say what holds where nothing was chosen.
    """

    def __init__(self, engine: Engine, defaults: Mapping[Budget, Limit]) -> None:
        # Who only reads must not wait for a writer: workers read limits for pages and programs.
        self._engine = engine
        self.acts = KeyActs(engine)
        self.house_rules = HouseRulesTable(engine, defaults)
        self.limit_acts = LimitActs(engine, self.house_rules)

    def records(self, *, user_id: int | None = None) -> Iterator[KeyRecord]:
        """All keys, or those of one user, ready to be published; read as they are asked for."""
        query = _KEYS.order_by(VirtualKey.id).limit(KEYS_AT_ONCE)
        if user_id is not None:
            query = query.where(VirtualKey.user_id == user_id)
        last = 0
        while True:
            with transaction(self._engine) as session:
                # First of all: a limit that is set meanwhile must not go under an older version.
                keys = session.execute(query.where(VirtualKey.id > last)).all()
                subjects = [subject for key in keys for subject in _subjects(key).items()]
                chosen = chosen_limits(session, subjects)
            yield from (self._record(key, chosen) for key in keys)
            if len(keys) < KEYS_AT_ONCE:
                return
            last = keys[-1].id

    def record(self, key_id: str) -> KeyRecord | None:
        with transaction(self._engine) as session:
            key = session.execute(_KEYS.where(VirtualKey.key_id == key_id)).one_or_none()
            if key is None:
                return None
            return self._record(key, chosen_limits(session, _subjects(key).items()))

    def limits(self, subjects: Mapping[Scope, int]) -> dict[Budget, Limit]:
        """The limits in force for these subjects, whether or not they have a key."""
        with transaction(self._engine) as session:
            chosen = chosen_limits(session, [*subjects.items(), *COMMON_SUBJECTS])
        common = self.house_rules.common(chosen)
        return {
            budget: chosen.get(
                (budget.scope, subjects[budget.scope], budget.window), common.get(budget, NO_LIMIT)
            )
            for budget in BUDGETS
            if budget.scope in subjects
        }

    def _record(self, key: KeyRow, chosen: Chosen) -> KeyRecord:
        is_active = key.status == KeyStatus.ACTIVE and key.is_enabled
        subjects = _subjects(key)
        return KeyRecord(
            key_id=key.key_id,
            subject_id=key.id,
            digest=key.digest,
            user_id=key.user_id,
            status=KeyStatus.ACTIVE if is_active else KeyStatus.REVOKED,
            expires_at=key.expires_at,
            allowed_models=tuple(key.allowed_models),
            limits=tuple(
                chosen.get((b.scope, subjects[b.scope], b.window)) if b.scope in subjects else None
                for b in BUDGETS
            ),
            version=key.version,
            outgoing=_outgoing(key),
        )


class KeyCopies:
    """The copies in Redis; `told` hears of the question that calls wait for."""

    def __init__(self, client: redis.Redis, *, told: Told = nobody) -> None:
        self._client = client
        self._told = told
        self.house_rules = HouseRulesCopy(client)
        self._publish = client.register_script((_SCRIPTS / "publish_keys.lua").read_text())
        self._revoke = client.register_script((_SCRIPTS / "revoke_key.lua").read_text())

    def publish(self, records: Iterable[KeyRecord]) -> None:
        """Write copies; one of an older version never replaces a newer one.

        Nor does an active one replace one that was revoked here, before SQL knows of it.
        """
        remaining = iter(records)
        while some := list(islice(remaining, COPIES_AT_ONCE)):
            keys, arguments = [redis_keys.REVOCATIONS], list[str | int]()
            for record in some:
                text = _to_json(record)
                version = version_of(text, record.version)
                keys.append(redis_keys.key_record(record.key_id))
                arguments += (record.version, version, record.status, text, record.key_id)
            with translated_errors():
                self._publish(keys, arguments)

    def refused(self) -> list[Account]:
        """The accounts whose last decision was a refusal."""
        with translated_errors():
            names = self._client.smembers(redis_keys.REFUSED)
        return [redis_keys.account_of(str(name)) for name in names]

    def forgive(self, accounts: Iterable[Account]) -> None:
        """Forget that accounts were refused, after a limit of theirs changed."""
        with translated_errors():
            pipeline = self._client.pipeline()
            for name in map(redis_keys.account, accounts):
                pipeline.hdel(name, "refused")
                pipeline.srem(redis_keys.REFUSED, name)
            pipeline.execute()

    def load(self, key_id: str) -> tuple[KeyRecord, str] | None:
        """The copy of a key with the version that `reserve` compares; None where there is none."""
        with translated_errors():
            return _loaded(key_id, self._client.hmget(redis_keys.key_record(key_id), *_FIELDS))

    def load_with_rules(
        self, key_id: str
    ) -> tuple[tuple[KeyRecord, str] | None, HouseRules | None]:
        """The same and the house rules, in one round trip."""
        with asked(self._told, "load_key"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hmget(redis_keys.key_record(key_id), *_FIELDS)
            pipeline.hmget(redis_keys.META, *house_rules.FIELDS)
            key, rules = pipeline.execute()
        return _loaded(key_id, key), read_rules(*rules)

    def revoke(self, key_id: str, facts: Mapping[str, str | int | None]) -> None:
        """Revoke without SQL, from the next call on; `facts` are kept until it is in SQL too."""
        with translated_errors():
            keys = [redis_keys.key_record(key_id), redis_keys.REVOCATIONS]
            self._revoke(keys, [key_id, orjson.dumps(dict(facts)).decode()])

    def revocations(self) -> dict[str, dict[str, Any]]:
        """What was revoked here and is not known to be in SQL: the facts by key id."""
        with translated_errors():
            found = self._client.hgetall(redis_keys.REVOCATIONS)
        return {str(key_id): orjson.loads(facts) for key_id, facts in found.items()}

    def forget_revocation(self, key_id: str) -> None:
        """It is in SQL, and the copy says so."""
        with translated_errors():
            self._client.hdel(redis_keys.REVOCATIONS, key_id)


def version_of(text: str, number: int) -> str:
    """The number orders versions; the checksum tells apart what the environment's limits change."""
    return f"{number}.{zlib.crc32(text.encode()):08x}"


def _outgoing(key: KeyRow) -> OutgoingSecret | None:
    if key.previous_digest is None or key.previous_until is None:
        return None
    return OutgoingSecret(key.previous_digest, key.previous_until)


def _subjects(key: KeyRow) -> dict[Scope, int]:
    """Those who may have limits of their own."""
    return {Scope.USER: key.user_id, Scope.KEY: key.id}


def _loaded(key_id: str, fields: list[Any]) -> tuple[KeyRecord, str] | None:
    text, version, status = fields
    if text is None or version is None or status is None:
        return None
    # A key that was revoked here alone has still the record from before.
    return replace(_from_json(key_id, text), status=KeyStatus(str(status))), str(version)


def _to_json(record: KeyRecord) -> str:
    """In the order of the letters: every process has to come to the same version."""
    outgoing = record.outgoing
    facts = {
        "allowed_models": record.allowed_models,
        "digest": record.digest,
        "expires_at": record.expires_at,
        "key_id": record.key_id,
        "limits": [
            {"amount": limit.amount, "kind": limit.kind} if limit else None
            for limit in record.limits
        ],
        "outgoing": {"digest": outgoing.digest, "until": outgoing.until} if outgoing else None,
        "status": record.status,
        "subject_id": record.subject_id,
        "user_id": record.user_id,
        "version": record.version,
    }
    return orjson.dumps(facts).decode()


def _from_json(key_id: str, text: str | bytes) -> KeyRecord:
    facts: dict[str, Any] = orjson.loads(text)
    expires_at = facts["expires_at"]
    # Copies of an earlier version know of no rotation.
    outgoing = facts.get("outgoing")
    return KeyRecord(
        key_id=key_id,
        subject_id=facts["subject_id"],
        digest=facts["digest"],
        user_id=facts["user_id"],
        status=KeyStatus(facts["status"]),
        expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        allowed_models=tuple(facts["allowed_models"]),
        limits=tuple(read_limit(limit) if limit else None for limit in facts["limits"]),
        version=facts["version"],
        outgoing=OutgoingSecret(outgoing["digest"], datetime.fromisoformat(outgoing["until"]))
        if outgoing
        else None,
    )

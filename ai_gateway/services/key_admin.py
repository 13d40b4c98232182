"""Virtual keys as staff and owners change them: in SQL, then published to Redis.

An owner's page hands over the owner in each request: anybody else's key is not found then. Lists
are in `key_list.py`.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256

from ai_gateway.domain.audit import Actor, AuditEntry
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.virtual_key import (
    RANDOM_BYTES,
    Grace,
    KeyStatus,
    digest_key,
    is_expired,
    is_key_id,
    make_key,
    renew_key,
)
from ai_gateway.errors import (
    BudgetUnavailable,
    GatewayUnavailable,
    InvalidRequest,
    KeyNotFound,
    NotPermitted,
)
from ai_gateway.services import key_audit
from ai_gateway.services.key_rules import KeyOptions, check_options
from ai_gateway.stores.key_acts import (
    KeyAct,
    KeyChange,
    KeyFacts,
    NewKey,
    NewSecret,
    OrderRepeated,
    Review,
)
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """Who asks, and on whose keys: those of `owner_id`, or anybody's where it is None.

    The same `request_id` of one actor acts once; without one a repeat is another act.
    """

    actor: Actor
    owner_id: int | None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key with a new secret: its `text` is here and nowhere else.

    It is None where the same request was answered before. Not `is_published`: Redis is away, and
    the secret works once the bookkeeper has published it.
    """

    key: KeyFacts
    text: str | None = field(repr=False)
    is_published: bool = True


@dataclass(frozen=True, slots=True)
class Revocation:
    """A key that is revoked, and how far that is known.

    `is_in_force`: Redis answered, so that the next call is refused everywhere. Not `is_recorded`:
    SQL is away, and hears of it when it is back.
    """

    key_id: str
    is_in_force: bool
    is_recorded: bool


class KeyAdmin:
    """Issues, rotates and revokes virtual keys."""

    def __init__(
        self,
        table: KeyTable,
        copies: KeyCopies,
        *,
        pepper: bytes,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._table = table
        self._copies = copies
        self._pepper = pepper
        self._clock = clock
        self._random_bytes = random_bytes

    def create(self, user_id: int, options: KeyOptions, asked: KeyRequest) -> IssuedKey:
        """Issue a key for a user; its rights are never wider than the user's.

        Raises `InvalidRequest`, `NotPermitted`, `UserNotFound` and `GatewayUnavailable`.
        """
        if asked.owner_id not in {None, user_id}:
            raise NotPermitted("You may make keys for yourself only.")
        at, key = self._clock(), make_key(self._random_bytes(RANDOM_BYTES))
        limits = dict(options.limits or {})
        check_options(options, self._table.limits({Scope.USER: user_id}), at)
        new = NewKey(
            key_id=key.key_id,
            digest=digest_key(key, self._pepper),
            last4=key.text[-4:],
            label=options.label,
            user_id=user_id,
            allowed_models=options.allowed_models,
            expires_at=options.expires_at,
            created_at=at,
            created_by=asked.actor.name,
        )
        review = partial(key_audit.created, actor=asked.actor, at=at, limits=limits)
        try:
            made = self._table.acts.add(new, limits, _act(asked, at, review))
        except OrderRepeated as repeated:
            return IssuedKey(repeated.key, None)
        return self._issued(made, key.text)

    def rotate(self, key_id: str, grace: Grace, asked: KeyRequest) -> IssuedKey:
        """Give a key another secret; the one before still works for the grace, an older one ends.

        Raises `KeyNotFound`, `InvalidRequest` for one that is not in use, `GatewayUnavailable`.
        """
        _check_id(key_id)
        at, key = self._clock(), renew_key(key_id, self._random_bytes(RANDOM_BYTES))
        secret = NewSecret(digest_key(key, self._pepper), key.text[-4:], at + grace.span)

        def review(change: KeyChange) -> list[AuditEntry]:
            _refuse_unused(change.before, at)
            return key_audit.rotated(change, asked.actor, at)

        try:
            rotated = self._table.acts.rotate(key_id, secret, _act(asked, at, review))
        except OrderRepeated as repeated:
            return IssuedKey(repeated.key, None)
        return self._issued(rotated, key.text)

    def revoke(self, key_id: str, asked: KeyRequest) -> Revocation:
        """Revoke for good, effective on the next call; with SQL away in Redis alone.

        Raises `KeyNotFound`, and `BudgetUnavailable` where neither of the two answers.
        """
        _check_id(key_id)
        at = self._clock()
        act = _act(asked, at, partial(key_audit.revoked, actor=asked.actor, at=at))
        try:
            self._table.acts.revoke(key_id, act)
            is_in_force = self._publish_key(key_id)
        except GatewayUnavailable:
            return self._revoke_without_sql(key_id, asked, at)
        return Revocation(key_id, is_in_force=is_in_force, is_recorded=True)

    def _revoke_without_sql(self, key_id: str, asked: KeyRequest, at: datetime) -> Revocation:
        loaded = self._copies.load(key_id)
        if loaded is None or asked.owner_id not in {None, loaded[0].user_id}:
            raise KeyNotFound(key_id)
        self._copies.revoke(key_id, key_audit.actor_facts(asked.actor, at))
        return Revocation(key_id, is_in_force=True, is_recorded=False)

    def publish_all(self) -> None:
        """Publish the rules and every key again; older copies never replace newer ones."""
        self.record_revocations()
        # First: a key that inherits means nothing without them.
        self._copies.house_rules.publish(self._table.house_rules.read())
        self._copies.publish(self._table.records())

    def record_revocations(self) -> None:
        """Let SQL know of the keys that were revoked while it was away."""
        for key_id, facts in self._copies.revocations().items():
            actor, at = key_audit.read_actor(facts)
            asked = KeyRequest(actor, owner_id=None)
            act = _act(asked, at, partial(key_audit.revoked, actor=actor, at=at))
            try:
                self._table.acts.revoke(key_id, act)
            except KeyNotFound:
                logger.warning("revoked_key_unknown", extra={"key_id": key_id})
                self._copies.forget_revocation(key_id)
                continue
            if self._publish_key(key_id):
                self._copies.forget_revocation(key_id)

    def publish_user(self, user_id: int) -> bool:
        """Publish the keys of a user; False where Redis is away, and then it is done later."""
        return self._publish(self._table.records(user_id=user_id))

    def _issued(self, key: KeyFacts, text: str) -> IssuedKey:
        try:
            is_published = self._publish_key(key.key_id)
        except GatewayUnavailable:
            # The secret must not be lost because SQL went away just now.
            is_published = False
        return IssuedKey(key, text, is_published=is_published)

    def _publish_key(self, key_id: str) -> bool:
        record = self._table.record(key_id)
        return record is not None and self._publish([record])

    def _publish(self, records: Iterable[KeyRecord]) -> bool:
        try:
            self._copies.publish(records)
        except BudgetUnavailable:
            # The bookkeeper publishes all again within 30 s of Redis being back.
            logger.warning("publish_postponed")
            return False
        return True


def _act(asked: KeyRequest, at: datetime, review: Review) -> KeyAct:
    order_id = None
    if asked.request_id:
        # Each actor has ids of their own, so that nobody's hides another's.
        name = f"{asked.actor.user_id}:{asked.request_id}"
        order_id = sha256(name.encode()).hexdigest()
    return KeyAct(at, review, asked.owner_id, order_id)


def _check_id(key_id: str) -> None:
    if not is_key_id(key_id):
        raise KeyNotFound(key_id)


def _refuse_unused(key: KeyFacts | None, at: datetime) -> None:
    if key is None or key.status is not KeyStatus.ACTIVE:
        raise InvalidRequest("This key is revoked, for good: make another one.", "key_id")
    if is_expired(key.expires_at, at):
        raise InvalidRequest("This key is expired: make another one.", "key_id")

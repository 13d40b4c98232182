"""Users, keys and limits as staff change them: commit in SQL, then publish to Redis."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Budget, Limit, Scope
from ai_gateway.domain.virtual_key import RANDOM_BYTES, digest_key, make_key
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable, NewKey

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What is chosen when a key is made."""

    label: str = ""
    allowed_models: tuple[str, ...] = ()
    expires_at: datetime | None = None
    limits: Mapping[Budget, Limit | None] | None = None


class KeyAdmin:
    """Issues and revokes virtual keys and sets limits."""

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

    def create_key(self, user_id: int, options: KeyOptions) -> str:
        """Issue a key; its text is returned once and never stored."""
        key = make_key(self._random_bytes(RANDOM_BYTES))
        number = self._table.add(
            NewKey(
                key_id=key.key_id,
                digest=digest_key(key, self._pepper),
                last4=key.text[-4:],
                label=options.label,
                user_id=user_id,
                allowed_models=options.allowed_models,
                expires_at=options.expires_at,
                created_at=self._clock(),
            )
        )
        if options.limits:
            self._table.set_limits(Scope.KEY, number, options.limits)
        self.publish_user(user_id)
        return key.text

    def revoke_key(self, key_id: str) -> bool:
        """Revoke for good, effective on the next call; False for an unknown key."""
        if not self._table.revoke(key_id):
            return False
        record = self._table.record(key_id)
        if record is not None:
            # Not caught: whoever revokes must know whether it is in force.
            self._copies.publish([record])
        return True

    def set_user_limits(self, user_id: int, changes: Mapping[Budget, Limit | None]) -> None:
        """Set limits of a user; None inherits. In force on the next call."""
        self._table.set_limits(Scope.USER, user_id, changes)
        self.publish_user(user_id)
        with suppress(BudgetUnavailable):
            # A refusal under the old limit says nothing of the new one.
            self._copies.forgive(Scope.USER, user_id)

    def publish_all(self) -> None:
        """Publish every key again; older copies never replace newer ones."""
        self._copies.publish(self._table.records())

    def publish_user(self, user_id: int) -> bool:
        """Publish the keys of a user; False where Redis is away, and then it is done later."""
        try:
            self._copies.publish(self._table.records(user_id=user_id))
        except BudgetUnavailable:
            # The bookkeeper publishes all again within 30 s of Redis being back.
            logger.warning("publish_postponed", extra={"user_id": user_id})
            return False
        return True

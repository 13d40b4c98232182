"""The keys that a worker has seen, and the house rules as it knows them.

Both may be old: `reserve` finds that out for a call, and what makes none asks Redis anew.
"""

from dataclasses import dataclass

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.house_rules import NO_RULES, Pause, PauseScope
from ai_gateway.domain.key_record import KeyRecord, fault_of
from ai_gateway.domain.virtual_key import digest_key, parse_key
from ai_gateway.errors import (
    BudgetUnavailable,
    CallsPaused,
    InvalidKey,
    ServicePaused,
    UserPaused,
)
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.virtual_keys import KeyCopies

CACHED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that was presented rightly, as this worker knows it."""

    record: KeyRecord
    version: str


class KeyRing:
    """Finds out whose credential it is; keeps the records of keys that this worker has seen."""

    def __init__(self, copies: KeyCopies, meter: Meter, pepper: bytes, clock: Clock) -> None:
        self._copies = copies
        self._meter = meter
        self._pepper = pepper
        self._clock = clock
        self._known: dict[str, KnownKey] = {}
        self.rules = NO_RULES

    def identify(self, credential: str | None, *, fresh: bool = False) -> KnownKey:
        """The key of a credential; raises `InvalidKey`, the same for every cause.

        `fresh` asks Redis even for a known key: for calls that make no reserve to find out.
        """
        presented = parse_key(credential) if credential else None
        if presented is None:
            raise InvalidKey("invalid" if credential else "missing")
        digest = digest_key(presented, self._pepper)
        known = None if fresh else self._known.get(presented.key_id)
        fault = self._fault(known, digest)
        if fault is not None:
            # What this worker remembers may be old: a refusal is only given by a fresh copy.
            known = self.reload(presented.key_id)
            fault = self._fault(known, digest)
        if known is None or fault is not None:
            raise InvalidKey(fault or "invalid")
        return known

    def check_pauses(self, key: KnownKey, provider: str = "") -> None:
        """Raise `CallsPaused` where staff paused the calls of this user, or those to a provider."""
        if self.rules.pause_of(key.record.user_id, provider) is None:
            return
        # It may have been lifted since this worker last saw the rules.
        self.reload(key.record.key_id)
        pause = self.rules.pause_of(key.record.user_id, provider)
        if pause is not None:
            raise _refusal(pause)

    def _fault(self, known: KnownKey | None, digest: str) -> str | None:
        return fault_of(known.record if known else None, digest, self._clock())

    def reload(self, key_id: str) -> KnownKey | None:
        """Ask Redis for a key, and for the rules in the same round trip."""
        loaded, rules = self._copies.load_with_rules(key_id)
        if rules is not None:
            self.rules = rules
        if loaded is None:
            self._known.pop(key_id, None)
            if not self._meter.is_ready():
                # Nothing is published yet: never tell the owner of a good key that it is bad.
                raise BudgetUnavailable("cold")
            return None
        known = KnownKey(*loaded)
        if rules is None and None in known.record.limits:
            # Whoever inherits must not call as if there were no limit.
            raise BudgetUnavailable("cold")
        if len(self._known) >= CACHED_KEYS:
            self._known.clear()
        self._known[key_id] = known
        return known


def _refusal(pause: Pause) -> CallsPaused:
    if pause.target.scope is PauseScope.USER:
        return UserPaused(pause.reason, pause.since)
    return ServicePaused(pause.reason, pause.since, provider=pause.target.subject)

"""Writes the counters anew after Redis lost them: in short steps, and the epoch last.

Whoever writes has claimed it. A claim lapses with a bookkeeper that is gone; what that one still
sends is refused. Calls that were admitted before may settle at any moment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from uuid import uuid4

import redis

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money
from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors

CLAIM_SECONDS = 10
"""Longer than any step may take."""

COUNTERS_AT_ONCE = 500
"""So that Redis stands still for some two milliseconds, in which no call can settle."""

Counter = tuple[Account, Money, datetime]
"""An account, what is spent of it, and when it may be forgotten."""

_SCRIPTS = Path(__file__).parent / "scripts"


class ClaimLost(Exception):
    """Another bookkeeper took over, or Redis lost its memory once more: begin anew."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt; every entry that is written after it began has a number above `seq`."""

    attempt: str
    seq: int


class CounterRestore:
    """The bookkeeper's way to counters that can be trusted."""

    def __init__(self, client: redis.Redis, *, claim_seconds: int = CLAIM_SECONDS) -> None:
        self._client = client
        self._claim_seconds = claim_seconds
        self._owner = uuid4().hex
        self._begin = client.register_script((_SCRIPTS / "begin_restore.lua").read_text())
        self._write = client.register_script((_SCRIPTS / "restore_counters.lua").read_text())

    def is_anothers(self) -> bool:
        """Whether another bookkeeper is at it."""
        with translated_errors():
            owner = self._client.hget(redis_keys.RESTORE, "owner")
        return owner not in {None, self._owner}

    def begin(self, *, position: str, seq: int) -> Claim | None:
        """Claim it; None where the counters are trusted or another bookkeeper is at it.

        Entries go on after `position` in the stream and after `seq` in the sequence.
        """
        attempt = uuid4().hex
        with translated_errors():
            found = self._begin(
                [redis_keys.META, redis_keys.RESTORE],
                [self._owner, attempt, self._claim_seconds, seq],
            )
            if found is None:
                return None
            self._lift_ids(position)
        return Claim(attempt, int(found))

    def counted(self, windows: Sequence[str]) -> set[Account]:
        """The accounts of some windows that are in Redis already: none where it was emptied."""
        return counted_accounts(self._client, windows)

    def write(self, claim: Claim, counters: Iterable[Counter]) -> int:
        """Write counters, some hundred at a time; returns how many. Raises `ClaimLost`."""
        written = 0
        remaining = iter(counters)
        while some := list(islice(remaining, COUNTERS_AT_ONCE)):
            keys = [redis_keys.META, redis_keys.RESTORE]
            arguments: list[str | int] = [claim.attempt, self._claim_seconds]
            for account, spent, forget_at in some:
                keys.append(redis_keys.account(account))
                arguments += (spent, int(forget_at.timestamp()))
            with translated_errors():
                if not self._write(keys, arguments):
                    raise ClaimLost
            written += len(some)
        return written

    def finish(
        self, claim: Claim, changed: Iterable[Counter], *, epoch: str, position: str
    ) -> bool:
        """Write what changed meanwhile and the epoch, at one moment; raises `ClaimLost`.

        `changed` is read while the sequence is watched. False where an entry after `position` waits
        to be booked first, or came in just now.
        """
        with translated_errors(), self._client.pipeline() as pipeline:
            pipeline.watch(redis_keys.META)  # type: ignore[no-untyped-call]  # the library's gap
            if (
                pipeline.hexists(redis_keys.META, "epoch")
                or pipeline.hget(redis_keys.RESTORE, "attempt") != claim.attempt
            ):
                raise ClaimLost
            if pipeline.xrange(redis_keys.OUTBOX, min=f"({position}", count=1):
                return False
            pipeline.multi()
            for account, spent, forget_at in changed:
                name = redis_keys.account(account)
                pipeline.hset(name, "spent", str(spent))
                pipeline.expireat(name, forget_at)
            pipeline.hset(redis_keys.META, "epoch", epoch)
            pipeline.delete(redis_keys.RESTORE)
            try:
                pipeline.execute()
            except redis.exceptions.WatchError:
                return False
            return True

    def _lift_ids(self, position: str) -> None:
        """Let new entries come after `position`, even if the clock of this Redis is behind it."""
        try:
            self._client.xadd(redis_keys.OUTBOX, {"kind": "none"}, id=position)
        except redis.exceptions.ResponseError as error:
            # They do, or nothing was ever booked.
            if not any(words in str(error) for words in ("equal or smaller", "greater than 0-0")):
                raise
        else:
            # It was only there to be remembered as the last id; nobody reads `position` itself.
            self._client.xdel(redis_keys.OUTBOX, position)


def counted_accounts(client: redis.Redis, windows: Sequence[str]) -> set[Account]:
    """Every account of some windows that has a counter; a walk, never on the path of a call."""
    with translated_errors():
        return {
            redis_keys.account_of(str(name))
            for window in windows
            for name in client.scan_iter(redis_keys.accounts_pattern(window), count=1000)
        }

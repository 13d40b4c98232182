"""The bookkeeper's side of Redis: the outbox stream, lapsed leases, published keys and counters."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import redis

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry, UnreadableEntry
from ai_gateway.stores import redis_keys
from ai_gateway.stores.outbox_entries import lapsed_result, read_entry
from ai_gateway.stores.redis_client import translated_errors

FIRST_POSITION = "0-0"
NO_EVENTS: Mapping[str, int] = MappingProxyType({})

_SCRIPTS = Path(__file__).parent / "scripts"


class Outbox:
    """Read and trim the stream; book lapsed holds into it."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._snapshot = client.register_script((_SCRIPTS / "snapshot.lua").read_text())
        self._expire = client.register_script((_SCRIPTS / "expire.lua").read_text())

    def read(
        self, position: str, *, count: int, block_ms: int | None = None
    ) -> list[OutboxEntry | UnreadableEntry]:
        """The entries after `position`, oldest first; waits up to `block_ms` for the first."""
        with translated_errors():
            streams: Any = self._client.xread(
                {redis_keys.OUTBOX: position}, count=count, block=block_ms
            )
        if not streams:
            return []
        rows = streams[0][1] if isinstance(streams, list) else streams[redis_keys.OUTBOX][0]
        return [read_entry(stream_id, row) for stream_id, row in rows]

    def trim(self, position: str) -> None:
        """Drop what is in the ledger: everything up to and with `position`."""
        with translated_errors():
            self._client.xtrim(redis_keys.OUTBOX, minid=_next_id(position), approximate=False)

    def snapshot(
        self, position: str, windows: Sequence[str]
    ) -> tuple[list[OutboxEntry], dict[Account, Money]]:
        """What waits after `position`, and the counters of `windows`, at one moment."""
        with translated_errors():
            names = [
                str(name)
                for window in windows
                for name in self._client.scan_iter(redis_keys.accounts_pattern(window), count=1000)
            ]
        return self.snapshot_of(position, [redis_keys.account_of(name) for name in names])

    def snapshot_of(
        self, position: str, accounts: Sequence[Account]
    ) -> tuple[list[OutboxEntry], dict[Account, Money]]:
        """The same for some accounts."""
        names = [redis_keys.account(account) for account in accounts]
        with translated_errors():
            waiting, spent = self._snapshot([redis_keys.OUTBOX, *names], [position])
        entries = [read_entry(stream_id, _pairs(row)) for stream_id, row in waiting]
        counters = zip(accounts, map(int, spent), strict=True)
        return (
            [entry for entry in entries if isinstance(entry, OutboxEntry)],
            {account: Money(amount) for account, amount in counters},
        )

    def oldest_age_seconds(self, position: str) -> float:
        """Age of the oldest entry after `position`, by the clock of Redis; 0 without one."""
        with translated_errors():
            waiting: Any = self._client.xrange(redis_keys.OUTBOX, min=f"({position}", count=1)
            seconds, microseconds = self._client.time()
        if not waiting:
            return 0.0
        written_ms = int(str(waiting[0][0]).split("-")[0])
        return max(0.0, (seconds * 1000 + microseconds // 1000 - written_ms) / 1000)

    def lapsed(self, *, count: int) -> list[str]:
        """Request ids whose lease ended, by the clock of Redis."""
        with translated_errors():
            seconds, microseconds = self._client.time()
            now_ms = seconds * 1000 + microseconds // 1000
            names = self._client.zrange(
                redis_keys.LEASES, "-inf", now_ms, byscore=True, offset=0, num=count
            )
            return [str(name) for name in names]

    def expire(self, request_id: str, settled_at: datetime) -> bool:
        """Book a lapsed call at its floor; False where it was renewed or settled meanwhile."""
        call = redis_keys.call(request_id)
        with translated_errors():
            accounts, facts, floor = self._client.hmget(call, "accounts", "facts", "floor_tally")
            result = lapsed_result(facts, str(floor), settled_at) if facts else {}
            keys = [redis_keys.META, call, redis_keys.LEASES, redis_keys.OUTBOX]
            reply = self._expire(
                [*keys, *str(accounts or "").split()], [request_id, orjson.dumps(result).decode()]
            )
        return bool(reply[0] == "OK")


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def set_aside(entry: OutboxEntry, reason: str) -> UnreadableEntry:
    """What becomes of an entry that can be read but not booked."""
    return UnreadableEntry(entry.stream_id, reason, repr(entry))


def _next_id(stream_id: str) -> str:
    milliseconds, _, number = stream_id.partition("-")
    return f"{milliseconds}-{int(number or 0) + 1}"


class PublishedState:
    """What the bookkeeper writes for the workers: counters after a loss, marks, figures, epoch."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def has_epoch(self) -> bool:
        with translated_errors():
            return bool(self._client.hexists(redis_keys.META, "epoch"))

    def restore(
        self,
        spent: Iterable[tuple[Account, Money, datetime]],
        epoch: str,
        *,
        position: str = FIRST_POSITION,
        seq: int = 0,
    ) -> bool:
        """Write the counters as the ledger has them, and the epoch last.

        Entries go on after `position` in the stream and after `seq` in the sequence. `spent` is
        read while the sequence is watched: running calls may settle at any moment.

        False where nothing is written: another bookkeeper was faster, or there is more to book.
        """
        with translated_errors(), self._client.pipeline() as pipeline:
            pipeline.watch(redis_keys.META)  # type: ignore[no-untyped-call]  # the library's gap
            if pipeline.hexists(redis_keys.META, "epoch"):
                return False
            if pipeline.xrange(redis_keys.OUTBOX, min=f"({position}", count=1):
                return False
            known = int(pipeline.hget(redis_keys.META, "seq") or 0)
            self._lift_ids(position)
            pipeline.multi()
            pipeline.hset(redis_keys.META, "seq", str(max(known, seq)))
            for account, amount, forget_at in spent:
                name = redis_keys.account(account)
                pipeline.hset(name, "spent", str(amount))
                pipeline.hsetnx(name, "held", "0")
                pipeline.expireat(name, forget_at)
            pipeline.hset(redis_keys.META, "epoch", epoch)
            try:
                pipeline.execute()
            except redis.exceptions.WatchError:
                return False
            return True

    def _lift_ids(self, position: str) -> None:
        """Let new entries come after `position`, even if the clock of this Redis is behind it."""
        if position == FIRST_POSITION:
            return
        try:
            self._client.xadd(redis_keys.OUTBOX, {"kind": "none"}, id=position)
        except redis.exceptions.ResponseError as error:
            if "equal or smaller" not in str(error):
                raise
        else:
            # It was only there to be remembered as the last id; nobody reads `position` itself.
            self._client.xdel(redis_keys.OUTBOX, position)

    def is_behind(self, seq: int) -> bool:
        """Whether the sequence is lower than one that is in the ledger already."""
        with translated_errors():
            return int(self._client.hget(redis_keys.META, "seq") or 0) < seq

    def forget_epoch(self) -> None:
        """Stop new calls until the counters are restored."""
        with translated_errors():
            self._client.hdel(redis_keys.META, "epoch")

    def refused(self) -> list[Account]:
        """The accounts whose last decision was a refusal and whose window is still kept."""
        with translated_errors():
            names = [str(name) for name in self._client.smembers(redis_keys.REFUSED)]
            pipeline = self._client.pipeline(transaction=False)
            for name in names:
                pipeline.hget(name, "refused")
            marks = pipeline.execute()
            gone = [name for name, mark in zip(names, marks, strict=True) if mark != "1"]
            if gone:
                self._client.srem(redis_keys.REFUSED, *gone)
        return [redis_keys.account_of(name) for name in names if name not in gone]

    def write_figures(
        self, figures: Mapping[str, str | int | float], events: Mapping[str, int] = NO_EVENTS
    ) -> None:
        """Replace the figures that `/metrics` shows for all, and add to what was counted."""
        with translated_errors(), self._client.pipeline() as pipeline:
            pipeline.delete(redis_keys.FIGURES)
            pipeline.hset(redis_keys.FIGURES, mapping={k: str(v) for k, v in figures.items()})
            for event, number in events.items():
                pipeline.hincrby(redis_keys.FIGURE_COUNTS, event, number)
            pipeline.execute()

    def figures(self) -> dict[str, str]:
        """The figures and counts, as text."""
        with translated_errors(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(redis_keys.FIGURE_COUNTS)
            pipeline.hgetall(redis_keys.FIGURES)
            counts, figures = pipeline.execute()
        return {str(name): str(value) for name, value in (counts | figures).items()}

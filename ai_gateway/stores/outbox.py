"""The bookkeeper's side of Redis: the outbox stream, lapsed leases, marks and figures."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import redis

from ai_gateway.domain.idempotency import LOST
from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry, UnreadableEntry
from ai_gateway.stores import redis_keys
from ai_gateway.stores.counter_restore import CLAIM_SECONDS, CounterRestore, counted_accounts
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

    def counted(self, windows: Sequence[str]) -> set[Account]:
        """Every account of some windows that has a counter."""
        return counted_accounts(self._client, windows)

    def snapshot(
        self, position: str, accounts: Sequence[Account]
    ) -> tuple[list[OutboxEntry], dict[Account, Money]]:
        """What waits after `position`, and the counters of some accounts, at one moment."""
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
            key_id = str(orjson.loads(facts)["key_id"]) if facts else ""
            keys = [redis_keys.META, call, redis_keys.LEASES, redis_keys.OUTBOX]
            reply = self._expire(
                [*keys, redis_keys.idempotency(key_id), *str(accounts or "").split()],
                [request_id, orjson.dumps(result).decode(), LOST],
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
    """What the bookkeeper writes for the workers: marks and figures; the epoch is taken away here.

    By `counters` they come back after a loss, and the epoch with them.
    """

    def __init__(self, client: redis.Redis, *, claim_seconds: int = CLAIM_SECONDS) -> None:
        self._client = client
        self.counters = CounterRestore(client, claim_seconds=claim_seconds)
        self._count = client.register_script((_SCRIPTS / "count_events.lua").read_text())
        self._counts: dict[str, int] = {}

    def has_epoch(self) -> bool:
        with translated_errors():
            return bool(self._client.hexists(redis_keys.META, "epoch"))

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
        """Replace the figures that `/metrics` shows for all, and add to what was counted.

        Counts outlive a Redis that loses them, as long as one process does that has written them.
        """
        with translated_errors(), self._client.pipeline() as pipeline:
            pipeline.delete(redis_keys.FIGURES)
            pipeline.hset(redis_keys.FIGURES, mapping={k: str(v) for k, v in figures.items()})
            arguments: list[str | int] = []
            for event, number in events.items():
                arguments += (event, number, self._counts.get(event, 0))
            self._count([redis_keys.FIGURE_COUNTS], arguments, client=pipeline)
            *_, counts = pipeline.execute()
        self._counts.update(zip(events, counts, strict=True))

    def now(self) -> datetime:
        """The moment by the clock of Redis."""
        with translated_errors():
            seconds, microseconds = self._client.time()
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)

    def figures(self) -> dict[str, str]:
        """The figures and counts, as text."""
        with translated_errors(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(redis_keys.FIGURE_COUNTS)
            pipeline.hgetall(redis_keys.FIGURES)
            counts, figures = pipeline.execute()
        return {str(name): str(value) for name, value in (counts | figures).items()}

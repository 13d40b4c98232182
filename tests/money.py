"""Calls, keys and limits for tests of the money path, and what has to be true after every step."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import redis

from ai_gateway.domain.call import (
    TALLY_FIELDS,
    AdmittedCall,
    FinishedCall,
    Operation,
    Outcome,
    PriceStatus,
    Tally,
)
from ai_gateway.domain.idempotency import FirstCall, IdempotencyKey
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit, LimitKind, accounts_of, forget_at
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry
from ai_gateway.domain.usage import Confidence, Usage, UsageStatus
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.stores import redis_keys
from ai_gateway.stores.meter import Denied, Floor, Granted, Meter, ReserveRequest, Stale
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.virtual_keys import KeyCopies
from tests.trusting import trust

UTC_ZONE = ZoneInfo("UTC")
MOST = 9_000_000_000_000_000
"""The highest limit in nano-USD."""

NOON = datetime(2026, 11, 25, 12, 34, 56, 789_000, tzinfo=UTC)
KEY_ID = "k0000001"
NO_TALLY = dict.fromkeys(TALLY_FIELDS, 0)
UNLIMITED = (NO_LIMIT,) * len(BUDGETS)


def amount(nano_usd: int) -> Limit:
    return Limit(LimitKind.AMOUNT, Money(nano_usd))


def limits(
    installation: int | None = None,
    user_day: int | None = None,
    user_month: int | None = None,
    key_day: int | None = None,
    key_month: int | None = None,
) -> tuple[Limit, ...]:
    """The limits in force in the order of `BUDGETS`; None is none."""
    chosen = (installation, user_day, user_month, key_day, key_month)
    return tuple(NO_LIMIT if one is None else amount(one) for one in chosen)


def key_record(key_id: str = KEY_ID, **changes: Any) -> KeyRecord:
    usual = KeyRecord(
        key_id=key_id,
        subject_id=1,
        digest="0" * 64,
        user_id=1,
        status=KeyStatus.ACTIVE,
        expires_at=None,
        allowed_models=(),
        limits=UNLIMITED,
        version=1,
    )
    return dataclasses.replace(usual, **changes)


def admitted_call(request_id: str = "req_1", held: int = 100, **changes: Any) -> AdmittedCall:
    """A call of user 1 with key 1 unless `record` says whose."""
    record = changes.pop("record", key_record())
    moment = changes.pop("admitted_at", datetime.now(UTC))
    usual = AdmittedCall(
        request_id=request_id,
        user_id=record.user_id,
        key_id=record.key_id,
        provider="openai",
        model_requested="gpt-4o-mini",
        model="gpt-4o-mini",
        operation=Operation.CHAT,
        stream=False,
        price_row="openai/gpt-4o-mini",
        price_book="test",
        accounts=accounts_of(record.subjects, moment, UTC_ZONE),
        held=Money(held),
        output_cap=None,
        admitted_at=moment,
    )
    return dataclasses.replace(usual, **changes)


def finished_call(cost: int, **changes: Any) -> FinishedCall:
    usual = FinishedCall(
        outcome=Outcome.SUCCESS,
        usage=Usage(input_tokens=7, output_tokens=5),
        usage_status=UsageStatus.EXACT,
        confidence=Confidence.REPORTED,
        price_status=PriceStatus.PRICED,
        price_row="openai/gpt-4o-mini",
        served_model="gpt-4o-mini-2024-07-18",
        raw_usage='{"prompt_tokens":7}',
        latency_ms=1234,
        ttft_ms=56,
        settled_at=datetime.now(UTC),
        cost=Money(cost),
    )
    return dataclasses.replace(usual, **changes)


def outbox_entry(number: int = 1, cost: int = 40, **changes: Any) -> OutboxEntry:
    """One entry of a call of its own; what is no field of it is one of its words."""
    user_id = changes.get("user_id", 1)
    admitted_at = changes.get("admitted_at", NOON)
    record = key_record(user_id=user_id, subject_id=user_id)
    usual = OutboxEntry(
        stream_id=f"{number}-0",
        kind="call",
        request_id=f"req_{number}",
        entry_no=1,
        seq=number,
        cost=Money(cost),
        total=Money(cost),
        tally=NO_TALLY | {"requests": 1, "input_tokens": 7, "output_tokens": 5, "latency_ms": 900},
        accounts=accounts_of(record.subjects, admitted_at, UTC_ZONE),
        words={
            "user_id": user_id,
            "key_id": "k0000001",
            "provider": "openai",
            "model_requested": "gpt-4o-mini",
            "model": "gpt-4o-mini",
            "operation": "chat",
            "stream": False,
            "price_book": "test",
            "outcome": "success",
            "usage_status": "exact",
            "confidence": "reported",
            "price_status": "priced",
            "price_row": "openai/gpt-4o-mini",
            "served_model": "gpt-4o-mini",
            "raw_usage": None,
            "ttft_ms": None,
            "held_nano_usd": 100,
        },
        admitted_at=NOON,
        settled_at=NOON + timedelta(seconds=2),
    )
    fields = {field.name for field in dataclasses.fields(OutboxEntry)}
    words = {name: value for name, value in changes.items() if name not in fields}
    given = {name: value for name, value in changes.items() if name in fields}
    return dataclasses.replace(usual, **given, words=usual.words | words)


def floor(cost: int = 0, **counts: int) -> Floor:
    return Floor(Money(cost), Tally(failures=1, **counts))


class MoneyStore:
    """Everything that speaks to one Redis, and a look into what it holds."""

    def __init__(self, client: "redis.Redis") -> None:
        self.client = client
        self.meter = Meter(client)
        self.outbox = Outbox(client)
        self.published = PublishedState(client)
        self.copies = KeyCopies(client)

    def open(self, *records: KeyRecord) -> None:
        """Publish keys and let the counters be trusted, as the bookkeeper does."""
        self.copies.publish(records or (key_record(),))
        trust(self.client, epoch="first")

    def version(self, key_id: str = KEY_ID) -> str:
        loaded = self.copies.load(key_id)
        assert loaded is not None
        return loaded[1]

    def request(
        self,
        call: AdmittedCall,
        in_force: tuple[Limit, ...] = UNLIMITED,
        *,
        least: int | None = None,
        version: str | None = None,
        lost: Floor | None = None,
    ) -> ReserveRequest:
        return ReserveRequest(
            call=call,
            least=call.held if least is None else Money(least),
            limits=in_force,
            forget_at=tuple(forget_at(call.admitted_at, UTC_ZONE)),
            key_version=self.version(call.key_id) if version is None else version,
            floor=floor() if lost is None else lost,
            rules_version=self._rules_version() if version is None else "",
        )

    def _rules_version(self) -> str:
        return str(self.client.hget(redis_keys.META, "rules_version") or "")

    def reserve(
        self,
        call: AdmittedCall,
        in_force: tuple[Limit, ...] = UNLIMITED,
        *,
        least: int | None = None,
        lost: Floor | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Granted | Denied | Stale | FirstCall:
        asked = self.request(call, in_force, least=least, lost=lost)
        return self.meter.reserve(dataclasses.replace(asked, idempotency_key=idempotency_key))

    def let_lapse(self, *calls: AdmittedCall) -> None:
        """Put leases into the past, as if their workers had stood still."""
        for call in calls:
            assert self.client.zadd(redis_keys.LEASES, {call.request_id: 1}, xx=True, ch=True)

    def expire(self, call: AdmittedCall) -> bool:
        self.let_lapse(call)
        return self.outbox.expire(call.request_id, datetime.now(UTC))

    def counters(self, call: AdmittedCall) -> list[tuple[int, int]]:
        """Spent and held of each account of a call."""
        return [(c.spent, c.held) for c in self.meter.counters(call.accounts)]

    def record(self, call: AdmittedCall) -> dict[str, str]:
        found: Any = self.client.hgetall(redis_keys.call(call.request_id))
        return dict(found)

    def entries(self) -> list[dict[str, str]]:
        """The rows of the outbox, oldest first."""
        return list(self.stream().values())

    def stream(self) -> dict[str, dict[str, str]]:
        """The rows of the outbox by their ids."""
        rows: Any = self.client.xrange(redis_keys.OUTBOX)
        return {str(stream_id): dict(fields) for stream_id, fields in rows}

    def put(self, row: Mapping[str, Any], stream_id: str = "*") -> str:
        """Write a row into the outbox, past the scripts."""
        fields: Any = dict(row)
        return str(self.client.xadd(redis_keys.OUTBOX, fields, id=stream_id))

    def names(self, start: str) -> list[str]:
        return sorted(self.client.scan_iter(f"{start}*", count=10_000))

    def dump(self, *, with_times: bool = True) -> dict[str, object]:
        """All that Redis holds; without times, a renewed lease makes no difference."""
        state: dict[str, object] = {}
        for name in self.names(""):
            kind = self.client.type(name)
            if kind == "hash":
                value: Any = self.client.hgetall(name)
            elif kind == "zset":
                value = self.client.zrange(name, 0, -1, withscores=with_times)
            elif kind == "set":
                value = self.client.smembers(name)
            else:
                value = self.client.xrange(name)
            moment = self.client.pexpiretime(name) if with_times else self.client.ttl(name) > 0
            state[name] = (value, moment)
        return state


@dataclass(frozen=True, slots=True)
class CallState:
    """A call record as it stands in Redis."""

    request_id: str
    is_open: bool
    hold: int
    charged: int
    entries: int
    tally: tuple[int, ...]
    accounts: tuple[str, ...]


class Invariants:
    """Money.md 1.6, checked against what Redis holds. One object follows one life of Redis.

    `base` is what accounts had spent before the first call that is known, `first_seq` how many
    entries there were by then.
    """

    def __init__(self, store: MoneyStore) -> None:
        self._store = store
        self._closed: dict[str, CallState] = {}
        self._seen: dict[str, dict[str, str]] = {}
        self.base: dict[str, int] = {}
        self.first_seq = 0

    def check(self) -> None:
        self._seen |= self._store.stream()
        calls = [_call_state(*found) for found in self._hashes(redis_keys.call(""))]
        self._check_accounts(calls)
        self._check_leases(calls)
        self._check_outbox(calls)
        self._check_closed(calls)

    def _hashes(self, start: str) -> list[tuple[str, dict[str, str]]]:
        names = self._store.names(start)
        pipeline = self._store.client.pipeline(transaction=False)
        for name in names:
            pipeline.hgetall(name)
            pipeline.ttl(name)
        rows = pipeline.execute()
        for name, left in zip(names, rows[1::2], strict=True):
            assert left > 0, f"{name} is never forgotten"
        return list(zip(names, rows[::2], strict=True))

    def _check_accounts(self, calls: Sequence[CallState]) -> None:
        held: dict[str, int] = defaultdict(int)
        spent: dict[str, int] = defaultdict(int, self.base)
        for call in calls:
            assert call.is_open or call.hold == 0, call
            for account in call.accounts:
                held[account] += call.hold
                spent[account] += call.charged
        for row in self._adjustments():
            for name in facts_of(row)["accounts"]:
                spent[f"{_ACCOUNTS}{name}"] += int(row["cost"])
        for name, row in self._hashes(_ACCOUNTS):
            assert row.keys() <= {"spent", "held", "refused"}, row
            assert int(row.get("held", 0)) == held[name], (name, row)  # I1
            assert int(row.get("spent", 0)) == spent[name], (name, row)  # I2

    def _adjustments(self) -> list[dict[str, str]]:
        return [row for row in self._seen.values() if row["kind"] == "adjustment"]

    def _check_leases(self, calls: Sequence[CallState]) -> None:
        leases = set(self._store.client.zrange(redis_keys.LEASES, 0, -1))
        holding = {call.request_id for call in calls if call.hold > 0}
        still_open = {call.request_id for call in calls if call.is_open}
        assert holding <= leases <= still_open  # I4

    def _check_outbox(self, calls: Sequence[CallState]) -> None:
        emitted = list(self._seen.values())
        seq = int(self._store.client.hget(redis_keys.META, "seq") or 0)
        expected = list(range(self.first_seq + 1, seq + 1))
        assert [int(row["seq"]) for row in emitted] == expected  # I5
        by_call: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in emitted:
            by_call[row["request_id"]].append(row)
        for call in calls:
            rows = by_call[call.request_id]
            assert [int(row["entry_no"]) for row in rows] == list(range(1, call.entries + 1))  # I6
            assert sum(int(row["cost"]) for row in rows) == call.charged, (call, rows)
            assert not rows or int(rows[-1]["total"]) == call.charged
            summed = summed_tally(row["tally"] for row in rows)
            assert summed == (call.tally or (0,) * len(TALLY_FIELDS)), (call, rows)
            assert summed[0] == min(1, len(rows)), "a call counts one request"

    def _check_closed(self, calls: Sequence[CallState]) -> None:
        now = {call.request_id: call for call in calls}
        for request_id, before in self._closed.items():
            assert now[request_id] == before  # I7
        self._closed |= {name: call for name, call in now.items() if not call.is_open}


def _call_state(name: str, row: dict[str, str]) -> CallState:
    return CallState(
        request_id=name.removeprefix(redis_keys.call("")),
        is_open=row["open"] == "1",
        hold=int(row["hold"]),
        charged=int(row["chg"]),
        entries=int(row["n"]),
        # A call that was withdrawn before its reserve ran has no more than its end.
        tally=numbers(row.get("tally", "")),
        accounts=tuple(row.get("accounts", "").split()),
    )


_ACCOUNTS = redis_keys._ACCOUNT


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",")) if text else ()


def summed_tally(tallies: Iterable[str]) -> tuple[int, ...]:
    rows = [numbers(tally) for tally in tallies]
    return tuple(map(sum, zip(*rows, strict=True))) if rows else (0,) * len(TALLY_FIELDS)


def facts_of(row: dict[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = orjson.loads(row["facts"])
    return facts

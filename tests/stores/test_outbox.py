"""The outbox stream as the bookkeeper reads it, and what it publishes for the workers."""

import json
import time
from dataclasses import replace
from threading import Thread
from typing import Any

import orjson
import pytest

from ai_gateway.domain.call import TALLY_FIELDS
from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry, UnreadableEntry
from ai_gateway.domain.pricing import CostLine
from ai_gateway.domain.usage import Usage
from ai_gateway.domain.working import Basis, Working, worked_out
from ai_gateway.stores import redis_keys
from ai_gateway.stores.outbox import FIRST_POSITION, PublishedState, set_aside
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.workings import read_working
from tests.money import MoneyStore, admitted_call, finished_call, floor, limits
from tests.redis_servers import RedisServer

DAY = Account(Scope.USER, 1, Window.DAY, "2026-11-25")
MONTH = Account(Scope.INSTALLATION, 0, Window.MONTH, "2026-11")


def settled(store: MoneyStore, request_id: str = "req_1", cost: int = 40) -> None:
    call = admitted_call(request_id)
    store.reserve(call)
    store.meter.settle(call, finished_call(cost))


def readable(store: MoneyStore, position: str = FIRST_POSITION) -> list[OutboxEntry]:
    found = store.outbox.read(position, count=100)
    entries = [entry for entry in found if isinstance(entry, OutboxEntry)]
    assert len(entries) == len(found)
    return entries


def put(store: MoneyStore, **changes: Any) -> str:
    """Put an entry into the stream with some of its fields changed; None takes one away."""
    settled(store)
    [row] = store.entries()
    store.client.xtrim(redis_keys.OUTBOX, maxlen=0)
    return store.put({name: text for name, text in (row | changes).items() if text is not None})


class TestReading:
    """What scripts wrote comes back as facts."""

    def test_a_settled_call_comes_back_whole(self, store: MoneyStore) -> None:
        call = admitted_call(held=100, stream=True)
        store.reserve(call, limits(70), least=1)
        working = Working(Basis.PRICES, (CostLine("input", 3, 1_000, "a/b"),), output_cap=7)
        usage = Usage(input_tokens=3, output_tokens=2)
        finished = finished_call(40, usage=usage, provider_id="chatcmpl-1", working=working)
        store.meter.settle(call, finished)
        [entry] = readable(store)
        told = read_working(str(entry.words["working"]))
        assert told == replace(working, wanted=Money(100))
        assert entry == OutboxEntry(
            stream_id=entry.stream_id,
            kind="call",
            request_id="req_1",
            entry_no=1,
            seq=1,
            cost=Money(40),
            total=Money(40),
            tally=dict.fromkeys(TALLY_FIELDS, 0)
            | {"requests": 1, "input_tokens": 3, "output_tokens": 2, "latency_ms": 1234},
            accounts=call.accounts,
            words={
                "user_id": 1,
                "key_id": "k0000001",
                "provider": "openai",
                "model_requested": "gpt-4o-mini",
                "model": "gpt-4o-mini",
                "operation": "chat",
                "stream": True,
                "price_book": "test",
                "outcome": "success",
                "usage_status": "exact",
                "confidence": "reported",
                "price_status": "priced",
                "price_row": "openai/gpt-4o-mini",
                "served_model": "gpt-4o-mini-2024-07-18",
                "raw_usage": '{"prompt_tokens":7}',
                "ttft_ms": 56,
                "held_nano_usd": 70,
                "provider_id": "chatcmpl-1",
                "working": entry.words["working"],
            },
            admitted_at=call.admitted_at,
            settled_at=finished.settled_at,
        )

    def test_a_lapsed_call_brings_the_arithmetic_of_its_floor(self, store: MoneyStore) -> None:
        call = admitted_call(price_row="a/b", floor_rates=(1_000, 4_000))
        store.reserve(call, lost=floor(30, input_tokens=10, output_tokens=5))
        store.expire(call)
        [entry] = readable(store)
        working = read_working(str(entry.words["working"]))
        assert working is not None
        assert (worked_out(working, Money(100)), entry.cost) == (30, 30)
        assert [line.row_id for line in working.lines] == ["a/b", "a/b"]

    @pytest.mark.parametrize("bad", [7, {"basis": "a guess", "lines": []}, {"lines": [[1]]}])
    def test_a_working_that_cannot_be_read_keeps_no_money_from_being_booked(
        self, store: MoneyStore, bad: object
    ) -> None:
        settled(store)
        [row] = store.entries()
        result = json.loads(row["result"]) | {"working": bad}
        put(store, request_id="req_2", result=json.dumps(result))
        [entry] = readable(store)
        assert (entry.cost, entry.words["working"]) == (40, None)

    @pytest.mark.parametrize(("price_row", "status"), [("a/b", "priced"), ("", "unpriced")])
    def test_a_lapsed_call_says_that_its_cost_is_estimated(
        self, store: MoneyStore, price_row: str, status: str
    ) -> None:
        call = admitted_call(price_row=price_row)
        store.reserve(call, lost=floor(30))
        store.expire(call)
        [entry] = readable(store)
        told = {name: entry.words[name] for name in ("outcome", "usage_status", "confidence")}
        assert told == {
            "outcome": "gateway_error",
            "usage_status": "missing",
            "confidence": "estimated",
        }
        assert entry.words["price_status"] == status
        assert entry.words["price_row"] == price_row
        assert entry.words["served_model"] == call.model
        assert entry.tally["failures"] == 1

    def test_goes_on_after_a_position_and_takes_no_more_than_asked_for(
        self, store: MoneyStore
    ) -> None:
        for number in range(5):
            settled(store, f"req_{number}")
        first = store.outbox.read(FIRST_POSITION, count=2)
        rest = store.outbox.read(first[-1].stream_id, count=10)
        assert [entry.seq for entry in readable(store)] == [1, 2, 3, 4, 5]
        assert [entry.stream_id for entry in [*first, *rest]] == [
            entry.stream_id for entry in readable(store)
        ]

    def test_an_empty_outbox_has_nothing(self, store: MoneyStore) -> None:
        assert store.outbox.read(FIRST_POSITION, count=10) == []
        assert store.outbox.read(FIRST_POSITION, count=10, block_ms=1) == []

    def test_waits_for_the_first_entry(
        self, valkey: MoneyStore, valkey_server: RedisServer
    ) -> None:
        found: list[object] = []

        def read() -> None:
            with connect(valkey_server.url, timeout_seconds=30) as client:
                found.extend(MoneyStore(client).outbox.read("0-0", count=1, block_ms=20_000))

        reader = Thread(target=read)
        reader.start()
        while not int(valkey.client.info("clients")["blocked_clients"]):
            time.sleep(0.001)
        settled(valkey)
        reader.join()
        assert len(found) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"kind": None},
            {"request_id": None},
            {"entry_no": "first"},
            {"seq": ""},
            {"cost": "1.5"},
            {"cost": "9e15"},
            {"total": None},
            {"held": None},
            {"tally": "1,2,3"},
            {"tally": ",".join("x" * len(TALLY_FIELDS))},
            {"tally": ",".join("1" * (len(TALLY_FIELDS) + 1))},
            {"facts": "{"},
            {"facts": "[]"},
            {"facts": "null"},
            {"facts": "{}"},
            {"result": '"ok"'},
            {"result": None},
        ],
        ids=str,
    )
    def test_what_cannot_be_understood_is_kept_whole(
        self, store: MoneyStore, changes: dict[str, Any]
    ) -> None:
        stream_id = put(store, **changes)
        [entry] = store.outbox.read(FIRST_POSITION, count=10)
        assert isinstance(entry, UnreadableEntry)
        assert entry.stream_id == stream_id
        assert 0 < len(entry.reason) <= 200
        assert json.loads(entry.payload) == dict(store.entries()[0])

    @pytest.mark.parametrize(
        ("part", "name", "wrong"),
        [
            ("facts", "user_id", "1"),
            ("facts", "user_id", None),
            ("facts", "model", {"a": "b"}),
            ("facts", "stream", 1),
            ("facts", "admitted_at", "yesterday"),
            ("facts", "accounts", ["team:1:2026-11"]),
            ("facts", "accounts", ["user:1"]),
            ("facts", "accounts", ["user:x:2026-11"]),
            ("result", "outcome", None),
            ("result", "raw_usage", {"prompt_tokens": 7}),
            ("result", "ttft_ms", 0.5),
            ("result", "settled_at", 5),
        ],
    )
    def test_words_of_a_wrong_kind_are_no_entry(
        self, store: MoneyStore, part: str, name: str, wrong: object
    ) -> None:
        settled(store)
        row = store.entries()[0]
        store.client.xtrim(redis_keys.OUTBOX, maxlen=0)
        changed = orjson.dumps(orjson.loads(row[part]) | {name: wrong}).decode()
        store.put(row | {part: changed})
        [entry] = store.outbox.read(FIRST_POSITION, count=10)
        assert isinstance(entry, UnreadableEntry), entry

    def test_a_word_that_is_missing_is_named(self, store: MoneyStore) -> None:
        put(store, facts="{}")
        [entry] = store.outbox.read(FIRST_POSITION, count=10)
        assert isinstance(entry, UnreadableEntry)
        assert entry.reason == "KeyError: 'user_id'"

    def test_others_flow_past_what_cannot_be_understood(self, store: MoneyStore) -> None:
        put(store, cost="x")
        settled(store, "req_2")
        kinds = [type(entry) for entry in store.outbox.read(FIRST_POSITION, count=10)]
        assert kinds == [UnreadableEntry, OutboxEntry]

    def test_an_entry_that_is_set_aside_keeps_all_it_says(self, store: MoneyStore) -> None:
        settled(store)
        [entry] = readable(store)
        aside = set_aside(entry, "no room")
        assert (aside.stream_id, aside.reason) == (entry.stream_id, "no room")
        assert aside.payload == repr(entry)


class TestTrimming:
    """What is in the ledger goes from the outbox, and nothing else."""

    def test_drops_what_is_booked_and_keeps_the_rest(self, store: MoneyStore) -> None:
        for number in range(4):
            settled(store, f"req_{number}")
        entries = readable(store)
        store.outbox.trim(entries[1].stream_id)
        assert readable(store) == entries[2:]
        store.outbox.trim(entries[1].stream_id)
        store.outbox.trim(entries[0].stream_id)
        assert readable(store) == entries[2:]

    def test_numbers_go_on_after_everything_is_dropped(self, store: MoneyStore) -> None:
        settled(store, "req_1")
        [first] = readable(store)
        store.outbox.trim(first.stream_id)
        settled(store, "req_2")
        [second] = readable(store, first.stream_id)
        assert second.seq == 2

    def test_entries_of_one_millisecond_are_told_apart(self, store: MoneyStore) -> None:
        for number in range(3):
            store.put({"a": "b"}, f"5-{number}")
        store.outbox.trim("5-1")
        assert list(store.stream()) == ["5-2"]


class TestAge:
    """How far the ledger is behind."""

    def test_nothing_waits(self, store: MoneyStore) -> None:
        assert store.outbox.oldest_age_seconds(FIRST_POSITION) == 0
        settled(store)
        assert store.outbox.oldest_age_seconds(readable(store)[0].stream_id) == 0

    def test_the_oldest_one_that_waits_counts(self, store: MoneyStore) -> None:
        seconds, _ = store.client.time()
        for age in (90, 60, 30):
            store.put({"a": "b"}, f"{(seconds - age) * 1000}-0")
        assert 90 <= store.outbox.oldest_age_seconds(FIRST_POSITION) < 95
        assert 60 <= store.outbox.oldest_age_seconds(f"{(seconds - 90) * 1000}-0") < 65

    def test_an_entry_of_the_future_has_no_age(self, store: MoneyStore) -> None:
        seconds, _ = store.client.time()
        store.put({"a": "b"}, f"{(seconds + 90) * 1000}-0")
        assert store.outbox.oldest_age_seconds(FIRST_POSITION) == 0


class TestSnapshot:
    """Counters and outbox at one moment, for the proof."""

    def test_has_what_waits_and_what_was_spent(self, store: MoneyStore) -> None:
        settled(store, "req_1", 40)
        settled(store, "req_2", 2)
        first = readable(store)[0]
        waiting, counters = store.outbox.snapshot(first.stream_id, first.accounts)
        assert [entry.request_id for entry in waiting] == ["req_2"]
        assert counters == dict.fromkeys(first.accounts, 42)

    def test_finds_the_accounts_of_the_windows_alone(self, store: MoneyStore) -> None:
        settled(store)
        accounts = set(readable(store)[0].accounts)
        windows = sorted({account.window_id for account in accounts})
        assert store.outbox.counted(windows) == accounts
        assert store.outbox.counted(["1999-01"]) == set()


def test_counts_go_on_after_redis_lost_them(valkey: MoneyStore) -> None:
    """For each process that knows them, and what others counted meanwhile stays."""
    ours, theirs = (PublishedState(valkey.client) for _ in range(2))
    ours.write_figures({"a": 1}, {"rebuilds": 2})
    theirs.write_figures({"a": 1}, {"rebuilds": 3, "errors": 1})
    valkey.client.flushall()
    ours.write_figures({"a": 1}, {"rebuilds": 1})
    assert valkey.published.figures()["rebuilds"] == "3"
    theirs.write_figures({"a": 1}, {"rebuilds": 0, "errors": 0})
    assert valkey.published.figures() == {"a": "1", "rebuilds": "5", "errors": "1"}
    ours.write_figures({"a": 1}, {"rebuilds": 1})
    assert valkey.published.figures()["rebuilds"] == "6"


def test_figures_come_back_as_they_were_written(store: MoneyStore) -> None:
    assert store.published.figures() == {}
    store.published.write_figures({"spend_day_nano_usd": 9_000_000_000_000_001, "lag": 0.25})
    assert store.published.figures() == {"spend_day_nano_usd": "9000000000000001", "lag": "0.25"}

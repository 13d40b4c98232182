"""Idempotency keys in Redis: taken with the hold, told when the call ends, bounded."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from ai_gateway.domain.call import AdmittedCall, Outcome, never_sent
from ai_gateway.domain.idempotency import LOST, FirstCall, IdempotencyKey
from ai_gateway.domain.money import Money
from ai_gateway.domain.usage import UsageStatus
from ai_gateway.stores import redis_keys
from ai_gateway.stores.meter import Denied, Granted
from tests.money import KEY_ID, MoneyStore, admitted_call, finished_call, key_record, limits

KEY = IdempotencyKey("a" * 32, "f" * 32)
DAY_MS = 24 * 3600 * 1000
MOST = 10_000
KEPT, AGES = redis_keys.idempotency(KEY_ID), redis_keys.idempotency_ages(KEY_ID)


def ask(
    store: MoneyStore, call: AdmittedCall, key: IdempotencyKey | None = KEY, limit: int = 10**6
) -> object:
    return store.reserve(call, limits(limit), idempotency_key=key)


def ended_as(outcome: str) -> FirstCall:
    return FirstCall("req_1", is_same_request=True, outcome=outcome)


def running(request_id: str) -> FirstCall:
    return FirstCall(request_id, is_same_request=True, outcome="")


def again(store: MoneyStore) -> object:
    """What a repeat of the first call hears."""
    return ask(store, admitted_call("req_2"))


@pytest.fixture
def first(store: MoneyStore) -> AdmittedCall:
    call = admitted_call("req_1", 100)
    assert ask(store, call) == Granted(Money(100))
    return call


def test_a_repeat_of_a_running_call_holds_nothing(store: MoneyStore, first: AdmittedCall) -> None:
    before = store.dump()
    assert again(store) == ended_as("")
    assert store.dump() == before


def test_another_request_under_the_same_key_is_told_apart(
    store: MoneyStore, first: AdmittedCall
) -> None:
    other = IdempotencyKey(KEY.name, "0" * 32)
    answer = ask(store, admitted_call("req_2"), other)
    assert answer == FirstCall("req_1", is_same_request=False, outcome="")


def test_a_reserve_whose_reply_was_lost_is_no_repeat_of_itself(
    store: MoneyStore, first: AdmittedCall
) -> None:
    before = store.dump()
    assert ask(store, first) == Granted(Money(100))
    assert store.dump() == before


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.UPSTREAM_TIMEOUT, Outcome.CANCELLED])
def test_a_repeat_hears_how_the_first_call_ended(
    store: MoneyStore, first: AdmittedCall, outcome: Outcome
) -> None:
    store.meter.settle(first, finished_call(40, outcome=outcome))
    assert again(store) == ended_as(outcome)
    assert len(store.entries()) == 1


def test_a_call_for_which_nothing_was_billed_gives_the_key_back(
    store: MoneyStore, first: AdmittedCall
) -> None:
    unbilled = finished_call(0, outcome=Outcome.UPSTREAM_ERROR, usage_status=UsageStatus.NOT_BILLED)
    store.meter.settle(first, unbilled)
    assert again(store) == Granted(Money(100))
    # A late repeat of the end of the first one leaves the second alone.
    store.meter.settle(first, unbilled)
    assert ask(store, admitted_call("req_3")) == running("req_2")


def test_a_call_whose_worker_was_lost_keeps_the_key(store: MoneyStore, first: AdmittedCall) -> None:
    assert store.expire(first)
    assert again(store) == ended_as(LOST)
    # It had only stood still.
    store.meter.settle(first, finished_call(40))
    assert again(store) == ended_as(Outcome.SUCCESS)


def test_a_lost_call_that_was_never_sent_gives_it_back(
    store: MoneyStore, first: AdmittedCall
) -> None:
    store.expire(first)
    assert store.meter.withdraw(first) is False
    store.meter.settle(first, never_sent(first, datetime.now(UTC)))
    assert again(store) == Granted(Money(100))


def test_a_hold_that_is_taken_back_gives_it_back(store: MoneyStore, first: AdmittedCall) -> None:
    store.meter.withdraw(first)
    assert again(store) == Granted(Money(100))


def test_a_reserve_that_comes_after_it_was_taken_back_takes_nothing(store: MoneyStore) -> None:
    late = admitted_call("req_1")
    store.meter.withdraw(late)
    ask(store, late)
    assert again(store) == Granted(Money(100))


def test_a_call_that_the_ledger_has_whole_tells_its_end(
    store: MoneyStore, first: AdmittedCall
) -> None:
    store.meter.withdraw(first, in_ledger=finished_call(40))
    assert again(store) == ended_as(Outcome.SUCCESS)


def test_a_refused_call_takes_no_key(store: MoneyStore) -> None:
    assert isinstance(ask(store, admitted_call("req_1"), limit=5), Denied)
    assert again(store) == Granted(Money(100))


def test_a_repeat_without_room_hears_of_the_first_call_and_marks_no_budget(
    store: MoneyStore, first: AdmittedCall
) -> None:
    assert ask(store, admitted_call("req_2"), limit=5) == ended_as("")
    assert store.published.refused() == []


def test_another_virtual_key_is_a_stranger(store: MoneyStore, first: AdmittedCall) -> None:
    record = key_record("k0000002", subject_id=2, user_id=2)
    store.copies.publish([record])
    assert ask(store, admitted_call("req_2", record=record)) == Granted(Money(100))


def test_one_of_fifty_at_once_is_let_in(valkey: MoneyStore) -> None:
    calls = [admitted_call(f"req_{number}") for number in range(50)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda call: ask(valkey, call), calls))
    (granted,) = [number for number, answer in enumerate(answers) if answer == Granted(Money(100))]
    assert answers.count(running(f"req_{granted}")) == 49
    assert valkey.counters(calls[0]) == [(0, 100)] * 5


class TestMemory:
    """A day, and no more than so many of a virtual key."""

    def grow_old(self, store: MoneyStore, name: str = KEY.name) -> None:
        """Put the admission of the call one day back."""
        store.client.zincrby(AGES, -DAY_MS, name)

    def test_a_key_may_be_used_again_after_a_day(self, valkey: MoneyStore) -> None:
        old = admitted_call("req_1")
        ask(valkey, old)
        self.grow_old(valkey)
        assert again(valkey) == Granted(Money(100))
        valkey.meter.settle(old, finished_call(40))
        assert ask(valkey, admitted_call("req_3")) == running("req_2")

    def test_what_is_older_than_a_day_is_forgotten_when_another_comes(
        self, valkey: MoneyStore
    ) -> None:
        ask(valkey, admitted_call("req_1"))
        self.grow_old(valkey)
        ask(valkey, admitted_call("req_2"), IdempotencyKey("b" * 32, "f" * 32))
        assert valkey.client.hkeys(KEPT) == ["b" * 32]
        assert valkey.client.zrange(AGES, 0, -1) == ["b" * 32]

    def test_nothing_is_left_a_day_after_the_last(self, valkey: MoneyStore) -> None:
        ask(valkey, admitted_call("req_1"))
        for name in (KEPT, AGES):
            assert DAY_MS - 60_000 < valkey.client.pttl(name) <= DAY_MS

    def test_the_oldest_makes_room_for_the_newest(self, valkey: MoneyStore) -> None:
        ask(valkey, admitted_call("req_1"))
        now = int(valkey.client.zscore(AGES, KEY.name) or 0)
        more = [f"{number:032}" for number in range(1, MOST)]
        valkey.client.hset(KEPT, mapping=dict.fromkeys(more, "req_x f success"))
        valkey.client.zadd(AGES, dict.fromkeys(more, now + 1))
        assert again(valkey) == ended_as("")
        newest = IdempotencyKey("b" * 32, "f" * 32)
        assert ask(valkey, admitted_call("req_2"), newest) == Granted(Money(100))
        assert valkey.client.hlen(KEPT) == valkey.client.zcard(AGES) == MOST
        assert ask(valkey, admitted_call("req_3")) == Granted(Money(100))
        # Its end finds that its key is another call's by now.
        valkey.meter.settle(admitted_call("req_1"), finished_call(40))
        assert ask(valkey, admitted_call("req_4")) == running("req_3")

    def test_a_call_without_a_key_leaves_nothing(self, valkey: MoneyStore) -> None:
        call = admitted_call("req_1")
        ask(valkey, call, None)
        valkey.meter.settle(call, finished_call(40))
        assert valkey.client.exists(KEPT, AGES) == 0
        assert "idempotency_key" not in valkey.record(call)

    def test_a_redis_that_lost_its_memory_lost_the_keys(self, valkey: MoneyStore) -> None:
        ask(valkey, admitted_call("req_1"))
        valkey.client.flushall()
        valkey.open()
        assert again(valkey) == Granted(Money(100))

"""Counters written anew: in steps, by one bookkeeper at a time, while calls settle."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry
from ai_gateway.stores import redis_keys
from ai_gateway.stores.counter_restore import (
    CLAIM_SECONDS,
    COUNTERS_AT_ONCE,
    Claim,
    ClaimLost,
    Counter,
    CounterRestore,
)
from ai_gateway.stores.outbox import FIRST_POSITION
from tests.money import MoneyStore, admitted_call, finished_call, key_record
from tests.trusting import trust

DAY = Account(Scope.USER, 1, Window.DAY, "2026-11-25")
MONTH = Account(Scope.INSTALLATION, 0, Window.MONTH, "2026-11")
END = datetime.now(UTC) + timedelta(days=60)


@pytest.fixture
def lost(store: MoneyStore) -> MoneyStore:
    store.client.flushall()
    return store


def begun(store: MoneyStore, seq: int = 0) -> tuple[CounterRestore, Claim]:
    restore = CounterRestore(store.client)
    claim = restore.begin(position=FIRST_POSITION, seq=seq)
    assert claim is not None
    return restore, claim


def finish(restore: CounterRestore, claim: Claim, *changed: Counter) -> bool:
    return restore.finish(claim, changed, epoch="second", position=FIRST_POSITION)


def spent(store: MoneyStore, *accounts: Account) -> list[int]:
    return [counters.spent for counters in store.meter.counters(accounts)]


def test_writes_counters_with_an_end_and_the_epoch(lost: MoneyStore) -> None:
    large = Money(9_000_000_000_000_001)
    assert lost.published.has_epoch() is False
    assert trust(lost.client, [(DAY, large, END), (MONTH, Money(7), END)], "second")
    assert lost.meter.is_ready()
    assert [(c.spent, c.held) for c in lost.meter.counters([DAY, MONTH])] == [(large, 0), (7, 0)]
    assert lost.client.expiretime(redis_keys.account(DAY)) == int(END.timestamp())
    assert lost.client.hget(redis_keys.META, "epoch") == "second"
    assert not lost.client.exists(redis_keys.RESTORE)


def test_many_are_written_in_steps_and_none_is_left_out(lost: MoneyStore) -> None:
    restore, claim = begun(lost)
    accounts = [
        Account(Scope.USER, number, Window.DAY, "2026-11-25")
        for number in range(2 * COUNTERS_AT_ONCE + 1)
    ]
    wanted = [(account, Money(account.subject_id), END) for account in accounts]
    assert restore.write(claim, wanted) == len(accounts)
    assert spent(lost, *accounts) == list(range(len(accounts)))


def test_nothing_is_trusted_before_the_end(lost: MoneyStore) -> None:
    restore, claim = begun(lost)
    restore.write(claim, [(DAY, Money(1), END)])
    assert lost.published.has_epoch() is False
    assert lost.meter.is_ready() is False


def test_counters_that_are_trusted_are_nobodys_to_write(lost: MoneyStore) -> None:
    call = admitted_call(held=100)
    assert trust(lost.client, [(account, Money(5), END) for account in call.accounts])
    lost.copies.publish([key_record()])
    lost.reserve(call)
    before = lost.dump()
    assert CounterRestore(lost.client).begin(position=FIRST_POSITION, seq=0) is None
    assert lost.dump() == before


def test_one_bookkeeper_at_a_time(lost: MoneyStore) -> None:
    ours, claim = begun(lost)
    theirs = CounterRestore(lost.client)
    assert (ours.is_anothers(), theirs.is_anothers()) == (False, True)
    assert theirs.begin(position=FIRST_POSITION, seq=0) is None
    assert lost.client.hget(redis_keys.RESTORE, "attempt") == claim.attempt
    assert 0 < lost.client.ttl(redis_keys.RESTORE) <= CLAIM_SECONDS


def test_each_step_renews_the_claim(lost: MoneyStore) -> None:
    restore, claim = begun(lost)
    lost.client.expire(redis_keys.RESTORE, 2)
    restore.write(claim, [(DAY, Money(1), END)])
    assert lost.client.ttl(redis_keys.RESTORE) > 2


def test_what_a_bookkeeper_sends_after_another_took_over_is_refused(lost: MoneyStore) -> None:
    slow, claim = begun(lost)
    lost.client.delete(redis_keys.RESTORE)  # as if it had lapsed
    fast, other = begun(lost)
    fast.write(other, [(DAY, Money(2), END)])
    with pytest.raises(ClaimLost):
        slow.write(claim, [(DAY, Money(1), END)])
    with pytest.raises(ClaimLost):
        finish(slow, claim, (DAY, Money(1), END))
    assert finish(fast, other)
    with pytest.raises(ClaimLost):
        slow.write(claim, [(DAY, Money(1), END)])
    assert spent(lost, DAY) == [2]


def test_a_bookkeeper_of_an_older_version_is_not_written_over(lost: MoneyStore) -> None:
    """It knows of no claim, and writes all at once with the epoch."""
    restore, claim = begun(lost)
    lost.client.hset(redis_keys.META, "epoch", "by the older one")
    with pytest.raises(ClaimLost):
        restore.write(claim, [(DAY, Money(1), END)])
    with pytest.raises(ClaimLost):
        finish(restore, claim)
    assert lost.client.hget(redis_keys.META, "epoch") == "by the older one"


def test_a_new_attempt_of_the_same_takes_the_place_of_one_that_failed(lost: MoneyStore) -> None:
    restore, first = begun(lost)
    second = restore.begin(position=FIRST_POSITION, seq=0)
    assert second is not None
    with pytest.raises(ClaimLost):
        restore.write(first, [(DAY, Money(1), END)])
    assert finish(restore, second)


def test_emptied_once_more_it_begins_anew(lost: MoneyStore) -> None:
    restore, claim = begun(lost)
    lost.client.flushall()
    with pytest.raises(ClaimLost):
        restore.write(claim, [(DAY, Money(1), END)])
    with pytest.raises(ClaimLost):
        finish(restore, claim)
    assert lost.published.has_epoch() is False


@pytest.mark.parametrize(("redis", "ledger", "expected"), [(3, 9, 9), (9, 3, 9), (0, 0, 0)])
def test_entries_are_numbered_on_after_both(
    lost: MoneyStore, redis: int, ledger: int, expected: int
) -> None:
    lost.client.hset(redis_keys.META, "seq", redis)
    _, claim = begun(lost, seq=ledger)
    assert claim.seq == expected
    assert int(lost.client.hincrby(redis_keys.META, "seq", 1)) == expected + 1


def test_entries_come_after_the_position_although_the_clock_is_behind(lost: MoneyStore) -> None:
    seconds, _ = lost.client.time()
    position = f"{(seconds + 3600) * 1000}-4"
    assert trust(lost.client, position=position)
    lost.copies.publish([key_record()])
    assert lost.outbox.read(FIRST_POSITION, count=10) == []
    call = admitted_call("req_1")
    lost.reserve(call)
    lost.meter.settle(call, finished_call(40))
    found = lost.outbox.read(position, count=10)
    assert [one.request_id for one in found if isinstance(one, OutboxEntry)] == ["req_1"]


def test_a_position_that_is_passed_lifts_nothing(lost: MoneyStore) -> None:
    lost.put({"a": "b"}, "900-0")
    lost.outbox.trim("900-0")
    assert trust(lost.client, position="800-0")
    assert lost.client.xinfo_stream(redis_keys.OUTBOX)["last-generated-id"] == "900-0"


def test_what_is_not_booked_yet_keeps_the_counters_untrusted(lost: MoneyStore) -> None:
    lost.put({"a": "b"}, "900-0")
    assert trust(lost.client, position="800-0") is False
    assert lost.published.has_epoch() is False


def test_a_call_that_settles_at_the_last_moment_keeps_them_untrusted(store: MoneyStore) -> None:
    """Else its cost would be in the ledger later, and never in the counters."""
    call = admitted_call(held=100)
    store.reserve(call)
    store.client.hdel(redis_keys.META, "epoch")
    restore, claim = begun(store)

    def changed() -> Iterator[Counter]:
        yield call.accounts[0], Money(0), END
        store.meter.settle(call, finished_call(40))

    assert restore.finish(claim, changed(), epoch="second", position=FIRST_POSITION) is False
    assert store.published.has_epoch() is False
    assert store.counters(call) == [(40, 0)] * 5


def test_what_changed_meanwhile_is_written_with_the_epoch(store: MoneyStore) -> None:
    call = admitted_call(held=100)
    store.reserve(call)
    store.client.hdel(redis_keys.META, "epoch")
    restore, claim = begun(store)
    restore.write(claim, [(account, Money(7), END) for account in call.accounts])
    assert finish(restore, claim, *[(account, Money(9), END) for account in call.accounts])
    assert store.counters(call) == [(9, 100)] * 5


def test_finds_the_counters_of_the_windows_alone(lost: MoneyStore) -> None:
    old = Account(Scope.USER, 1, Window.DAY, "2026-11-01")
    restore, claim = begun(lost)
    assert restore.counted(["2026-11-25", "2026-11"]) == set()
    restore.write(claim, [(account, Money(1), END) for account in (DAY, MONTH, old)])
    assert restore.counted(["2026-11-25", "2026-11"]) == {DAY, MONTH}

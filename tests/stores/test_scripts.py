"""The scripts of the money path, one by one, on each server that we serve."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ai_gateway.domain.call import TALLY_FIELDS, AdmittedCall, PriceStatus, never_sent
from ai_gateway.domain.idempotency import IdempotencyKey
from ai_gateway.domain.limits import BudgetState, Scope, accounts_of, state_of
from ai_gateway.domain.money import Money
from ai_gateway.domain.usage import Usage
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores import redis_keys
from ai_gateway.stores.call_texts import MOST_EXACT
from ai_gateway.stores.meter import (
    CLOSED_RECORD_SECONDS,
    OPEN_RECORD_SECONDS,
    Denied,
    Granted,
    Heartbeat,
    Stale,
)
from ai_gateway.stores.redis_client import translated_errors
from ai_gateway.stores.resets import AccountReset, SpendResets
from tests.money import (
    KEY_ID,
    MOST,
    UNLIMITED,
    UTC_ZONE,
    Invariants,
    MoneyStore,
    admitted_call,
    amount,
    facts_of,
    finished_call,
    floor,
    key_record,
    limits,
    numbers,
    summed_tally,
)

pytestmark = pytest.mark.usefixtures("invariants")

ROOMY = limits(1000, 1000, 1000, 1000, 1000)
REQUESTS, FAILURES = TALLY_FIELDS.index("requests"), TALLY_FIELDS.index("failures")


class TestReserve:
    """One atomic decision over all budgets."""

    def test_holds_in_every_account(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        assert store.reserve(call, ROOMY) == Granted(Money(100))
        assert store.counters(call) == [(0, 100)] * 5

    def test_keeps_what_the_ledger_will_say_of_the_call(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY)
        assert facts_of(store.record(call)) == {
            "user_id": 1,
            "key_id": KEY_ID,
            "provider": "openai",
            "model_requested": "gpt-4o-mini",
            "model": "gpt-4o-mini",
            "operation": "chat",
            "stream": False,
            "price_row": "openai/gpt-4o-mini",
            "price_book": "test",
            "held": 100,
            "floor_rates": None,
            "admitted_at": call.admitted_at.isoformat(),
            "accounts": [account.name for account in call.accounts],
        }

    @pytest.mark.parametrize("index", range(5))
    def test_is_refused_by_the_one_budget_without_room(self, store: MoneyStore, index: int) -> None:
        in_force = [1000] * 5
        in_force[index] = 99
        call = admitted_call(held=100)
        answer = store.reserve(call, limits(*in_force))
        assert answer == Denied(index, Money(99), Money(0), Money(0))
        assert store.counters(call) == [(0, 0)] * 5
        assert store.record(call) == {}

    def test_refusal_names_the_tightest_budget_with_its_figures(self, store: MoneyStore) -> None:
        first, second = admitted_call("req_1", 60), admitted_call("req_2", 30)
        store.reserve(first, ROOMY)
        store.meter.settle(first, finished_call(50))
        store.reserve(second, ROOMY)
        answer = store.reserve(admitted_call("req_3", 100), limits(150, 120, 110, 115, 130))
        assert answer == Denied(2, Money(110), Money(50), Money(30))

    def test_fits_exactly(self, store: MoneyStore) -> None:
        assert store.reserve(admitted_call("req_1", 60), limits(100)) == Granted(Money(60))
        assert store.reserve(admitted_call("req_2", 40), limits(100)) == Granted(Money(40))
        assert isinstance(store.reserve(admitted_call("req_3", 1), limits(100)), Denied)

    @pytest.mark.parametrize(("least", "granted"), [(40, 70), (70, 70)])
    def test_grants_what_is_left_where_that_will_do(
        self, store: MoneyStore, least: int, granted: int
    ) -> None:
        store.reserve(admitted_call("req_1", 30), ROOMY)
        second = admitted_call("req_2", 500)
        assert store.reserve(second, limits(100), least=least) == Granted(Money(granted))
        assert store.counters(second)[0] == (0, 100)
        assert store.record(second)["granted"] == str(granted)

    def test_refuses_what_is_left_where_that_is_too_little(self, store: MoneyStore) -> None:
        store.reserve(admitted_call("req_1", 30), ROOMY)
        second = admitted_call("req_2", 500)
        answer = store.reserve(second, limits(100), least=71)
        assert answer == Denied(0, Money(100), Money(0), Money(30))

    def test_accounts_without_a_limit_count_all_the_same(self, store: MoneyStore) -> None:
        call = admitted_call(held=MOST)
        assert store.reserve(call, UNLIMITED) == Granted(Money(MOST))
        assert store.counters(call) == [(0, MOST)] * 5

    def test_a_limit_of_nothing_refuses_all_but_what_is_free(self, store: MoneyStore) -> None:
        assert isinstance(store.reserve(admitted_call("req_1", 1), limits(0)), Denied)
        free = store.reserve(admitted_call("req_2", 0), limits(0))
        assert free == Granted(Money(0), near=frozenset({Scope.INSTALLATION}))

    def test_nothing_more_is_admitted_above_a_lowered_limit(self, store: MoneyStore) -> None:
        store.reserve(admitted_call("req_1", 100), ROOMY)
        answer = store.reserve(admitted_call("req_2", 0), limits(50))
        assert answer == Denied(0, Money(50), Money(0), Money(100))

    def test_amounts_stay_exact_up_to_the_highest_limit(self, store: MoneyStore) -> None:
        spent = admitted_call("req_1", MOST - 3)
        assert store.reserve(spent, limits(MOST)) == Granted(Money(MOST - 3))
        store.meter.settle(spent, finished_call(MOST - 3))
        near = frozenset({Scope.INSTALLATION})
        assert store.reserve(admitted_call("req_2", 2), limits(MOST)) == Granted(Money(2), near)
        rest = admitted_call("req_3", MOST)
        assert store.reserve(rest, limits(MOST), least=1) == Granted(Money(1), near)
        answer = store.reserve(admitted_call("req_4", 1), limits(MOST))
        assert answer == Denied(0, Money(MOST), Money(MOST - 3), Money(3))
        account = store.client.hgetall(redis_keys.account(rest.accounts[0]))
        assert account == {"spent": str(MOST - 3), "held": "3", "refused": "1"}

    @pytest.mark.parametrize(
        ("spent", "near"),
        [(79, set()), (80, {Scope.USER}), (99, {Scope.USER})],
        ids=["below", "at the warning", "above"],
    )
    def test_a_budget_that_is_near_its_limit_says_so(
        self, store: MoneyStore, spent: int, near: set[Scope]
    ) -> None:
        """The same 80 % as `domain.limits.state_of`."""
        earlier = admitted_call("req_1", spent)
        store.reserve(earlier)
        store.meter.settle(earlier, finished_call(spent))
        in_force = limits(1_000, user_day=100, key_month=200)
        assert store.reserve(admitted_call("req_2", 1), in_force) == Granted(
            Money(1), frozenset(near)
        )
        state = state_of(Money(spent), amount(100), is_refused=False)
        assert (state is not BudgetState.OK) is bool(near)

    def test_a_second_time_is_told_what_the_first_one_was(self, store: MoneyStore) -> None:
        store.reserve(admitted_call("req_1", 30), ROOMY)
        call = admitted_call("req_2", 500)
        asked = store.request(call, limits(100), least=40)
        first = store.meter.reserve(asked)
        before = store.dump()
        assert store.meter.reserve(asked) == first == Granted(Money(70))
        assert store.dump() == before

    def test_a_late_repeat_does_not_open_a_settled_call(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call, ROOMY)
        store.meter.settle(call, finished_call(40))
        before = store.dump()
        assert store.reserve(call, ROOMY) == Granted(Money(100))
        assert store.dump() == before

    def test_an_old_version_of_the_key_is_stale(self, store: MoneyStore) -> None:
        asked = store.request(admitted_call(), ROOMY)
        store.copies.publish([key_record(version=2)])
        before = store.dump()
        assert isinstance(store.meter.reserve(asked), Stale)
        assert store.dump() == before

    def test_limits_of_the_environment_make_a_version_of_their_own(self, store: MoneyStore) -> None:
        asked = store.request(admitted_call(), ROOMY)
        store.copies.publish([key_record(limits=limits(5))])
        assert isinstance(store.meter.reserve(asked), Stale)

    def test_a_key_that_is_not_published_is_stale(self, store: MoneyStore) -> None:
        call = admitted_call(record=key_record("k0000404"))
        assert isinstance(store.meter.reserve(store.request(call, version="1.x")), Stale)

    def test_counters_that_cannot_be_trusted_admit_nothing(self, store: MoneyStore) -> None:
        asked = store.request(admitted_call(), ROOMY)
        store.client.hdel(redis_keys.META, "epoch")
        before = store.dump()
        with pytest.raises(BudgetUnavailable) as caught:
            store.meter.reserve(asked)
        assert caught.value.kind == "cold"
        assert store.dump() == before

    def test_every_account_is_forgotten_at_its_own_moment(self, store: MoneyStore) -> None:
        asked = store.request(admitted_call(), ROOMY)
        store.meter.reserve(asked)
        found = [
            store.client.expiretime(redis_keys.account(account)) for account in asked.call.accounts
        ]
        assert found == [int(moment.timestamp()) for moment in asked.forget_at]

    def test_an_open_record_is_forgotten_after_a_day(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        left = store.client.ttl(redis_keys.call(call.request_id))
        assert OPEN_RECORD_SECONDS - 5 < left <= OPEN_RECORD_SECONDS


class TestRefusedMarks:
    """Whose last decision was a refusal."""

    def test_a_refusal_marks_the_account_that_had_no_room(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, limits(1000, 50))
        assert [c.is_refused for c in store.meter.counters(call.accounts)] == [
            False, True, False, False, False,
        ]  # fmt: skip
        assert store.published.refused() == [call.accounts[1]]

    def test_a_marked_account_is_forgotten_too(self, store: MoneyStore) -> None:
        asked = store.request(admitted_call(held=100), limits(1000, 50))
        store.meter.reserve(asked)
        found = store.client.expiretime(redis_keys.account(asked.call.accounts[1]))
        assert found == int(asked.forget_at[1].timestamp())

    def test_a_success_clears_the_mark(self, store: MoneyStore) -> None:
        store.reserve(admitted_call("req_1", 100), limits(1000, 50))
        call = admitted_call("req_2", 10)
        store.reserve(call, limits(1000, 50))
        assert not any(c.is_refused for c in store.meter.counters(call.accounts))
        assert store.published.refused() == []

    def test_a_success_of_another_user_clears_nothing_of_this_one(self, store: MoneyStore) -> None:
        other = key_record("k0000002", user_id=2, subject_id=2)
        store.copies.publish([other])
        refused = admitted_call("req_1", 100)
        store.reserve(refused, limits(1000, 50))
        store.reserve(admitted_call("req_2", 10, record=other), limits(1000, 50))
        assert store.published.refused() == [refused.accounts[1]]

    def test_what_was_decided_without_a_limit_leaves_no_mark(self, store: MoneyStore) -> None:
        store.reserve(admitted_call(held=MOST), UNLIMITED)
        assert store.published.refused() == []

    def test_a_mark_goes_with_its_account(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, limits(1000, 50))
        store.client.delete(redis_keys.account(call.accounts[1]))
        assert store.published.refused() == []
        assert store.client.exists(redis_keys.REFUSED) == 0


class TestSettle:
    """The hold becomes the true cost."""

    @pytest.mark.parametrize("cost", [0, 1, 99, 100, 101, MOST])
    def test_books_the_cost_in_full(self, store: MoneyStore, cost: int) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY)
        assert store.meter.settle(call, finished_call(cost))
        assert store.counters(call) == [(cost, 0)] * 5
        [row] = store.entries()
        assert (row["cost"], row["total"], row["entry_no"], row["kind"]) == (
            str(cost), str(cost), "1", "call",
        )  # fmt: skip
        assert store.client.zcard(redis_keys.LEASES) == 0

    def test_carries_every_count(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        counts = {name: i for i, name in enumerate(TALLY_FIELDS[4:-1], 10)}
        finished = finished_call(1, usage=Usage(**counts), latency_ms=987_654)
        store.meter.settle(call, finished)
        [row] = store.entries()
        assert numbers(row["tally"]) == (1, 0, 0, 0, *counts.values(), 987_654)

    def test_closed_record_is_forgotten_after_a_quarter_of_an_hour(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        store.meter.settle(call, finished_call(1))
        left = store.client.ttl(redis_keys.call(call.request_id))
        assert CLOSED_RECORD_SECONDS - 5 < left <= CLOSED_RECORD_SECONDS

    @pytest.mark.parametrize("other_cost", [40, 41])
    def test_a_second_time_changes_nothing(self, store: MoneyStore, other_cost: int) -> None:
        call = admitted_call()
        store.reserve(call)
        store.meter.settle(call, finished_call(40))
        before = store.dump()
        assert store.meter.settle(call, finished_call(other_cost))
        assert store.dump() == before

    def test_a_call_that_held_nothing_is_settled(self, store: MoneyStore) -> None:
        call = admitted_call(held=0, price_row="")
        store.reserve(call)
        finished = finished_call(0, price_status=PriceStatus.UNPRICED, price_row="")
        assert store.meter.settle(call, finished)
        assert len(store.entries()) == 1
        assert store.counters(call) == [(0, 0)] * 5

    def test_a_call_that_redis_does_not_know_is_told(self, store: MoneyStore) -> None:
        before = store.dump()
        assert store.meter.settle(admitted_call(), finished_call(40)) is False
        assert store.dump() == before

    def test_an_account_that_is_forgotten_does_not_come_back(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        forgotten = redis_keys.account(call.accounts[1])
        store.client.delete(forgotten)
        assert store.meter.settle(call, finished_call(40))
        assert store.client.exists(forgotten) == 0
        assert store.counters(call)[0] == (40, 0)
        assert len(store.entries()) == 1


class TestExpire:
    """A hold whose worker is gone."""

    def test_charges_the_floor_and_leaves_the_record_open(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY, lost=floor(30, input_tokens=9))
        assert store.expire(call)
        assert store.counters(call) == [(30, 0)] * 5
        record = store.record(call)
        assert (record["open"], record["hold"], record["chg"]) == ("1", "0", "30")
        [row] = store.entries()
        assert (row["cost"], row["total"], row["entry_no"]) == ("30", "30", "1")
        assert numbers(row["tally"])[REQUESTS] == 1

    def test_lapses_only_by_the_clock_of_redis(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        assert store.outbox.lapsed(count=10) == []
        before = store.dump()
        assert store.outbox.expire(call.request_id, datetime.now(UTC)) is False
        assert store.dump() == before
        store.let_lapse(call)
        assert store.outbox.lapsed(count=10) == [call.request_id]

    def test_oldest_leases_come_first_and_no_more_than_asked_for(self, store: MoneyStore) -> None:
        calls = [admitted_call(f"req_{number}") for number in range(3)]
        for call in calls:
            store.reserve(call)
        store.client.zadd(redis_keys.LEASES, {"req_2": 1, "req_0": 2, "req_1": 3})
        assert store.outbox.lapsed(count=2) == ["req_2", "req_0"]

    def test_a_second_time_changes_nothing(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call, lost=floor(30))
        assert store.expire(call)
        before = store.dump()
        assert store.outbox.expire(call.request_id, datetime.now(UTC)) is False
        assert store.dump() == before

    def test_a_settled_call_is_let_be(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        store.meter.settle(call, finished_call(40))
        before = store.dump()
        assert store.outbox.expire(call.request_id, datetime.now(UTC)) is False
        assert store.dump() == before

    def test_a_lease_without_a_record_is_dropped(self, store: MoneyStore) -> None:
        store.client.zadd(redis_keys.LEASES, {"req_gone": 1})
        assert store.outbox.expire("req_gone", datetime.now(UTC)) is False
        assert store.outbox.lapsed(count=10) == []

    def test_a_call_that_held_nothing_lapses_too(self, store: MoneyStore) -> None:
        call = admitted_call(held=0, price_row="")
        store.reserve(call, lost=floor(0, unpriced=1))
        assert store.expire(call)
        assert len(store.entries()) == 1
        assert store.outbox.lapsed(count=10) == []

    def test_an_account_that_is_forgotten_does_not_come_back(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call, lost=floor(30))
        forgotten = redis_keys.account(call.accounts[0])
        store.client.delete(forgotten)
        assert store.expire(call)
        assert store.client.exists(forgotten) == 0

    @pytest.mark.parametrize(("cost", "difference"), [(80, "50"), (30, "0"), (10, "-20")])
    def test_a_late_settle_books_the_difference(
        self, store: MoneyStore, cost: int, difference: str
    ) -> None:
        call = admitted_call(held=100)
        store.reserve(call, lost=floor(30, input_tokens=90, output_tokens=3))
        store.expire(call)
        assert store.meter.settle(call, finished_call(cost))
        assert store.counters(call) == [(cost, 0)] * 5
        first, second = store.entries()
        assert (second["cost"], second["total"], second["entry_no"]) == (
            difference, str(cost), "2",
        )  # fmt: skip
        tally = summed_tally([first["tally"], second["tally"]])
        assert tally == numbers(store.record(call)["tally"])
        assert tally[REQUESTS] == 1
        assert tally[FAILURES] == 0


class TestHeartbeat:
    """A call that runs."""

    def test_renews_the_lease_and_stores_how_far_it_is(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        store.let_lapse(call)
        assert store.meter.heartbeat([(call, floor(20, output_tokens=4))]) == [Heartbeat.OK]
        assert store.outbox.lapsed(count=10) == []
        assert store.expire(call)
        assert store.counters(call)[0] == (20, 0)
        [row] = store.entries()
        assert numbers(row["tally"])[TALLY_FIELDS.index("output_tokens")] == 4

    def test_a_second_time_changes_nothing_but_the_lease(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        store.meter.heartbeat([(call, floor(20))])
        before = store.dump(with_times=False)
        store.meter.heartbeat([(call, floor(20))])
        assert store.dump(with_times=False) == before

    def test_tells_that_the_key_was_revoked_and_keeps_the_hold(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        store.let_lapse(call)
        store.copies.publish([key_record(status=KeyStatus.REVOKED, version=2)])
        assert store.meter.heartbeat([(call, floor())]) == [Heartbeat.REVOKED]
        assert store.outbox.lapsed(count=10) == []

    def test_tells_that_the_hold_lapsed(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        store.expire(call)
        before = store.dump()
        assert store.meter.heartbeat([(call, floor(20))]) == [Heartbeat.LAPSED]
        assert store.dump() == before

    def test_tells_that_the_call_is_closed(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        store.meter.settle(call, finished_call(1))
        before = store.dump()
        assert store.meter.heartbeat([(call, floor(20))]) == [Heartbeat.CLOSED]
        assert store.dump() == before

    def test_tells_that_the_record_is_gone(self, store: MoneyStore) -> None:
        assert store.meter.heartbeat([(admitted_call(), floor())]) == [Heartbeat.GONE]

    def test_answers_in_the_order_of_the_calls(self, store: MoneyStore) -> None:
        calls = [admitted_call(f"req_{number}") for number in range(4)]
        for call in calls:
            store.reserve(call)
        store.expire(calls[1])
        store.meter.settle(calls[2], finished_call(1))
        told = store.meter.heartbeat([(call, floor()) for call in calls])
        assert told == ["OK", "LAPSED", "CLOSED", "OK"]


class TestRehold:
    """A worker that was frozen and wants to go on."""

    def test_holds_the_rest_of_what_was_granted(
        self, store: MoneyStore, invariants: Invariants
    ) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY, lost=floor(30))
        store.expire(call)
        invariants.check()
        assert store.meter.rehold(call, limits(100))
        assert store.counters(call) == [(30, 70)] * 5
        assert store.meter.heartbeat([(call, floor(50))]) == [Heartbeat.OK]
        invariants.check()
        store.meter.settle(call, finished_call(60))
        assert store.counters(call) == [(60, 0)] * 5

    def test_needs_room(self, store: MoneyStore) -> None:
        call = admitted_call("req_1", 100)
        store.reserve(call, ROOMY, lost=floor(30))
        store.expire(call)
        store.reserve(admitted_call("req_2", 50), ROOMY)
        before = store.dump()
        assert store.meter.rehold(call, limits(149)) is False
        assert store.dump() == before
        assert store.meter.rehold(call, limits(150)) is True

    def test_a_second_time_changes_nothing(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY)
        store.expire(call)
        store.meter.rehold(call, ROOMY)
        before = store.dump()
        assert store.meter.rehold(call, ROOMY)
        assert store.dump() == before

    def test_a_hold_that_has_not_lapsed_is_let_be(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY)
        before = store.dump()
        assert store.meter.rehold(call, limits(0))
        assert store.dump() == before

    def test_a_closed_call_cannot_be_held_again(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        store.meter.settle(call, finished_call(1))
        assert store.meter.rehold(call, UNLIMITED) is False
        assert store.meter.rehold(admitted_call("req_unknown"), UNLIMITED) is False

    @pytest.mark.parametrize("lost", [30, 100, 130])
    def test_a_call_that_lapses_twice_counts_once(
        self, store: MoneyStore, invariants: Invariants, lost: int
    ) -> None:
        call = admitted_call(held=100)
        store.reserve(call, lost=floor(lost, input_tokens=9))
        store.expire(call)
        store.meter.rehold(call, UNLIMITED)
        invariants.check()
        store.meter.heartbeat([(call, floor(lost + 5, input_tokens=9, output_tokens=4))])
        assert store.expire(call)
        invariants.check()
        store.meter.settle(call, finished_call(77))
        rows = store.entries()
        assert [int(row["cost"]) for row in rows] == [lost, 5, 77 - lost - 5]
        tally = summed_tally(row["tally"] for row in rows)
        assert tally == numbers(store.record(call)["tally"])
        assert tally[REQUESTS] == 1

    def test_an_account_that_is_forgotten_does_not_come_back(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY)
        store.expire(call)
        forgotten = redis_keys.account(call.accounts[3])
        store.client.delete(forgotten)
        assert store.meter.rehold(call, ROOMY)
        assert store.client.exists(forgotten) == 0


class TestWithdraw:
    """The reply to a reserve was lost, and the call was not sent."""

    def test_the_hold_is_given_back_and_nothing_is_booked(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY)
        store.meter.withdraw(call)
        assert store.counters(call) == [(0, 0)] * 5
        assert store.entries() == []
        assert store.client.zcard(redis_keys.LEASES) == 0

    def test_a_second_time_changes_nothing(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY)
        store.meter.withdraw(call)
        before = store.dump()
        store.meter.withdraw(call)
        assert store.dump() == before

    def test_a_reserve_that_runs_later_holds_nothing(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.meter.withdraw(call)
        assert store.reserve(call, ROOMY) == Granted(Money(0))
        assert store.counters(call) == [(0, 0)] * 5
        assert store.meter.heartbeat([(call, floor())]) == [Heartbeat.CLOSED]
        assert store.meter.rehold(call, ROOMY) is False

    def test_a_settled_call_is_let_be(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.reserve(call)
        store.meter.settle(call, finished_call(40))
        before = store.dump()
        store.meter.withdraw(call)
        assert store.dump() == before

    def test_an_account_that_is_forgotten_does_not_come_back(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY)
        forgotten = redis_keys.account(call.accounts[2])
        store.client.delete(forgotten)
        store.meter.withdraw(call)
        assert store.client.exists(forgotten) == 0

    def test_a_call_that_lapsed_meanwhile_is_told_apart(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY, lost=floor(30))
        assert store.expire(call)
        before = store.dump()
        assert store.meter.withdraw(call) is False
        assert store.dump() == before

    def test_a_call_that_lapsed_and_was_never_sent_costs_nothing(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY, lost=floor(30))
        assert store.expire(call)
        assert store.meter.settle(call, never_sent(call, datetime.now(UTC)))
        assert store.counters(call) == [(0, 0)] * 5
        assert [entry["cost"] for entry in store.entries()] == ["30", "-30"]

    def test_a_lapsed_call_that_the_ledger_has_whole_is_closed(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, ROOMY, lost=floor(30))
        assert store.expire(call)
        assert store.meter.withdraw(call, in_ledger=finished_call(40))
        assert store.record(call)["open"] == "0"
        assert len(store.entries()) == 1
        store.client.hset(redis_keys.call(call.request_id), mapping={"chg": "30", "n": "1"})

    def test_the_record_is_forgotten_like_that_of_any_closed_call(self, store: MoneyStore) -> None:
        call = admitted_call()
        store.meter.withdraw(call)
        left = store.client.ttl(redis_keys.call(call.request_id))
        assert CLOSED_RECORD_SECONDS - 5 < left <= CLOSED_RECORD_SECONDS


class TestBelowNothing:
    """A reset took what a late difference takes back."""

    def test_the_counter_stops_at_nothing_and_the_ledger_is_told(self, store: MoneyStore) -> None:
        call = admitted_call(held=100)
        store.reserve(call, lost=floor(30))
        store.expire(call)
        wanted = [AccountReset("reset_1", call.accounts[1])]
        SpendResets(store.client).reset(wanted, datetime.now(UTC))
        store.meter.settle(call, finished_call(10))
        assert store.counters(call) == [(10, 0), (0, 0), (10, 0), (10, 0), (10, 0)]
        *_, settled, adjusted = store.entries()
        assert (settled["kind"], settled["cost"]) == ("call", "-20")
        assert (adjusted["kind"], adjusted["cost"]) == ("adjustment", "20")
        assert facts_of(adjusted)["accounts"] == [call.accounts[1].name]


Operation = Callable[[MoneyStore, AdmittedCall], object]

OPERATIONS: dict[str, Operation] = {
    "reserve": lambda store, call: store.reserve(call, ROOMY, lost=floor(30)),
    "reserve_once": lambda store, call: store.reserve(
        call, ROOMY, lost=floor(30), idempotency_key=IdempotencyKey("a" * 32, "f" * 32)
    ),
    "heartbeat": lambda store, call: store.meter.heartbeat([(call, floor(20))]),
    "lapse": lambda store, call: store.let_lapse(call),
    "expire": lambda store, call: store.outbox.expire(call.request_id, datetime.now(UTC)),
    "rehold": lambda store, call: store.meter.rehold(call, ROOMY),
    "settle": lambda store, call: store.meter.settle(call, finished_call(40)),
    "withdraw": lambda store, call: store.meter.withdraw(call),
    "publish": lambda store, _: store.copies.publish([key_record()]),
}

LIVES = (
    "reserve settle",
    "reserve heartbeat settle",
    "reserve lapse expire settle",
    "reserve heartbeat lapse expire rehold settle",
    "reserve lapse expire rehold lapse expire settle",
    "reserve lapse heartbeat publish settle",
    "reserve settle withdraw",
    "reserve_once settle withdraw",
    "reserve_once lapse expire rehold settle",
)


@pytest.mark.parametrize("life", LIVES)
def test_every_operation_may_be_repeated_at_once(
    store: MoneyStore, invariants: Invariants, life: str
) -> None:
    call = admitted_call()
    for step in life.split():
        OPERATIONS[step](store, call)
        invariants.check()
        # The lease of a call is renewed by each repeat of its heartbeat, and nothing else is.
        before = store.dump(with_times=step != "heartbeat")
        if step != "lapse":
            OPERATIONS[step](store, call)
        assert store.dump(with_times=step != "heartbeat") == before


@pytest.mark.parametrize("life", LIVES)
def test_every_operation_may_be_repeated_after_the_end(store: MoneyStore, life: str) -> None:
    call = admitted_call()
    for step in life.split():
        OPERATIONS[step](store, call)
    before = store.dump()
    for step in life.replace("lapse", "").split():
        OPERATIONS[step](store, call)
        assert store.dump() == before


@pytest.mark.parametrize("life", LIVES)
def test_scripts_that_were_flushed_are_loaded_again(store: MoneyStore, life: str) -> None:
    call = admitted_call()
    for step in life.split():
        store.client.script_flush()
        OPERATIONS[step](store, call)
    assert store.counters(call) == [(40, 0)] * 5


class TestAtTheMemoryLimit:
    """New work is refused; money that was spent lands."""

    @pytest.fixture
    def full(self, store: MoneyStore) -> MoneyStore:
        store.reserve(admitted_call("req_1", 100), lost=floor(30))
        second = admitted_call("req_2", 100)
        store.reserve(second, lost=floor(30))
        store.let_lapse(second)
        store.client.config_set("maxmemory", 1)
        return store

    @pytest.fixture(autouse=True)
    def emptied(self, store: MoneyStore) -> object:
        yield
        store.client.config_set("maxmemory", "512mb")

    def test_a_new_call_is_refused(self, full: MoneyStore) -> None:
        before = full.dump()
        with pytest.raises(BudgetUnavailable) as caught:
            full.reserve(admitted_call("req_3"))
        assert caught.value.kind == "oom"
        assert full.dump() == before

    def test_running_calls_are_kept_alive_and_settled(self, full: MoneyStore) -> None:
        first, second = admitted_call("req_1", 100), admitted_call("req_2", 100)
        assert full.meter.heartbeat([(first, floor(20))]) == [Heartbeat.OK]
        assert full.meter.settle(first, finished_call(80))
        assert full.outbox.expire(second.request_id, datetime.now(UTC))
        assert full.meter.settle(second, finished_call(10))
        assert full.counters(first) == [(90, 0)] * 5
        assert len(full.entries()) == 3


@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "oom"),
        ("MISCONF Redis is configured to save RDB snapshots", "misconf"),
        ("READONLY You can't write against a read only replica.", "readonly"),
        ("LOADING Redis is loading the dataset in memory", "loading"),
        ("NOSCRIPT No matching script.", "noscript"),
        ("WRONGTYPE Operation against a key", "other"),
    ],
)
def test_refusals_of_the_server_are_told_apart(
    store: MoneyStore, refusal: str, kind: str, *, in_pipeline: bool
) -> None:
    script = f'return redis.error_reply("{refusal}")'
    pipeline = store.client.pipeline(transaction=False).eval(script, 0)
    with pytest.raises(BudgetUnavailable) as caught, translated_errors():
        _ = pipeline.execute() if in_pipeline else store.client.eval(script, 0)
    assert caught.value.kind == kind


def test_a_call_keeps_the_windows_of_its_admission(store: MoneyStore) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    call = admitted_call("req_1", 100, admitted_at=yesterday)
    store.reserve(call, ROOMY)
    store.meter.settle(call, finished_call(60))
    today = accounts_of(key_record().subjects, datetime.now(UTC), UTC_ZONE)
    assert store.counters(call)[1] == (60, 0)
    assert store.meter.counters([today[1]])[0].spent == 0


@pytest.mark.parametrize("mad", [2**53, 2**63, 10**22])
def test_what_a_mad_provider_tells_is_booked_as_the_most_that_stays_exact(
    store: MoneyStore, mad: int
) -> None:
    call = admitted_call()
    store.reserve(call, lost=floor(1, output_tokens=1))
    store.expire(call)
    assert store.meter.settle(call, finished_call(mad, usage=Usage(output_tokens=mad)))
    assert store.counters(call) == [(MOST_EXACT, 0)] * 5
    second = store.entries()[1]
    assert int(second["cost"]) == MOST_EXACT - 1
    assert numbers(second["tally"])[TALLY_FIELDS.index("output_tokens")] == MOST_EXACT - 1

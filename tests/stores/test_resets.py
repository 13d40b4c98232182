"""A reset moves a counter and writes an adjustment; the ledger's costs stay what they were."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.resets import AccountReset, SpendResets
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.tables import AccountTotal, LedgerEntry
from tests.money import UTC_ZONE, MoneyStore, admitted_call, finished_call, floor, limits
from tests.trusting import trust

USER_DAY, USER_MONTH = 1, 2
"""Where the accounts of the user stand among those of a call."""


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def resets(store: MoneyStore) -> SpendResets:
    return SpendResets(store.client)


def spend(store: MoneyStore, name: str, cost: int) -> tuple[Account, ...]:
    call = admitted_call(name)
    store.reserve(call)
    store.meter.settle(call, finished_call(cost))
    return call.accounts


def spent(store: MoneyStore, accounts: tuple[Account, ...]) -> list[int]:
    return [counter.spent for counter in store.meter.counters(accounts)]


def book(store: MoneyStore, engine: Engine) -> Ledger:
    ledger = Ledger(engine, UTC_ZONE)
    position = ledger.position()
    batch = store.outbox.read(position, count=500)
    if batch:
        assert ledger.book(batch, after=position, now=now()) == 0
    return ledger


def reset(resets: SpendResets, account: Account, name: str = "r1") -> int:
    (taken,) = resets.reset([AccountReset(name, account)], now())
    return taken


def test_only_the_named_account_starts_afresh(store: MoneyStore, resets: SpendResets) -> None:
    accounts = spend(store, "req_1", 40)
    assert reset(resets, accounts[USER_DAY]) == Money(40)
    assert spent(store, accounts) == [40, 0, 40, 40, 40]


def test_repeat_of_a_reset_changes_nothing(store: MoneyStore, resets: SpendResets) -> None:
    accounts = spend(store, "req_1", 40)
    reset(resets, accounts[USER_DAY])
    spend(store, "req_2", 7)
    before = (store.entries(), spent(store, accounts))
    assert reset(resets, accounts[USER_DAY]) == Money(40)
    assert (store.entries(), spent(store, accounts)) == before


def test_reset_of_an_account_without_spend_writes_nothing(
    store: MoneyStore, resets: SpendResets
) -> None:
    assert reset(resets, admitted_call("req_1").accounts[USER_DAY]) == 0
    assert store.entries() == []


def test_reset_lets_a_refused_user_call_again_and_holds_stay(
    store: MoneyStore, resets: SpendResets
) -> None:
    accounts = spend(store, "req_1", 90)
    running = admitted_call("req_running", held=5)
    in_force = limits(user_day=100)
    store.reserve(running, in_force)
    store.reserve(admitted_call("req_2"), in_force)
    assert store.meter.counters(accounts)[USER_DAY].is_refused
    reset(resets, accounts[USER_DAY])
    counter = store.meter.counters(accounts)[USER_DAY]
    assert (counter.spent, counter.held, counter.is_refused) == (0, 5, False)
    assert store.published.refused() == []


def test_ledger_has_the_adjustment_and_its_costs_are_unchanged(
    store: MoneyStore, resets: SpendResets, engine: Engine
) -> None:
    accounts = spend(store, "req_1", 40)
    reset(resets, accounts[USER_DAY])
    ledger = book(store, engine)
    assert ledger.total_cost() == Money(40)
    with Session(engine) as session:
        kinds = list(session.execute(select(LedgerEntry.kind, LedgerEntry.cost_nano_usd)))
        hours = list(session.scalars(select(UsageHour.cost_nano_usd)))
        day = session.get(AccountTotal, ("user", 1, accounts[USER_DAY].window_id))
    assert sorted(map(tuple, kinds)) == [("adjustment", -40), ("call", 40)]
    assert hours == [40]
    assert day is not None
    assert day.spent_nano_usd == 0


def test_late_correction_after_a_reset_does_not_take_a_counter_below_zero(
    store: MoneyStore, resets: SpendResets, engine: Engine
) -> None:
    call = admitted_call("req_frozen")
    store.reserve(call, lost=floor(60, input_tokens=9))
    assert store.expire(call)
    reset(resets, call.accounts[USER_DAY])
    store.meter.settle(call, finished_call(40))
    assert spent(store, call.accounts) == [40, 0, 40, 40, 40]
    ledger = book(store, engine)
    assert ledger.total_cost() == Money(40)
    totals = dict(ledger.totals.spent([call.accounts[USER_DAY].window_id]))
    assert totals[call.accounts[USER_DAY]] == 0
    month = dict(ledger.totals.spent([call.accounts[USER_MONTH].window_id]))
    assert month[call.accounts[USER_MONTH]] == 40


def test_many_accounts_are_reset_in_one_round_trip(store: MoneyStore, resets: SpendResets) -> None:
    accounts = spend(store, "req_1", 40)
    wanted = [AccountReset(f"r{place}", accounts[place]) for place in (USER_DAY, USER_MONTH)]
    assert resets.reset(wanted, now()) == [40, 40]
    assert spent(store, accounts) == [40, 0, 0, 40, 40]
    assert resets.reset([], now()) == []


def test_reset_of_counters_that_nobody_restored_is_refused_and_forgotten(
    store: MoneyStore, resets: SpendResets
) -> None:
    accounts = spend(store, "req_1", 40)
    store.published.forget_epoch()
    before = store.stream()
    with pytest.raises(BudgetUnavailable) as refused:
        reset(resets, accounts[USER_DAY])
    assert refused.value.kind == "cold"
    assert store.stream() == before
    assert spent(store, accounts) == [40, 40, 40, 40, 40]
    assert trust(store.client, position=list(before)[-1], seq=9)
    assert reset(resets, accounts[USER_DAY]) == 40


def test_reset_while_redis_is_away_is_refused() -> None:
    resets = SpendResets(connect("redis://127.0.0.1:1"))
    with pytest.raises(BudgetUnavailable):
        reset(resets, admitted_call("req_1").accounts[USER_DAY])

"""Many counters at once, and only where they can be trusted."""

import pytest

from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.meter import Counters
from ai_gateway.stores.redis_client import connect
from tests.money import MoneyStore, admitted_call, finished_call, limits


def test_they_are_those_that_enforcement_has(store: MoneyStore) -> None:
    call = admitted_call("req_1", held=50)
    store.reserve(call)
    store.meter.settle(call, finished_call(40))
    store.reserve(admitted_call("req_2", held=7))
    in_force = limits(user_day=60)
    store.reserve(admitted_call("req_3", held=50), in_force)
    found = LiveCounters(store.client).read(call.accounts)
    assert list(found.values()) == store.meter.counters(call.accounts)
    assert found[call.accounts[1]] == Counters(40, 7, is_refused=True)  # type: ignore[arg-type]  # plain numbers
    assert LiveCounters(store.client).read([]) == {}


def test_what_nobody_restored_is_not_nothing(store: MoneyStore) -> None:
    store.published.forget_epoch()
    with pytest.raises(BudgetUnavailable) as refused:
        LiveCounters(store.client).read(admitted_call("req_1").accounts)
    assert refused.value.kind == "cold"


def test_a_redis_that_is_away_is_said_to_be() -> None:
    with pytest.raises(BudgetUnavailable):
        LiveCounters(connect("redis://127.0.0.1:1")).read([])

"""Who got which response, as Redis remembers it."""

import pytest

from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.response_owners import KEPT_SECONDS, Owner, ResponseOwners
from tests.money import MoneyStore

OWNER = Owner(7, "lab")


def test_owner_is_found_again(store: MoneyStore) -> None:
    owners = ResponseOwners(store.client)
    owners.remember("resp_1", OWNER)
    assert owners.find("resp_1") == OWNER
    assert owners.find("resp_2") is None


def test_owner_is_forgotten_after_thirty_days(store: MoneyStore) -> None:
    ResponseOwners(store.client).remember("resp_1", OWNER)
    left = store.client.ttl(redis_keys.response("resp_1"))
    assert KEPT_SECONDS - 60 < int(left) <= KEPT_SECONDS == 2_592_000


def test_nothing_is_known_while_redis_is_away() -> None:
    owners = ResponseOwners(connect("redis://127.0.0.1:1"))
    with pytest.raises(BudgetUnavailable):
        owners.find("resp_1")
    with pytest.raises(BudgetUnavailable):
        owners.remember("resp_1", OWNER)

"""What is asked for twice is done once."""

from ai_gateway.stores.once import KNOWN_SECONDS, Once
from tests.money import MoneyStore


def test_only_the_first_is_first(store: MoneyStore) -> None:
    once = Once(store.client)
    assert [once.first("a"), once.first("a"), once.first("b")] == [True, False, True]


def test_a_mark_is_forgotten_in_the_end(store: MoneyStore) -> None:
    Once(store.client).first("a")
    (name,) = [name for name in store.names("") if name.endswith(":once:a")]
    assert 0 < store.client.ttl(name) <= KNOWN_SECONDS

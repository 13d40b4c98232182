"""How often a log-in may fail: in Redis for all workers, in the process while Redis is away."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ai_gateway.stores import log_in_limits, redis_keys
from ai_gateway.stores.log_in_limits import LogInLimits, LogInRules
from ai_gateway.stores.redis_client import connect
from tests.money import MoneyStore
from tests.redis_servers import RedisServer, running_redis
from tests.running import wait_for

Make = Callable[..., LogInLimits]
NOWHERE = "redis://127.0.0.1:1"
RULES = LogInRules()


@pytest.fixture(params=["redis", "process"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes limits that count in the one place or in the other."""
    if request.param == "process":
        with connect(NOWHERE) as away:
            yield lambda rules=RULES: LogInLimits(away, rules)
        return
    store: MoneyStore = request.getfixturevalue("valkey")
    yield lambda rules=RULES: LogInLimits(store.client, rules)


def fail(
    limits: LogInLimits, times: int, username: str = "ann", address: str = "192.0.2.1"
) -> None:
    assert [limits.take(username, address) for _ in range(times)] == [None] * times


def test_the_sixth_failure_of_a_user_from_one_address_is_not_tried(make: Make) -> None:
    limits = make()
    fail(limits, 5)
    wait = limits.take("ann", "192.0.2.1")
    assert wait is not None
    assert wait.is_first
    assert 295 <= wait.seconds <= 300
    again = limits.take("ann", "192.0.2.1")
    assert again is not None
    assert not again.is_first


def test_others_from_there_and_the_user_from_elsewhere_may_still_try(make: Make) -> None:
    limits = make()
    fail(limits, 5)
    assert limits.take("ann", "192.0.2.1") is not None
    assert limits.take("ben", "192.0.2.1") is None
    assert limits.take("ann", "192.0.2.2") is None


def test_one_address_fails_thirty_times_over_all_users(make: Make) -> None:
    limits = make()
    for number in range(30):
        fail(limits, 1, f"user{number}")
    wait = limits.take("somebody else", "192.0.2.1")
    assert wait is not None
    assert limits.take("somebody else", "192.0.2.2") is None


def test_refused_attempts_do_not_fill_the_address(make: Make) -> None:
    limits = make()
    fail(limits, 5)
    for _ in range(100):
        assert limits.take("ann", "192.0.2.1") is not None
    fail(limits, 5, "ben")


def test_a_right_password_forgets_the_failures_and_counts_for_nothing(make: Make) -> None:
    limits = make()
    for _ in range(40):
        fail(limits, 1)
        limits.give_back("ann", "192.0.2.1")
    fail(limits, 5)


def test_a_user_attacked_from_everywhere_waits_longer_each_time_and_never_for_good(
    make: Make,
) -> None:
    limits = make(LogInRules(per_user=10, longest_pause_seconds=60))
    for number in range(10):
        fail(limits, 1, address=f"192.0.2.{number}")
    fail(limits, 1, address="198.51.100.1")
    pauses: list[int] = []
    deadline = time.monotonic() + 10
    attempts = 0
    while len(pauses) < 2 and time.monotonic() < deadline:
        wait = limits.take("ann", f"198.51.100.{2 + len(pauses)}")
        if wait is None:
            attempts += 1
        elif wait.is_first:
            pauses.append(wait.seconds)
        time.sleep(0.05)
    assert pauses == [1, 2]
    assert attempts == 1


def test_the_longest_pause_is_the_rule(make: Make) -> None:
    limits = make(LogInRules(per_user=0, longest_pause_seconds=3, per_user_and_address=1000))
    fail(limits, 1)
    storage = limits._memory if limits._redis_again_at else limits._redis
    storage.incr(f"failures:{log_in_limits._digest('ben')}", 60, amount=500)
    fail(limits, 1, "ben")
    wait = limits.take("ben", "192.0.2.9")
    assert wait is not None
    assert wait.seconds <= 3


def test_a_window_that_is_over_lets_in_again(make: Make) -> None:
    limits = make(LogInRules(window_seconds=1, per_user_and_address=1))
    fail(limits, 1)
    assert limits.take("ann", "192.0.2.1") is not None
    wait_for(lambda: limits.take("ann", "192.0.2.1") is None, "the window is over", seconds=10)


def test_attempts_at_the_same_moment_get_no_more_guesses(valkey: MoneyStore) -> None:
    limits = LogInLimits(valkey.client, RULES)
    with ThreadPoolExecutor(20) as pool:
        waits = list(pool.map(lambda _: limits.take("ann", "192.0.2.1"), range(60)))
    assert waits.count(None) == 5


def test_all_workers_count_together(valkey: MoneyStore) -> None:
    first, second = LogInLimits(valkey.client, RULES), LogInLimits(valkey.client, RULES)
    fail(first, 3)
    fail(second, 2)
    assert first.take("ann", "192.0.2.1") is not None


def test_every_key_in_redis_has_our_prefix_an_expiry_and_no_name(valkey: MoneyStore) -> None:
    before = set(valkey.names("*"))
    limits = LogInLimits(valkey.client, LogInRules(per_user=0))
    limits.take("my secret password", "192.0.2.1")
    made = set(valkey.names("*")) - before
    assert len(made) == 4
    for name in made:
        assert name.startswith(redis_keys.LOG_INS)
        assert "secret" not in name
        assert valkey.client.ttl(name) > 0


def test_neighbours_in_one_ipv6_network_are_one_address(make: Make) -> None:
    limits = make()
    fail(limits, 5, address="2001:db8::1")
    assert limits.take("ann", "2001:db8::ffff:2") is not None
    assert limits.take("ann", "2001:db8:0:1::1") is None


def test_an_attempt_from_nowhere_known_is_counted_too(make: Make) -> None:
    limits = make()
    fail(limits, 5, address="")
    assert limits.take("ann", "") is not None


def test_redis_that_hangs_costs_less_than_a_second_and_is_then_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
        with connect(url, timeout_seconds=0.3) as client:
            limits = LogInLimits(client, RULES)
            started = time.monotonic()
            fail(limits, 5)
            assert limits.take("ann", "192.0.2.1") is not None
            assert time.monotonic() - started < 0.9


def test_redis_is_asked_again_after_a_while() -> None:
    with running_redis() as server:
        assert counts_in_redis_after_a_pause(server)


def counts_in_redis_after_a_pause(server: RedisServer) -> bool:
    with connect(server.url) as client:
        limits = LogInLimits(client, RULES)
        server.stop()
        fail(limits, 5)
        server.start()
        assert limits.take("ann", "192.0.2.1") is not None
        limits._redis_again_at = time.monotonic()
        fail(limits, 1)
        return bool(client.keys(f"{redis_keys.LOG_INS}*"))

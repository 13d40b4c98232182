"""Percentiles, CPU per call, medians over rounds."""

import pytest

from bench.figures import (
    Calls,
    Events,
    FirstEvent,
    Times,
    cost,
    median_calls,
    median_cost,
    median_events,
    median_first_events,
    percentile,
    times,
)


def made(server: str, seconds: float, *, connections: int = 1) -> Calls:
    spent = cost({"worker": seconds}, 1_000_000)
    return Calls(server, connections, 10, 1, spent, seconds, Times(seconds, 2, 3))


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        (range(1, 101), 0.5, 50),
        (range(1, 101), 0.95, 95),
        (range(1, 101), 0.99, 99),
        (range(1, 101), 1, 100),
        (range(1, 101), 0, 1),
        ([7], 0.99, 7),
        ([1, 2, 3], 0.5, 2),
    ],
)
def test_percentile_is_a_value_that_was_seen(
    values: range | list[int], share: float, expected: int
) -> None:
    assert percentile(values, share) == expected


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_times_are_in_milliseconds_in_whatever_order_they_came() -> None:
    assert times([3000, 1000, 2000, 4000]) == Times(2, 4, 4)


def test_cost_is_shared_among_the_calls_and_roles_add_up() -> None:
    spent = cost({"worker": 1.0, "valkey": 0.5}, 2)
    assert spent.by_role == {"worker": 500_000, "valkey": 250_000}
    assert (spent.whole, spent.least, spent.most) == (750_000,) * 3


def test_cost_of_several_rounds_is_the_median_with_the_cheapest_and_the_dearest() -> None:
    spent = median_cost([cost({"a": seconds}, 1_000_000) for seconds in (30.0, 10.0, 20.0)])
    assert (spent.by_role, spent.whole, spent.least, spent.most) == ({"a": 20}, 20, 10, 30)


def test_calls_are_summed_up_for_each_server_and_load() -> None:
    rounds = [made("ours", seconds) for seconds in (30, 10, 20)]
    one, many = median_calls([*rounds, made("ours", 7, connections=32)])
    assert (one.cpu_us.whole, one.calls_per_second, one.ms.p50) == (20, 20, 20)
    assert (one.calls, one.failed) == (30, 3)
    assert (many.connections, many.cpu_us.whole) == (32, 7)


def test_events_are_summed_up_for_each_server_and_load() -> None:
    rounds = [
        Events("ours", load, 10, cost({"worker": 1.0}, 10), rate)
        for load, rate in (("a", 1.0), ("b", 5.0), ("a", 3.0))
    ]
    first, second = median_events(rounds)
    assert (first.load, first.events, first.events_per_second) == ("a", 20, 2)
    assert (second.load, second.events_per_second) == ("b", 5)


def test_first_events_are_summed_up_for_each_server() -> None:
    (found,) = median_first_events(FirstEvent("ours", 5, Times(p50, 9, 9)) for p50 in (1, 2, 6))
    assert found == FirstEvent("ours", 15, Times(2, 9, 9))

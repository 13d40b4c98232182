"""Percentiles, CPU per call, medians over rounds, and the ratio."""

import pytest

from bench.figures import Figures, Phase, figures_of, percentile, ratio, summary


def made(server: str, cpu_us_sum: float, *, connections: int = 1) -> Figures:
    return Figures(
        server=server,
        connections=connections,
        calls=10,
        cpu_us={"worker": cpu_us_sum},
        cpu_us_sum=cpu_us_sum,
        calls_per_second=cpu_us_sum,
        p50_ms=1.0,
        p95_ms=2.0,
        p99_ms=3.0,
    )


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


def test_figures_are_per_call() -> None:
    figures = figures_of(
        Phase("ours", 2, seconds=0.5, latencies_us=[3000, 1000, 2000, 4000], cpu_seconds={"a": 2.0})
    )
    assert figures.calls == 4
    assert figures.calls_per_second == 8
    assert figures.cpu_us == {"a": 500_000}
    assert (figures.p50_ms, figures.p99_ms) == (2, 4)


def test_roles_add_up_to_the_sum() -> None:
    phase = Phase("ours", 1, 1.0, [1, 1], {"worker": 1.0, "valkey": 0.5})
    assert figures_of(phase).cpu_us_sum == 750_000


def test_summary_is_the_median_of_each_server_and_load() -> None:
    rounds = [made("ours", cost) for cost in (30, 10, 20)] + [made("ours", 7, connections=32)]
    one, many = summary(rounds)
    assert (one.cpu_us_sum, one.cpu_us["worker"], one.calls) == (20, 20, 30)
    assert (many.connections, many.cpu_us_sum) == (32, 7)


def test_ratio_is_in_cpu_time() -> None:
    assert ratio(made("ours", 300), made("nginx", 20)) == 15

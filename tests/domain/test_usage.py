"""Counts and their parts: cut apart without loss, and made consistent without a credit."""

import pytest
from hypothesis import given

from ai_gateway.domain.pricing import RATE_NAMES
from ai_gateway.domain.usage import HelperUsage, Reading, Usage, UsageStatus
from tests.domain.facts import COUNT_NAMES, any_usages, usages


@given(any_usages())
def test_disjoint_parts_add_up_to_input_and_output(usage: Usage) -> None:
    assert sum(usage.disjoint().values()) == usage.input_tokens + usage.output_tokens


@given(any_usages())
def test_parts_of_the_input_add_up_to_the_input(usage: Usage) -> None:
    parts = usage.disjoint()
    outputs = ("output", "reasoning", "audio_output", "image_output")
    assert sum(parts[name] for name in outputs) == usage.output_tokens


def test_each_part_has_a_rate_of_its_own() -> None:
    assert set(Usage().disjoint()) == set(RATE_NAMES)


@given(any_usages())
def test_clamped_usage_is_consistent_whatever_was_reported(usage: Usage) -> None:
    assert usage.clamped().is_consistent
    assert min(usage.clamped().disjoint().values()) >= 0


@given(any_usages())
def test_clamping_lowers_no_count_but_that_of_audio_which_is_not_there(usage: Usage) -> None:
    clamped = usage.clamped()
    for name in COUNT_NAMES:
        if name != "cached_audio_tokens":
            assert getattr(clamped, name) >= getattr(usage, name)


@given(usages())
def test_consistent_usage_is_not_altered_by_clamping(usage: Usage) -> None:
    assert usage.is_consistent
    assert usage.clamped() == usage


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(Usage(input_tokens=-1), id="negative input"),
        pytest.param(Usage(output_tokens=-1), id="negative output"),
        pytest.param(Usage(web_searches=-1), id="negative searches"),
        pytest.param(Usage(input_tokens=100, cached_input_tokens=101), id="more cached than sent"),
        pytest.param(
            Usage(input_tokens=100, cached_input_tokens=60, cache_write_tokens=41),
            id="cached and written exceed the input",
        ),
        pytest.param(Usage(output_tokens=5, reasoning_tokens=6), id="reasoning exceeds output"),
        pytest.param(
            Usage(input_tokens=10, audio_input_tokens=5, cached_audio_tokens=4),
            id="cached audio without cache",
        ),
        pytest.param(
            Usage(input_tokens=10, cached_input_tokens=5, cached_audio_tokens=5),
            id="cached audio without audio",
        ),
    ],
)
def test_report_that_contradicts_itself_is_seen(usage: Usage) -> None:
    assert not usage.is_consistent


def test_cached_part_that_exceeds_the_whole_can_only_stand_beside_it() -> None:
    clamped = Usage(input_tokens=100, cached_input_tokens=5000, output_tokens=10).clamped()
    assert clamped == Usage(input_tokens=5100, cached_input_tokens=5000, output_tokens=10)


def test_reasoning_that_exceeds_the_output_can_only_stand_beside_it() -> None:
    clamped = Usage(output_tokens=10, reasoning_tokens=90).clamped()
    assert clamped == Usage(output_tokens=100, reasoning_tokens=90)


def test_audio_that_was_cached_is_counted_once() -> None:
    usage = Usage(
        input_tokens=100, cached_input_tokens=40, audio_input_tokens=50, cached_audio_tokens=30
    )
    parts = {kind: count for kind, count in usage.disjoint().items() if count}
    assert parts == {"input": 40, "cached_input": 10, "audio_input": 20, "cached_audio": 30}


@given(any_usages(), any_usages())
def test_usages_add_up_count_by_count(one: Usage, other: Usage) -> None:
    for name in COUNT_NAMES:
        assert getattr(one + other, name) == getattr(one, name) + getattr(other, name)


def test_total_usage_is_that_of_all_models() -> None:
    helper = HelperUsage("m", Usage(input_tokens=2, web_searches=1))
    reading = Reading(UsageStatus.EXACT, Usage(input_tokens=1), helpers=(helper, helper))
    assert reading.total_usage == Usage(input_tokens=5, web_searches=2)

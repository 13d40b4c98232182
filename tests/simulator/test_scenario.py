"""The markers, as text."""

import pytest

from simulator.scenario import (
    HEALTHY,
    Scenario,
    ScenarioError,
    parse_scenario,
    unknown_markers,
)

MARKERS = {
    "[[tokens=7]]": Scenario(tokens=7),
    "[[delay=1500]]": Scenario(delay_seconds=1.5),
    "[[pace=20]]": Scenario(pace_seconds=0.02),
    "[[silence=20]]": Scenario(silence_seconds=0.02),
    "[[usage=off]]": Scenario(shows_usage=False),
    "[[status=529]]": Scenario(status=529),
    "[[cut=0]]": Scenario(cut_after=0),
    "[[stall=2]]": Scenario(stall_after=2),
    "[[error=3]]": Scenario(error_after=3),
    "[[failed=3]]": Scenario(error_after=3, ends_as_failed=True),
    "[[crlf]]": Scenario(uses_crlf=True),
    "[[split=1]]": Scenario(split_bytes=1),
    "[[input=100]]": Scenario(input_tokens=100),
    "[[cached=5]]": Scenario(cached_tokens=5),
    "[[cache_write=6]]": Scenario(cache_write_tokens=6),
    "[[cache_write_1h=8]]": Scenario(cache_write_1h_tokens=8),
    "[[reasoning=9]]": Scenario(reasoning_tokens=9),
    "[[tool]]": Scenario(calls_tool=True),
    "[[garbage]]": Scenario(is_garbage=True),
    "[[redirect]]": Scenario(is_redirect=True),
}


@pytest.mark.parametrize("marker", MARKERS)
def test_marker_has_its_effect_and_no_other(marker: str) -> None:
    assert parse_scenario(f"say hello {marker} please") == MARKERS[marker]


@pytest.mark.parametrize("marker", MARKERS)
def test_every_marker_is_documented(marker: str) -> None:
    import simulator.scenario as module  # noqa: PLC0415 (only for its docstring)

    name = marker.strip("[]").partition("=")[0]
    assert f"``[[{name}" in (module.__doc__ or "")


def test_markers_combine_and_the_later_of_equal_ones_wins() -> None:
    scenario = parse_scenario("[[tokens=1]] and [[cut=2]], no: [[tokens=3]]")
    assert scenario == Scenario(tokens=3, cut_after=2)


@pytest.mark.parametrize("text", ["", "no marker", "a [[wiki link]]", "[[Unknown]]", "[[x=1]]"])
def test_other_text_is_left_alone(text: str) -> None:
    assert parse_scenario(text) == HEALTHY


@pytest.mark.parametrize(
    "marker",
    [
        "[[tokens]]",
        "[[tokens=many]]",
        "[[tokens=-1]]",
        "[[tokens=10000001]]",
        "[[delay=600001]]",
        "[[status=200]]",
        "[[status=600]]",
        "[[split=0]]",
        "[[usage=maybe]]",
        "[[cut=1.5]]",
    ],
)
def test_marker_with_senseless_value_is_refused(marker: str) -> None:
    with pytest.raises(ScenarioError, match="bad marker"):
        parse_scenario(marker)


def test_unknown_markers_are_listed() -> None:
    assert unknown_markers("[[tokens=1]] [[slow=3]] [[cutt]]") == ["[[slow=3]]", "[[cutt]]"]

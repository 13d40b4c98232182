"""Aims are judged by the figures of one run."""

import pytest

from bench.aims import aims
from bench.figures import Results
from tests.bench.figures_made_up import RESULTS


def test_aims_are_ratios_to_others_and_differences_to_the_pass_through() -> None:
    reached = {aim.what: aim.reached for aim in aims(RESULTS)}
    assert reached == pytest.approx(
        {
            "CPU a call: worker / Portkey": 0.4,
            "CPU a call: all processes / Portkey": 0.6,
            "CPU a call: worker / LiteLLM": 0.025,
            "added latency, one connection, p50": 1.5,
            "added latency, one connection, p99": 4.5,
            "CPU an event one by one: worker": 75,
            "memory of an open stream, 5,000 open: worker": 30,
            "memory at the end / when warm: worker": 1.04,
        }
    )


def test_an_aim_is_met_up_to_its_bound() -> None:
    verdicts = {aim.what: aim.verdict for aim in aims(RESULTS)}
    assert verdicts.pop("CPU an event one by one: worker") == "no"
    assert set(verdicts.values()) == {"yes"}


def test_what_a_run_left_out_is_not_measured_rather_than_met() -> None:
    assert {aim.verdict for aim in aims(Results())} == {"not measured"}

"""The checker of the rig finds what is wrong: a rig that agrees with everything proves nothing."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.faults.checker import Call, complaints_of_calls
from tests.faults.history import Told

ROW = {"entry_no": 1, "requests": 1, "cost_nano_usd": 40, "confidence": "reported"}
ANSWERED = Told("f", "key", 200, "whole", "req_1")


def complaints(told: Sequence[Told], calls: dict[str, list[dict[str, Any]]]) -> str:
    return " ".join(complaints_of_calls(told, [Call(*call) for call in calls.items()]))


def test_a_call_that_is_booked_once_is_right() -> None:
    assert complaints([ANSWERED], {"req_1": [ROW]}) == ""


@pytest.mark.parametrize(
    ("told", "calls", "word"),
    [
        ([ANSWERED], {}, "not in the ledger"),
        ([ANSWERED], {"req_1": [ROW | {"cost_nano_usd": 0}]}, "answered whole and cost 0"),
        ([ANSWERED], {"req_1": [ROW, ROW]}, "entries [1, 1]"),
        ([ANSWERED], {"req_1": [ROW, ROW | {"entry_no": 2}]}, "counts as 2 requests"),
        ([ANSWERED, ANSWERED], {"req_1": [ROW]}, "one request id"),
        ([ANSWERED], {"req_1": [ROW], "req_2": [ROW]}, "of which no client knows"),
        ([Told("f", "key", 429, "error", "req_1")], {"req_1": [ROW]}, "refused with 429 and cost"),
        ([Told("f", "key", 503, "error", "req_1")], {"req_1": [ROW]}, "refused with 503 and cost"),
    ],
)
def test_what_is_wrong_is_found(
    told: list[Told], calls: dict[str, list[dict[str, Any]]], word: str
) -> None:
    assert word in complaints(told, calls)


def test_a_call_whose_client_heard_nothing_may_be_booked() -> None:
    unheard = Told("f", "key", 0, "nothing")
    assert complaints([ANSWERED, unheard], {"req_1": [ROW], "req_2": [ROW]}) == ""

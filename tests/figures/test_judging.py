"""The judges find what is wrong: a figure that no history could spoil would say nothing."""

import pytest

from tests.faults.history import Told
from tests.figures.judging import (
    Row,
    admitted_late,
    foreign_bytes,
    gaps,
    judge,
    median_error,
    overspent,
    total,
)

ROW = {"request_id": "req_1", "entry_no": 1, "requests": 1, "cost_nano_usd": 40}
ROW |= {"confidence": "reported"}
ANSWERED = Told("f", "key", 200, "whole", "req_1")
LEFT = Told("f", "key", 0, "left")
AGAIN = ROW | {"entry_no": 2, "requests": 0}


def test_calls_that_are_booked_once_are_right() -> None:
    verdict = judge([ANSWERED, LEFT], [ROW, AGAIN, ROW | {"request_id": "req_2"}], served=2)
    assert verdict.is_right
    assert (verdict.calls, verdict.answered, verdict.booked) == (2, 1, 2)


@pytest.mark.parametrize(
    ("told", "rows", "served", "lost", "doubled"),
    [
        ([ANSWERED], [], 0, 1, 0),
        ([ANSWERED, LEFT], [ROW], 2, 1, 0),
        ([ANSWERED], [ROW, ROW], 1, 0, 1),
        ([ANSWERED], [ROW, ROW | {"entry_no": 2}], 1, 0, 1),
        ([ANSWERED], [ROW, ROW | {"request_id": "req_2"}], 1, 0, 1),
    ],
    ids=["answered", "served", "entry twice", "counted twice", "asked for by nobody"],
)
def test_what_is_lost_or_doubled_is_counted(
    told: list[Told], rows: list[Row], served: int, lost: int, doubled: int
) -> None:
    verdict = judge(told, rows, served)
    assert (verdict.lost, verdict.doubled) == (lost, doubled)
    assert not verdict.is_right


def test_a_call_that_was_answered_for_nothing_is_a_complaint() -> None:
    verdict = judge([ANSWERED], [ROW | {"cost_nano_usd": 0}])
    assert (verdict.lost, verdict.doubled, verdict.is_right) == (0, 0, False)


def test_one_loss_is_not_made_good_by_all_the_others() -> None:
    assert total([judge([ANSWERED], [ROW]), judge([ANSWERED], [])]).lost == 1


@pytest.mark.parametrize(
    ("spent", "seen", "beyond"),
    [(100, [(0, 100), (90, 10)], 0), (101, [], 1), (100, [(60, 47), (90, 11)], 7), (0, [], 0)],
)
def test_an_account_is_overspent_in_the_end_or_at_any_moment(
    spent: int, seen: list[tuple[int, int]], beyond: int
) -> None:
    assert overspent(100, spent, seen) == beyond


@pytest.mark.parametrize(
    ("numbers", "found"), [([], 0), ([3, 1, 2], 0), ([1, 2, 4], 1), ([1, 2, 2, 3], 1), ([1, 1], 1)]
)
def test_a_sequence_has_gaps_where_a_number_is_missing_or_twice(
    numbers: list[int], found: int
) -> None:
    assert gaps(numbers) == found


def test_an_error_is_a_share_of_the_true_cost() -> None:
    assert median_error([(90, 100), (100, 100), (150, 100)]) == pytest.approx(0.1)
    assert median_error([]) == 0


def test_a_call_is_admitted_late_if_it_was_sent_after_the_word_and_served() -> None:
    assert admitted_late([(1.0, 200), (2.5, 401), (3.0, 200)], confirmed_at=2.0) == 1


def test_what_is_anothers_is_found_wherever_it_stands() -> None:
    assert foreign_bytes("αα β".encode(), ["β".encode(), b"nobody"]) == 2
    assert foreign_bytes(b"mine", [b"yours"]) == 0

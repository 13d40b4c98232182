"""The totals of a run find what is wrong: a check that agrees with everything proves nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.faults.checker import Call
from tests.faults.history import Told
from tests.many_hosts.totals import Books, complaints, figures, ledger_sums

ROW = {
    "request_id": "req_1",
    "entry_no": 1,
    "requests": 1,
    "cost_nano_usd": 40,
    "confidence": "reported",
    "key_id": "k1",
    "user_id": 7,
    "key_number": 9,
    "admitted_at": datetime(2026, 11, 25, 23, 30, tzinfo=UTC),
}
TOLD = Told("", "k1", 200, "whole", "req_1")
SUMS = {
    "installation:0:2026-11": 40,
    "user:7:2026-11-25": 40,
    "user:7:2026-11": 40,
    "key:9:2026-11-25": 40,
    "key:9:2026-11": 40,
}
RIGHT = Books([Call("req_1", [ROW])], SUMS, SUMS, SUMS, 0, 0, 0, 40)


def test_what_is_booked_once_everywhere_is_right() -> None:
    assert complaints([TOLD], RIGHT) == []


def test_an_entry_belongs_to_five_accounts() -> None:
    assert ledger_sums([ROW]) == SUMS


@pytest.mark.parametrize(
    ("told", "changes", "word"),
    [
        ([TOLD], {"counters": SUMS | {"user:7:2026-11": 39}}, "counter 39"),
        ([TOLD], {"totals": SUMS | {"key:9:2026-11": 41}}, "totals 41"),
        ([TOLD], {"counters": SUMS | {"user:8:2026-11": 1}}, "ledger 0, totals 0, counter 1"),
        ([TOLD], {"held": 5}, "5 nano-USD are held"),
        ([TOLD], {"seq_gaps": 1}, "1 numbers of the sequence"),
        ([TOLD], {"calls": [Call("req_1", [ROW, ROW])]}, "entries [1, 1]"),
        ([TOLD, replace(TOLD, request_id="req_2")], {}, "not in the ledger"),
        ([TOLD, replace(TOLD, key_id="k2", request_id="req_2")], {}, "k2: req_2"),
        ([], {}, "of which no client knows"),
    ],
)
def test_what_is_wrong_is_found(told: list[Told], changes: dict[str, Any], word: str) -> None:
    assert word in " ".join(complaints(told, replace(RIGHT, **changes)))


def test_figures_are_counted() -> None:
    refused = Told("", "k1", 503, "error", "req_2")
    found = figures([TOLD, refused, Told("", "k1", 0, "nothing")], RIGHT)
    assert found["answered whole"] == found["refused with 503"] == 1
    assert found["calls in the ledger"] == found["broken off, or no answer at all"] == 1
    assert found["of which no client heard"] == 0

"""Which of the entered prices decides at which moment."""

from datetime import UTC, datetime, timedelta

import pytest

from ai_gateway.domain.price_entries import EntryState, PriceEntry, Timeline, timelines
from ai_gateway.domain.pricing import PriceRow, Tier
from tests.domain.facts import flat_rates

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def entry(number: int, hours: int, rate: int | None = 1) -> PriceEntry:
    """In force so many hours from noon on; without a rate it is a withdrawal."""
    row = (
        None
        if rate is None
        else PriceRow(f"{number}", "p", "m", (Tier(-1, flat_rates(rate, rate)),))
    )
    return PriceEntry(number, "p", "m", NOON + hours * HOUR, row)


FIRST, SECOND, LATER = entry(1, -2), entry(2, -1, 2), entry(3, 5, 3)
ENDED = entry(4, 0, None)
CANCELLED = entry(5, 5, None)


@pytest.mark.parametrize(
    ("entries", "hours", "expected"),
    [
        ([], 0, None),
        ([FIRST], -3, None),
        ([FIRST], -2, FIRST),
        ([SECOND, FIRST], 0, SECOND),
        ([FIRST, SECOND, LATER], 4, SECOND),
        ([FIRST, SECOND, LATER], 5, LATER),
        ([FIRST, SECOND, ENDED], 1, None),
        ([FIRST, ENDED, LATER], 6, LATER),
        ([FIRST, LATER, CANCELLED], 6, FIRST),
    ],
    ids=[
        "nothing", "not-yet", "from-its-moment", "newer-wins", "before-the-next", "the-next",
        "withdrawn", "after-a-withdrawal", "cancelled-before-it-began",
    ],
)  # fmt: skip
def test_price_in_force(entries: list[PriceEntry], hours: int, expected: PriceEntry | None) -> None:
    row = Timeline(entries).row(NOON + hours * HOUR)
    assert row == (expected.row if expected else None)


def test_state_of_every_entry() -> None:
    line = Timeline([FIRST, SECOND, LATER, entry(6, 7), entry(7, 7, None)])
    assert [line.state(one, NOON) for one in line.all] == [
        EntryState.SUPERSEDED,
        EntryState.IN_FORCE,
        EntryState.SCHEDULED,
        EntryState.CANCELLED,
        EntryState.CANCELLED,
    ]
    assert line.scheduled(NOON) == (LATER,)
    assert line.last_row == LATER.row


def test_free_is_a_price_and_a_withdrawal_is_none() -> None:
    free = Timeline([entry(1, 0, 0)]).row(NOON)
    assert free is not None
    assert free.tiers[0].rates.input == 0
    assert Timeline([entry(1, -1, 0), ENDED]).last_row is None


def test_models_have_a_line_each() -> None:
    other = PriceEntry(9, "p", "other", NOON, None)
    found = timelines([FIRST, other, SECOND])
    assert found[("p", "m")].all == (FIRST, SECOND)
    assert found[("p", "other")].all == (other,)

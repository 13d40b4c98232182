"""The list of refused requests, on every database that we serve."""

from datetime import timedelta

import pytest

from ai_gateway.domain.request_list import EVERY_REFUSAL, RefusalSelection, Span, Whose
from ai_gateway.errors import NeededHold, Refusal
from ai_gateway.stores.refusal_list import RefusalList
from ai_gateway.stores.refusal_tables import RefusalHour, RefusalRow
from ai_gateway.stores.tables import db
from tests.seeding import NOW, add_user

SPAN = Span(NOW - timedelta(hours=1), NOW + timedelta(hours=1))


@pytest.fixture
def refusals(sql_database: str) -> RefusalList:
    return RefusalList()


def add(request_id: str, user_id: int, minutes: int = 0, **columns: object) -> None:
    row = {
        "outcome": "client_error",
        "reason": "ModelNotFound",
        "operation": "chat",
        "key_id": "k0000001",
        "model": "mini",
    }
    at = NOW - timedelta(minutes=minutes)
    db.session.add(RefusalRow(at=at, request_id=request_id, user_id=user_id, **row | columns))
    db.session.commit()


def test_pages_have_each_refusal_once_in_either_direction(refusals: RefusalList) -> None:
    for number in range(7):
        # Three of them in the same instant.
        add(f"r{number}", 1, max(0, number - 2))
    newest = ["r2", "r1", "r0", "r3", "r4", "r5", "r6"]
    seen: list[str] = []
    page = refusals.walk(EVERY_REFUSAL, SPAN, 2)
    while page:
        seen += [one.request_id for one in page]
        add(f"new-{len(seen)}", 1, -len(seen))
        last = page
        page = refusals.walk(EVERY_REFUSAL, SPAN, 2, start=page[-1].place)
    assert seen == newest
    back = refusals.walk(EVERY_REFUSAL, SPAN, 2, start=last[0].place, onward=True)
    assert [one.request_id for one in back] == ["r4", "r5"]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (RefusalSelection(Whose(name="ann")), ["mine", "other model"]),
        (RefusalSelection(Whose(user_id=2)), ["paused"]),
        (RefusalSelection(Whose(key_id="k9999999")), []),
        (RefusalSelection(model="maxi"), ["other model"]),
        (RefusalSelection(reason="paused"), ["paused"]),
    ],
    ids=str,
)
def test_a_selection_narrows_the_list(
    refusals: RefusalList, selection: RefusalSelection, wanted: list[str]
) -> None:
    ann, bob = add_user("ann"), add_user("bob")
    add("mine", ann)
    add("other model", ann, 1, model="maxi")
    add("paused", bob, 2, reason="paused")
    add("long ago", ann, 90)
    assert [one.request_id for one in refusals.walk(selection, SPAN, 9)] == wanted


def test_a_refusal_is_found_whole_and_by_its_own_user_alone(refusals: RefusalList) -> None:
    ann = add_user("ann")
    resets_at = NOW + timedelta(hours=5)
    figures = {"limit_nano_usd": 9, "spent_nano_usd": 5, "held_nano_usd": 1, "needed_nano_usd": 4}
    hold = dict(zip(NeededHold.__slots__, (12_000, 400, 20, 900, 5), strict=True))
    add("r1", ann, scope="user", window="day", resets_at=resets_at, **figures, **hold)
    found = refusals.find("r1", ann)
    assert found is not None
    assert found.budget == Refusal("user", "day", 9, 5, 1, 4, resets_at, NeededHold(**hold))
    assert found.username == "ann"
    assert refusals.find("r1", ann + 1) is None
    assert refusals.find("r2") is None


def test_the_numbers_are_of_all_refusals_of_the_span(refusals: RefusalList) -> None:
    hour = NOW.replace(minute=0, second=0)
    for hours, reason, count in ((0, "invalid", 5), (0, "paused", 2), (9, "invalid", 3)):
        at = hour - timedelta(hours=hours)
        db.session.add(RefusalHour(hour=at, outcome="auth_error", reason=reason, count=count))
    db.session.commit()
    assert refusals.numbers(SPAN) == {"invalid": 5, "paused": 2}

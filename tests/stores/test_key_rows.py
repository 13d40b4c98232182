"""The list of keys as each database cuts, sorts and counts it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from ai_gateway.domain.key_list import (
    KeyCounts,
    KeyCut,
    KeyFilter,
    KeySelection,
    KeySort,
    KeyState,
    KeyWindows,
)
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit, LimitKind
from ai_gateway.domain.money import Money
from ai_gateway.domain.roles import Role
from ai_gateway.domain.spend_list import BudgetUse, OpenWindow
from ai_gateway.errors import KeyNotFound
from ai_gateway.stores.key_acts import NewKey, NewSecret
from ai_gateway.stores.key_rows import KeyRows
from ai_gateway.stores.tables import AccountTotal, User
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyTable
from tests.keys import PLAIN_ACT

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOWS = KeyWindows(
    NOW,
    OpenWindow("2026-11-25", NO_LIMIT),
    OpenWindow("2026-11", Limit(LimitKind.AMOUNT, Money(9))),
)
SEVEN = Limit(LimitKind.AMOUNT, Money(7))


@pytest.fixture
def rows(engine: Engine) -> KeyRows:
    """Five keys of two users, each in another state; ben is disabled."""
    users = UserTable(engine)
    ann, ben = (
        users.add(name, f"{name}@x.test", password_hash=None, role=Role.NONE, now=NOW)
        for name in ("ann", "ben")
    )
    acts = KeyTable(engine, {}).acts
    chosen: list[tuple[str, str, int, datetime | None]] = [
        ("k000000A", "laptop", ann, None),
        ("k000000B", "Ci", ben, NOW + HOUR),
        ("k000000C", "old", ann, NOW),
        ("k000000D", "gone", ann, None),
        ("k000000E", "10%_off", ben, None),
    ]
    for key_id, label, owner, expires_at in chosen:
        new = NewKey(key_id, "d" * 64, "wxyz", label, owner, (), expires_at, NOW, "olivia")
        acts.add(new, {BUDGETS[3]: SEVEN} if key_id.endswith("A") else {}, PLAIN_ACT)
    acts.revoke("k000000D", PLAIN_ACT)
    acts.rotate("k000000B", NewSecret("e" * 64, "new4", NOW + HOUR), PLAIN_ACT)
    acts.rotate("k000000E", NewSecret("e" * 64, "new4", NOW), PLAIN_ACT)
    used = [
        (1, "2026-11-25", 5, NOW - HOUR),
        (1, "2026-11", 6, NOW - HOUR),
        (2, "2026-11-24", 8, NOW - 24 * HOUR),
        (2, "2026-11", 8, NOW - 24 * HOUR),
        (2, "2026-11-25", 0, None),
    ]
    with Session(engine) as session, session.begin():
        for number, window, spent, at in used:
            session.add(
                AccountTotal(
                    scope="key", subject_id=number, window_id=window,
                    spent_nano_usd=spent, last_request_at=at,
                )
            )  # fmt: skip
        session.execute(update(User).where(User.id == ben).values(is_enabled=False))
    return KeyRows(engine)


def named(rows: KeyRows, selection: KeySelection, **cut: object) -> str:
    """The keys of a page by the last sign of their ids."""
    usual: dict[str, object] = {
        "sort": KeySort.CREATED, "is_descending": False, "offset": 0, "count": 50,
    }  # fmt: skip
    page = rows.page(WINDOWS, KeyCut(**usual | cut), selection)  # type: ignore[arg-type]  # its fields
    return "".join(entry.key_id[-1] for entry in page)


def test_each_key_is_in_one_state_and_is_told_with_its_spend(rows: KeyRows) -> None:
    found = {
        entry.key_id[-1]: entry for entry in rows.after(WINDOWS, KeySelection(), number=0, count=9)
    }
    assert {name: entry.state for name, entry in found.items()} == {
        "A": KeyState.ACTIVE,
        "B": KeyState.ROTATING,
        "C": KeyState.EXPIRED,
        "D": KeyState.REVOKED,
        "E": KeyState.ACTIVE,
    }
    first, second = found["A"], found["B"]
    assert (first.daily, first.monthly.spent) == (BudgetUse(Money(5), SEVEN, is_refused=False), 6)
    assert first.monthly.limit == WINDOWS.monthly.default
    assert (first.last_used_at, second.last_used_at) == (NOW - HOUR, NOW - 24 * HOUR)
    assert found["C"].last_used_at is None
    assert (second.previous_until, found["E"].previous_until) == (NOW + HOUR, None)
    assert (first.username, first.is_owner_enabled, first.created_by) == ("ann", True, "olivia")
    assert second.is_owner_enabled is False


def test_filters_count_what_they_show(rows: KeyRows) -> None:
    shown = {chosen: named(rows, KeySelection(chosen)) for chosen in KeyFilter}
    assert shown == {
        KeyFilter.ALL: "ABCDE",
        KeyFilter.ACTIVE: "ABE",
        KeyFilter.ROTATING: "B",
        KeyFilter.EXPIRED: "C",
        KeyFilter.REVOKED: "D",
    }
    counts = rows.count(WINDOWS, KeySelection())
    assert {chosen: counts.of(chosen) for chosen in KeyFilter} == {
        chosen: len(names) for chosen, names in shown.items()
    }
    assert rows.count(WINDOWS, KeySelection(search="nothing like it")) == KeyCounts(0, 0, 0, 0, 0)


def test_a_search_looks_at_label_owner_and_id(rows: KeyRows) -> None:
    searches = {
        "LAPTOP": "A",
        "ann": "ACD",
        "ben@": "BE",
        "agw_k000000C": "C",
        "k000000": "ABCDE",
        "%_": "E",
        "_": "E",
    }
    assert {search: named(rows, KeySelection(search=search)) for search in searches} == searches
    assert rows.count(WINDOWS, KeySelection(search="ann")).everyone == 3


def test_every_column_sorts_both_ways_and_pages_hold_each_key_once(rows: KeyRows) -> None:
    falling = {
        KeySort.CREATED: "EDCBA",
        KeySort.LABEL: "CADBE",
        KeySort.OWNER: "EBDCA",
        KeySort.EXPIRES: "EDABC",
        KeySort.LAST_USED: "ABEDC",
        KeySort.DAILY_SPEND: "AEDCB",
        KeySort.MONTHLY_SPEND: "BAEDC",
    }
    assert falling.keys() == set(KeySort)
    for sort, names in falling.items():
        pages = (
            named(rows, KeySelection(), sort=sort, is_descending=True, offset=start, count=2)
            for start in (0, 2, 4)
        )
        assert "".join(pages) == names, sort
        assert named(rows, KeySelection(), sort=sort) == names[::-1], sort


def test_one_owner_sees_own_keys_alone(rows: KeyRows) -> None:
    assert named(rows, KeySelection(owner_id=2)) == "BE"
    assert rows.count(WINDOWS, KeySelection(owner_id=2)).everyone == 2
    assert rows.find(WINDOWS, "k000000B", 2).label == "Ci"
    for key_id, owner_id in (("k000000B", 1), ("k0000404", None)):
        with pytest.raises(KeyNotFound):
            rows.find(WINDOWS, key_id, owner_id)
    assert rows.find(WINDOWS, "k000000B", None).key_id == "k000000B"


def test_the_keys_behind_a_number_come_in_the_order_they_were_made(rows: KeyRows) -> None:
    some = rows.after(WINDOWS, KeySelection(KeyFilter.ACTIVE), number=1, count=1)
    assert [entry.key_id[-1] for entry in some] == ["B"]

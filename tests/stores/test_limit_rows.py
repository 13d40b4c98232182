"""Users and keys with their limits as pages list them, on each database."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit, LimitKind, Scope
from ai_gateway.domain.money import Money
from ai_gateway.domain.roles import Role
from ai_gateway.domain.spend_list import OpenWindow
from ai_gateway.stores.budget_accounts import BudgetAccounts, Impact
from ai_gateway.stores.limit_rows import LimitedSubject, LimitRows, LimitSelection, LimitWindows
from ai_gateway.stores.tables import AccountTotal
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyTable
from tests.keys import PLAIN_ACT
from tests.limits import choose
from tests.money import amount
from tests.sql_database import counted_statements
from tests.stores.test_virtual_keys import new_key

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
_, USER_DAY, USER_MONTH, KEY_DAY, _ = BUDGETS
WINDOWS = LimitWindows(OpenWindow("2026-11-25", amount(5)), OpenWindow("2026-11", NO_LIMIT))
USERS, KEYS = LimitSelection(Scope.USER), LimitSelection(Scope.KEY)
WARN = Limit(LimitKind.WARN, Money(3))


@pytest.fixture
def rows(engine: Engine) -> LimitRows:
    """Ann, Ben and Cyd, of whom Ann has limits of her own; each has spent four today."""
    users, table = UserTable(engine), KeyTable(engine, {})
    for number, name in enumerate(("Ann", "ben", "cyd"), 1):
        user_id = users.add(name, f"{name}@x.test", password_hash=None, role=Role.NONE, now=NOW)
        table.acts.add(
            new_key(user_id, f"k000000{number}", label=f"laptop {number}"), {}, PLAIN_ACT
        )
        with Session(engine) as session, session.begin():
            day = AccountTotal(scope="user", subject_id=user_id, window_id="2026-11-25")
            day.spent_nano_usd = 4
            session.add(day)
    choose(table, Scope.USER, 1, {USER_DAY: WARN, USER_MONTH: NO_LIMIT})
    choose(table, Scope.KEY, 2, {KEY_DAY: amount(0)})
    return LimitRows(engine)


def page(rows: LimitRows, selection: LimitSelection = USERS) -> list[LimitedSubject]:
    return list(rows.page(selection, WINDOWS, offset=0, count=50))


def test_each_shows_the_limit_in_force_and_whether_it_is_their_own(rows: LimitRows) -> None:
    found = page(rows)
    assert [(one.name, one.daily.limit, one.has_own_daily) for one in found] == [
        ("Ann", WARN, True),
        ("ben", amount(5), False),
        ("cyd", amount(5), False),
    ]
    assert [one.has_own_monthly for one in found] == [True, False, False]
    assert {one.daily.spent for one in found} == {4}


def test_what_staff_set_for_all_stands_between_ones_own_and_the_environment(
    rows: LimitRows, engine: Engine
) -> None:
    choose(KeyTable(engine, {}), Scope.USER, 0, {USER_DAY: amount(9), USER_MONTH: WARN})
    found = page(rows)
    assert [one.daily.limit for one in found] == [WARN, amount(9), amount(9)]
    assert [one.monthly.limit for one in found] == [NO_LIMIT, WARN, WARN]
    assert [one.has_own_daily for one in found] == [True, False, False]
    assert rows.count(USERS) == (3, 1)


def test_a_list_can_be_searched_narrowed_and_cut(rows: LimitRows) -> None:
    assert [one.name for one in page(rows, replace(USERS, is_own_only=True))] == ["Ann"]
    assert [one.name for one in page(rows, replace(USERS, search="BEN@"))] == ["ben"]
    assert page(rows, replace(USERS, search="%")) == []
    assert [one.name for one in rows.page(USERS, WINDOWS, offset=2, count=1)] == ["cyd"]
    assert rows.count(replace(USERS, search="n")) == (2, 1)


def test_keys_are_found_by_id_label_and_owner_but_not_once_they_are_revoked(
    rows: LimitRows, engine: Engine
) -> None:
    assert [(one.key_id, one.name, one.daily.limit) for one in page(rows, KEYS)] == [
        ("k0000001", "Ann", amount(5)),
        ("k0000002", "ben", amount(0)),
        ("k0000003", "cyd", amount(5)),
    ]
    for search in ("agw_k0000002", "laptop 2", "ben"):
        assert [one.key_id for one in page(rows, replace(KEYS, search=search))] == ["k0000002"]
    KeyTable(engine, {}).acts.revoke("k0000002", PLAIN_ACT)
    assert rows.count(KEYS) == (2, 0)


def test_a_page_is_three_statements(rows: LimitRows, engine: Engine) -> None:
    for selection in (USERS, KEYS):
        with counted_statements(engine) as sent:
            rows.count(selection)
            page(rows, selection)
        assert len(sent) == 3


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (amount(5), amount(4), Impact(2, 0, 2)),
        (amount(4), NO_LIMIT, Impact(2, 2, 0)),
        (amount(0), WARN, Impact(2, 2, 2)),
    ],
)
def test_another_default_concerns_those_without_a_choice_of_their_own(
    rows: LimitRows, engine: Engine, before: Limit, after: Limit, expected: Impact
) -> None:
    del rows
    accounts = BudgetAccounts(engine)
    found = accounts.impact(USER_DAY, "2026-11-25", before=before, after=after)
    assert found == expected

"""What the holder of a key may ask about: the own spend and limits, as enforcement sees them."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, BudgetState, Scope, Window
from ai_gateway.domain.roles import Role
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import BudgetExhausted, InvalidKey
from ai_gateway.services.key_holder import KeyHolder
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyTable
from tests.engines import opened_engine
from tests.limits import choose
from tests.services.workbench import NOW, ZONE, Workbench, chat_answer, nano, user_day
from tests.sql_database import sqlite_url

INSTALLATION, USER_DAY, USER_MONTH, KEY_DAY, KEY_MONTH = BUDGETS


@pytest.fixture
def table(tmp_path: Path) -> Iterator[KeyTable]:
    with opened_engine(sqlite_url(tmp_path)) as engine:
        users = UserTable(engine)
        for name in ("ann", "ben"):
            users.add(name, f"{name}@x.test", password_hash=None, role=Role.NONE, now=NOW)
        yield KeyTable(engine, {USER_DAY: nano(100)})


@pytest.fixture
def holder(bench: Workbench, table: KeyTable) -> KeyHolder:
    return KeyHolder(bench.keys, meter=bench.meter, table=table, clock=bench.clock)


def test_key_leads_to_its_user(bench: Workbench, holder: KeyHolder) -> None:
    assert holder.user_of(bench.make_key(user_id=1)) == 1


@pytest.mark.parametrize("credential", [None, "", "junk"])
def test_what_is_no_key_leads_to_nobody(holder: KeyHolder, credential: str | None) -> None:
    with pytest.raises(InvalidKey):
        holder.user_of(credential)


def test_key_that_was_just_revoked_leads_to_nobody(bench: Workbench, holder: KeyHolder) -> None:
    key = bench.make_key(user_id=1)
    holder.user_of(key)
    bench.change_key(key, status=KeyStatus.REVOKED)
    with pytest.raises(InvalidKey):
        holder.user_of(key)


def test_standing_of_a_user_without_calls_is_empty(holder: KeyHolder) -> None:
    standing = holder.standing(1, ZONE)
    assert (standing.user_id, standing.day.window, standing.month.window) == (1, *Window)
    assert (standing.day.spent, standing.day.held, standing.day.state) == (0, 0, BudgetState.OK)
    assert (standing.day.limit, standing.month.limit) == (nano(100), NO_LIMIT)
    assert standing.day.resets_at == datetime.fromisoformat("2050-01-16T00:00Z")
    assert standing.month.resets_at == datetime.fromisoformat("2050-02-01T00:00Z")


def test_standing_has_what_is_spent_and_held(bench: Workbench, holder: KeyHolder) -> None:
    key = bench.make_key(user_id=1)
    bench.call(key, chat_answer(20, 7), max_tokens=50)
    admitted = bench.admit(key, max_tokens=5)
    standing = holder.standing(1, ZONE)
    assert (standing.day.spent, standing.month.spent) == (90, 90)
    assert standing.day.held == standing.month.held == admitted.call.held
    assert (standing.day.state, standing.month.state) == (BudgetState.WARNING, BudgetState.OK)


def test_standing_is_of_the_named_user_alone(bench: Workbench, holder: KeyHolder) -> None:
    bench.call(bench.make_key(user_id=1), chat_answer(), max_tokens=5)
    assert holder.standing(2, ZONE).day.spent == 0


def test_all_keys_of_a_user_count_together(bench: Workbench, holder: KeyHolder) -> None:
    for _ in range(2):
        bench.call(bench.make_key(user_id=1), chat_answer(), max_tokens=5)
    assert holder.standing(1, ZONE).day.spent == 2 * (10 + 50)


def test_refused_user_is_exceeded(bench: Workbench, holder: KeyHolder) -> None:
    key = bench.make_key(user_day(100), user_id=1)
    with pytest.raises(BudgetExhausted):
        bench.admit(key, max_tokens=500)
    standing = holder.standing(1, ZONE)
    assert (standing.day.state, standing.month.state) == (BudgetState.EXCEEDED, BudgetState.OK)


def test_limit_of_the_user_stands_before_that_of_everybody(
    holder: KeyHolder, table: KeyTable
) -> None:
    choose(table, Scope.USER, 1, {USER_DAY: NO_LIMIT, USER_MONTH: nano(7)})
    standing = holder.standing(1, ZONE)
    assert (standing.day.limit, standing.month.limit) == (NO_LIMIT, nano(7))
    assert holder.standing(2, ZONE).day.limit == nano(100)


def test_windows_are_those_of_the_reporting_zone(bench: Workbench, holder: KeyHolder) -> None:
    bench.clock.now = datetime.fromisoformat("2050-01-15T20:00Z")
    standing = holder.standing(1, ZoneInfo("Asia/Kolkata"))
    assert standing.day.resets_at == datetime.fromisoformat("2050-01-16T18:30Z")

"""What belongs to one user, on every database that we serve."""

from datetime import timedelta

import pytest

from ai_gateway.domain.limits import Scope
from ai_gateway.stores.tables import AccountTotal, AuditRow, VirtualKey, db
from ai_gateway.stores.user_records import UserRecords
from tests.seeding import NOW, add_key, add_user

DAY, MONTH = "2026-11-23", "2026-11"


@pytest.fixture
def records(sql_database: str) -> UserRecords:
    return UserRecords()


def _account(window: str, cost: int, *, scope: Scope = Scope.KEY, days_ago: int = 0) -> None:
    key = db.session.query(VirtualKey).one()
    db.session.add(
        AccountTotal(
            scope=scope,
            subject_id=key.id,
            window_id=window,
            cost_nano_usd=cost,
            last_request_at=NOW - timedelta(days=days_ago),
        )
    )
    db.session.commit()


def test_a_key_has_its_costs_of_the_open_windows_and_its_last_use(records: UserRecords) -> None:
    user_id = add_user("ann")
    add_key(user_id)
    for window, cost, days_ago in ((DAY, 3, 0), (MONTH, 10, 0), ("2026-10", 99, 40)):
        _account(window, cost, days_ago=days_ago)
    # A user's account may have the same number as a key's.
    _account(DAY, 1000, scope=Scope.USER)
    (key,) = records.keys(user_id, day=DAY, month=MONTH)
    assert (key.cost_today, key.cost_this_month, key.last_used_at) == (3, 10, NOW)
    assert (key.key_id, key.last4, key.status) == ("k0000001", "abcd", "active")


def test_a_key_that_was_not_used_this_month_still_has_its_last_use(records: UserRecords) -> None:
    user_id = add_user("ann")
    add_key(user_id)
    _account("2026-10", 99, days_ago=40)
    (key,) = records.keys(user_id, day=DAY, month=MONTH)
    assert (key.cost_today, key.cost_this_month) == (0, 0)
    assert key.last_used_at == NOW - timedelta(days=40)


def test_changes_are_those_of_the_user_newest_first(records: UserRecords) -> None:
    for number, (kind, target) in enumerate([("user", "1"), ("user", "2"), ("key", "1")] * 2):
        db.session.add(
            AuditRow(
                at=NOW,
                actor_name="olga",
                actor_role="operator",
                address="",
                action="spend_reset",
                target_kind=kind,
                target_id=target,
                before={},
                after={"number": number},
                reason="",
                result="ok",
            )
        )
    db.session.commit()
    assert [change.after["number"] for change in records.changes(1, 5)] == [3, 0]
    assert len(records.changes(1, 1)) == 1

"""What belongs to one user, on every database that we serve."""

import pytest

from ai_gateway.stores.tables import AuditRow, db
from ai_gateway.stores.user_records import UserRecords
from tests.seeding import NOW, add_key, add_user


@pytest.fixture
def records(sql_database: str) -> UserRecords:
    return UserRecords()


def test_changes_are_those_of_the_user_and_the_own_keys_newest_first(records: UserRecords) -> None:
    user_id = add_user("ann")
    add_key(user_id)
    targets = [("user", str(user_id)), ("user", "99"), ("key", str(user_id)), ("key", "k0000001")]
    for number, (kind, target) in enumerate(targets * 2):
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
    assert [change.after["number"] for change in records.changes(user_id, 5)] == [7, 4, 3, 0]
    assert len(records.changes(user_id, 1)) == 1

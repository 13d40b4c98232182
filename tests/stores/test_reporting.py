"""The reads of the staff pages, on every database that we serve."""

from datetime import datetime

import pytest

from ai_gateway.stores.reporting import ReportingStore
from tests.seeding import NOW, add_key, add_usage, add_user

HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)


@pytest.fixture
def store(sql_database: str) -> ReportingStore:
    return ReportingStore()


def test_set_up_facts_turn_true_one_by_one(store: ReportingStore) -> None:
    user_id = add_user("ann")
    seen = [store.set_up_facts()]
    add_user("boss", role="viewer")
    seen.append(store.set_up_facts())
    add_key(user_id)
    seen.append(store.set_up_facts())
    add_usage(HOUR, user_id)
    seen.append(store.set_up_facts())
    assert [(f.has_staff, f.has_key, f.has_call) for f in seen] == [
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (True, True, True),
    ]

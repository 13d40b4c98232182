"""Users in SQL, and the one row of the installation."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.domain.roles import Role
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores.key_acts import NewKey
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.tables import Installation, LedgerEntry, SpendLimit, StaffSession, User
from ai_gateway.stores.users import (
    AlreadyThere,
    StillNeeded,
    UserChange,
    UserRow,
    UserTable,
    UserValues,
)
from ai_gateway.stores.virtual_keys import KeyTable
from tests.keys import PLAIN_ACT

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
def users(engine: Engine) -> UserTable:
    return UserTable(engine)


def add(users: UserTable, name: str, role: Role = Role.NONE) -> int:
    return users.add(name, f"{name}@example.com", password_hash=None, role=role, now=NOW)


def add_key(engine: Engine, user_id: int, key_id: str) -> None:
    new = NewKey(
        key_id=key_id,
        digest="d" * 64,
        last4="wxyz",
        label="",
        user_id=user_id,
        allowed_models=(),
        expires_at=None,
        created_at=NOW,
    )
    KeyTable(engine, {}).acts.add(new, {}, PLAIN_ACT)


def test_a_user_is_found_by_name(users: UserTable) -> None:
    number = add(users, "ann")
    assert users.find("ann") == number
    assert users.find("Ann") is None
    assert users.find("") is None


@pytest.mark.parametrize(("name", "mail"), [("ann", "new@example.com"), ("new", "ann@example.com")])
def test_a_name_or_mail_address_is_there_once(users: UserTable, name: str, mail: str) -> None:
    add(users, "ann")
    with pytest.raises(AlreadyThere):
        users.add(name, mail, password_hash=None, role=Role.NONE, now=NOW)
    assert [row.username for row in users.rows()] == ["ann"]


def test_users_are_listed_with_their_active_keys(users: UserTable, engine: Engine) -> None:
    ben, ann = add(users, "ben", Role.OPERATOR), add(users, "ann")
    for key_id in ("k0000001", "k0000002", "k0000003"):
        add_key(engine, ben, key_id)
    KeyTable(engine, {}).acts.revoke("k0000002", PLAIN_ACT)
    assert users.rows() == [
        UserRow(ann, "ann", "ann@example.com", Role.NONE, is_enabled=True, keys=0),
        UserRow(ben, "ben", "ben@example.com", Role.OPERATOR, is_enabled=True, keys=2),
    ]


def test_only_a_role_makes_staff(users: UserTable) -> None:
    number = add(users, "ann")
    assert users.has_staff() is False
    users.change(number, UserValues(role=Role.VIEWER))
    assert users.has_staff() is True
    users.change(number, UserValues(role=Role.NONE))
    assert users.has_staff() is False


def test_a_password_is_stored_as_it_was_hashed(users: UserTable, engine: Engine) -> None:
    ann, ben = add(users, "ann"), add(users, "ben")
    users.change(ann, UserValues(password_hash="$argon2id$hash"))
    with Session(engine) as session:
        stored = {user.id: user.password_hash for user in session.scalars(select(User))}
    assert stored == {ann: "$argon2id$hash", ben: None}


def test_the_time_zone_of_the_first_start_stays(users: UserTable, engine: Engine) -> None:
    assert users.fix_timezone("Europe/Berlin", NOW) == "Europe/Berlin"
    assert users.fix_timezone("UTC", NOW) == "Europe/Berlin"
    with Session(engine) as session:
        [row] = session.scalars(select(Installation))
        assert (row.id, row.timezone, row.created_at) == (1, "Europe/Berlin", NOW)


def stored(engine: Engine, user_id: int) -> User:
    with Session(engine, expire_on_commit=False) as session:
        return session.scalars(select(User).where(User.id == user_id)).one()


def test_a_review_sees_both_sides_and_who_else_could_administer(users: UserTable) -> None:
    seen: list[UserChange] = []

    def note(change: UserChange) -> list[AuditEntry]:
        seen.append(change)
        return []

    reviewed = users.reviewed(note)
    ann = reviewed.add("ann", "a@x", password_hash="$h", role=Role.ADMIN, now=NOW)
    reviewed.add("ben", "b@x", password_hash=None, role=Role.ADMIN, now=NOW)
    eve = reviewed.add("eve", "e@x", password_hash="$h", role=Role.ADMIN, now=NOW)
    reviewed.change(ann, UserValues(role=Role.NONE, password_hash="$new"))
    reviewed.delete(eve)
    made, _, _, changed, deleted = seen
    assert made.before is None
    assert made.after is not None
    assert (made.after.user_id, made.other_administrators) == (ann, 0)
    assert changed.before is not None
    assert changed.after is not None
    assert (changed.before.role, changed.after.role) == (Role.ADMIN, Role.NONE)
    assert (changed.other_administrators, changed.is_password_new) == (1, True)
    assert deleted.before is not None
    assert (deleted.before.user_id, deleted.after, deleted.other_administrators) == (eve, None, 0)


def test_a_review_that_refuses_leaves_everything_as_it_was(
    users: UserTable, engine: Engine
) -> None:
    ann = add(users, "ann")

    def refuse(_: UserChange) -> list[AuditEntry]:
        raise ValueError

    strict = users.reviewed(refuse)
    with pytest.raises(ValueError, match=r"^$"):
        strict.change(ann, UserValues(role=Role.ADMIN))
    with pytest.raises(ValueError, match=r"^$"):
        strict.delete(ann)
    with pytest.raises(ValueError, match=r"^$"):
        add(strict, "ben")
    assert [(row.username, row.role) for row in users.rows()] == [("ann", Role.NONE)]


def test_two_administrators_cannot_demote_one_another_at_once(
    users: UserTable, engine: Engine
) -> None:
    ids = [
        users.add(name, name, password_hash="$h", role=Role.ADMIN, now=NOW)
        for name in ("ann", "ben")
    ]

    def keep_one(change: UserChange) -> list[AuditEntry]:
        if change.other_administrators == 0:
            raise ValueError
        return []

    def demote(user_id: int) -> None:
        try:
            users.reviewed(keep_one).change(user_id, UserValues(role=Role.NONE))
        except (ValueError, GatewayUnavailable):
            # PostgreSQL ends one of two that wait for one another.
            return

    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            list(pool.map(demote, ids))
            assert any(stored(engine, number).role == "admin" for number in ids)
            for number in ids:
                users.change(number, UserValues(role=Role.ADMIN))


def test_a_new_password_ends_all_sessions_but_the_one_that_asked(
    users: UserTable, engine: Engine
) -> None:
    ann = add(users, "ann")
    with Session(engine) as session, session.begin():
        session.add_all(
            StaffSession(id_hash=name, user_id=ann, created_at=NOW, last_seen_at=NOW)
            for name in ("mine", "other", "third")
        )
    users.change(ann, UserValues(password_hash="$h"), kept_session="mine")
    with Session(engine) as session:
        assert list(session.scalars(select(StaffSession.id_hash))) == ["mine"]


def test_being_disabled_makes_new_versions_of_the_keys(users: UserTable, engine: Engine) -> None:
    ann = add(users, "ann")
    add_key(engine, ann, "k0000001")
    keys = KeyTable(engine, {})
    for is_enabled, version in ((True, 1), (False, 2), (False, 2), (True, 3)):
        users.change(ann, UserValues(is_enabled=is_enabled))
        assert [record.version for record in keys.records()] == [version]


def test_a_user_whose_calls_of_long_ago_left_the_ledger_is_not_deleted(
    users: UserTable, engine: Engine
) -> None:
    ann = add(users, "ann")
    with Session(engine) as session, session.begin():
        session.add(UsageHour(hour=NOW, user_id=ann, provider="lab", model="plain"))
    with pytest.raises(StillNeeded):
        users.delete(ann)


def test_only_what_was_never_used_is_deleted(users: UserTable, engine: Engine) -> None:
    ann, ben, eve = (add(users, name) for name in ("ann", "ben", "eve"))
    add_key(engine, ann, "k0000001")
    with Session(engine) as session, session.begin():
        session.add(LedgerEntry(**entry_of(ben)))
        session.add(StaffSession(id_hash="e", user_id=eve, created_at=NOW, last_seen_at=NOW))
        for number in (ben, eve):
            session.add(SpendLimit(scope="user", subject_id=number, window="day", kind="none"))
    for used in (ann, ben):
        with pytest.raises(StillNeeded):
            users.delete(used)
    users.delete(eve)
    assert [row.username for row in users.rows()] == ["ann", "ben"]
    with Session(engine) as session:
        assert list(session.scalars(select(SpendLimit.subject_id))) == [ben]


def entry_of(user_id: int) -> dict[str, object]:
    words = (
        "request_id", "kind", "stream_id", "key_id", "provider", "model_requested", "model",
        "served_model", "operation", "outcome", "usage_status", "confidence", "price_status",
        "price_row", "price_book",
    )  # fmt: skip
    return {
        **dict.fromkeys(words, "x"),
        "user_id": user_id,
        "entry_no": 1,
        "seq": 1,
        "stream": False,
        "cost_nano_usd": 0,
        "total_after_nano_usd": 0,
        "admitted_at": NOW,
        "settled_at": NOW,
    }

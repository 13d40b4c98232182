"""Users in SQL, and the one row of the installation."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.roles import Role
from ai_gateway.stores.tables import Installation, User
from ai_gateway.stores.users import AlreadyThere, UserRow, UserTable
from ai_gateway.stores.virtual_keys import KeyTable, NewKey

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
    KeyTable(engine, {}).add(new)


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
    KeyTable(engine, {}).revoke("k0000002")
    assert users.rows() == [
        UserRow(ann, "ann", "ann@example.com", Role.NONE, is_enabled=True, keys=0),
        UserRow(ben, "ben", "ben@example.com", Role.OPERATOR, is_enabled=True, keys=2),
    ]


def test_only_a_role_makes_staff(users: UserTable) -> None:
    number = add(users, "ann")
    assert users.has_staff() is False
    users.set_role(number, Role.VIEWER)
    assert users.has_staff() is True
    users.set_role(number, Role.NONE)
    assert users.has_staff() is False


def test_a_password_is_stored_as_it_was_hashed(users: UserTable, engine: Engine) -> None:
    ann, ben = add(users, "ann"), add(users, "ben")
    users.set_password(ann, "$argon2id$hash")
    with Session(engine) as session:
        stored = {user.id: user.password_hash for user in session.scalars(select(User))}
    assert stored == {ann: "$argon2id$hash", ben: None}


def test_the_time_zone_of_the_first_start_stays(users: UserTable, engine: Engine) -> None:
    assert users.fix_timezone("Europe/Berlin", NOW) == "Europe/Berlin"
    assert users.fix_timezone("UTC", NOW) == "Europe/Berlin"
    with Session(engine) as session:
        [row] = session.scalars(select(Installation))
        assert (row.id, row.timezone, row.created_at) == (1, "Europe/Berlin", NOW)

"""Users as the operator makes them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.roles import Role
from ai_gateway.services.user_admin import (
    MAX_NAME_CHARACTERS,
    MIN_PASSWORD_CHARACTERS,
    NewUser,
    UserAdmin,
    UserAdminError,
)
from ai_gateway.stores.passwords import verify_password
from ai_gateway.stores.tables import User
from ai_gateway.stores.users import UserTable
from tests.engines import opened_engine
from tests.services.workbench import NOW, SetClock
from tests.sql_database import sqlite_url

PASSWORD = "correct horse battery"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened_engine(sqlite_url(tmp_path)) as opened_one:
        yield opened_one


@pytest.fixture
def admin(engine: Engine) -> UserAdmin:
    return UserAdmin(UserTable(engine), SetClock())


def new(
    username: str = "ann",
    email: str = "ann@x.test",
    password: str | None = None,
    role: Role = Role.NONE,
) -> NewUser:
    return NewUser(username, email, password, role)


def stored(engine: Engine, user_id: int) -> User:
    with Session(engine, expire_on_commit=False) as session:
        return session.scalars(select(User).where(User.id == user_id)).one()


def test_user_is_made_with_what_was_asked_for(admin: UserAdmin, engine: Engine) -> None:
    user = stored(engine, admin.create(new(role=Role.VIEWER)))
    assert (user.username, user.email, user.role) == ("ann", "ann@x.test", "viewer")
    assert (user.is_enabled, user.password_hash, user.created_at) == (True, None, NOW)


def test_password_is_stored_as_a_hash(admin: UserAdmin, engine: Engine) -> None:
    user = stored(engine, admin.create(new(password=PASSWORD)))
    assert user.password_hash is not None
    assert PASSWORD not in user.password_hash
    assert verify_password(user.password_hash, PASSWORD)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(new(""), id="no name"),
        pytest.param(new("x" * (MAX_NAME_CHARACTERS + 1)), id="long name"),
        pytest.param(new("ann\n"), id="line end in the name"),
        pytest.param(new("ann\x1b[2J"), id="escape in the name"),
        pytest.param(new("ann\u2028"), id="separator in the name"),
        pytest.param(new(email="nowhere"), id="no mail address"),
        pytest.param(new(email="ann@x.test\nforged"), id="line end in the mail address"),
        pytest.param(new(email="ann@" + "x" * 251), id="long mail address"),
        pytest.param(new(password="x" * (MIN_PASSWORD_CHARACTERS - 1)), id="short password"),
        pytest.param(new(password=""), id="empty password"),
    ],
)
def test_user_that_cannot_be_is_refused_with_one_line(admin: UserAdmin, wrong: NewUser) -> None:
    with pytest.raises(UserAdminError) as caught:
        admin.create(wrong)
    assert len(str(caught.value).splitlines()) == 1
    assert admin.users() == []


@pytest.mark.parametrize(
    "name", ["x" * MAX_NAME_CHARACTERS, "größe", "ann.b-c+d@e"], ids=["long", "umlaut", "signs"]
)
def test_unusual_name_is_taken(admin: UserAdmin, name: str) -> None:
    assert admin.user_id(name if admin.create(new(name)) else "") > 0


@pytest.mark.parametrize(
    "other", [new(email="other@x.test"), new(username="ben")], ids=["name", "mail"]
)
def test_name_and_mail_address_are_there_once(admin: UserAdmin, other: NewUser) -> None:
    admin.create(new())
    with pytest.raises(UserAdminError, match="exists already"):
        admin.create(other)
    assert len(admin.users()) == 1


def test_password_is_never_told_in_an_error(admin: UserAdmin) -> None:
    with pytest.raises(UserAdminError) as caught:
        admin.create(new(password="hunter2"))
    assert "hunter2" not in str(caught.value)


def test_unknown_user_is_told_how_to_find_one(admin: UserAdmin) -> None:
    for act in (
        lambda: admin.user_id("nobody"),
        lambda: admin.set_role("nobody", Role.ADMIN),
        lambda: admin.set_password("nobody", PASSWORD),
    ):
        with pytest.raises(UserAdminError, match="flask user list"):
            act()


def test_role_and_password_are_changed(admin: UserAdmin, engine: Engine) -> None:
    user_id = admin.create(new())
    admin.set_role("ann", Role.OPERATOR)
    admin.set_password("ann", PASSWORD)
    user = stored(engine, user_id)
    assert user.role == "operator"
    assert verify_password(user.password_hash, PASSWORD)


def test_short_password_does_not_replace_a_good_one(admin: UserAdmin, engine: Engine) -> None:
    user_id = admin.create(new(password=PASSWORD))
    with pytest.raises(UserAdminError):
        admin.set_password("ann", "short")
    assert verify_password(stored(engine, user_id).password_hash, PASSWORD)


def test_first_staff_is_made_once_and_can_log_in(admin: UserAdmin, engine: Engine) -> None:
    first = admin.make_first_staff()
    assert first is not None
    user_id, password = first
    user = stored(engine, user_id)
    assert (user.username, user.role) == ("admin", "admin")
    assert verify_password(user.password_hash, password)
    assert admin.make_first_staff() is None


def test_first_staff_is_not_made_beside_other_staff(admin: UserAdmin) -> None:
    admin.create(new(role=Role.VIEWER))
    assert admin.make_first_staff() is None


@pytest.mark.parametrize(
    "taken", [new("admin"), new(email="admin@localhost")], ids=["name", "mail address"]
)
def test_nobody_is_made_where_the_name_of_the_first_staff_is_taken(
    admin: UserAdmin, taken: NewUser
) -> None:
    admin.create(taken)
    assert admin.make_first_staff() is None


def test_gateway_starts_after_the_last_of_its_staff_was_demoted(admin: UserAdmin) -> None:
    admin.make_first_staff()
    admin.set_role("admin", Role.NONE)
    assert admin.make_first_staff() is None


def test_users_without_a_role_are_no_staff(admin: UserAdmin) -> None:
    admin.create(new())
    assert admin.make_first_staff() is not None


def test_zone_of_the_first_start_stays(admin: UserAdmin) -> None:
    assert admin.fix_timezone("Europe/Berlin") == "Europe/Berlin"
    assert admin.fix_timezone("UTC") == "Europe/Berlin"

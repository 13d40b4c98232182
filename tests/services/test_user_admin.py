"""Users as the operator and administrators make and change them."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import COMMAND_LINE, Actor
from ai_gateway.domain.roles import Role
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.services.audit import Audit
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.password_rules import MIN_CHARACTERS
from ai_gateway.services.user_admin import (
    MAX_NAME_CHARACTERS,
    NewUser,
    UserAdmin,
    UserAdminError,
    UserEdit,
)
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.passwords import verify_password
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import AuditRow, StaffSession, User
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from tests.engines import opened_engine
from tests.keys import issue
from tests.services.workbench import NOW, SetClock
from tests.sql_database import sqlite_url
from tests.web.staff_app import NO_REDIS

PASSWORD = "correct horse battery"
ADA = Actor(100, "ada", Role.ADMIN, "192.0.2.1")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened_engine(sqlite_url(tmp_path)) as opened_one:
        yield opened_one


@pytest.fixture
def admin(engine: Engine) -> Iterator[UserAdmin]:
    """While Redis is away: only keys need it."""
    with connect(NO_REDIS) as away:
        yield admin_on(engine, away)


def admin_on(engine: Engine, client: redis.Redis) -> UserAdmin:
    clock = SetClock()
    return UserAdmin(
        UserTable(engine), keys_on(engine, client), Audit(AuditTable(engine), clock), clock
    )


def keys_on(engine: Engine, client: redis.Redis) -> KeyAdmin:
    return KeyAdmin(
        KeyTable(engine, {}),
        KeyCopies(client),
        pepper=b"pepper",
        clock=SetClock(),
        random_bytes=os.urandom,
    )


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
    user = stored(engine, admin.create(new(role=Role.VIEWER), COMMAND_LINE))
    assert (user.username, user.email, user.role) == ("ann", "ann@x.test", "viewer")
    assert (user.is_enabled, user.password_hash, user.created_at) == (True, None, NOW)


def test_password_is_stored_as_a_hash(admin: UserAdmin, engine: Engine) -> None:
    user = stored(engine, admin.create(new(password=PASSWORD), COMMAND_LINE))
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
        pytest.param(new(email="@"), id="nothing beside the sign"),
        pytest.param(new(email="ann@ben@x.test"), id="two signs"),
        pytest.param(new(email="ann@x test"), id="blank in the mail address"),
        pytest.param(new(password="administrator"), id="common password"),
        pytest.param(new(email="ann@x.test\nforged"), id="line end in the mail address"),
        pytest.param(new(email="ann@" + "x" * 251), id="long mail address"),
        pytest.param(new(password="x" * (MIN_CHARACTERS - 1)), id="short password"),
        pytest.param(new(password=""), id="empty password"),
    ],
)
def test_user_that_cannot_be_is_refused_with_one_line(admin: UserAdmin, wrong: NewUser) -> None:
    with pytest.raises(UserAdminError) as caught:
        admin.create(wrong, COMMAND_LINE)
    assert len(str(caught.value).splitlines()) == 1
    assert admin.users() == []


@pytest.mark.parametrize(
    "name", ["x" * MAX_NAME_CHARACTERS, "größe", "ann.b-c+d@e"], ids=["long", "umlaut", "signs"]
)
def test_unusual_name_is_taken(admin: UserAdmin, name: str) -> None:
    assert admin.user_id(name if admin.create(new(name), COMMAND_LINE) else "") > 0


@pytest.mark.parametrize(
    "other", [new(email="other@x.test"), new(username="ben")], ids=["name", "mail"]
)
def test_name_and_mail_address_are_there_once(admin: UserAdmin, other: NewUser) -> None:
    admin.create(new(), COMMAND_LINE)
    with pytest.raises(UserAdminError, match="exists already"):
        admin.create(other, COMMAND_LINE)
    assert len(admin.users()) == 1


def test_password_is_never_told_in_an_error(admin: UserAdmin) -> None:
    with pytest.raises(UserAdminError) as caught:
        admin.create(new(password="hunter2"), COMMAND_LINE)
    assert "hunter2" not in str(caught.value)


def test_unknown_user_is_told_how_to_find_one(admin: UserAdmin) -> None:
    for act in (
        lambda: admin.user_id("nobody"),
        lambda: admin.set_role("nobody", Role.ADMIN, COMMAND_LINE),
        lambda: admin.set_password("nobody", PASSWORD, COMMAND_LINE),
    ):
        with pytest.raises(UserAdminError, match="flask user list"):
            act()


def test_role_and_password_are_changed(admin: UserAdmin, engine: Engine) -> None:
    user_id = admin.create(new(), COMMAND_LINE)
    admin.set_role("ann", Role.OPERATOR, COMMAND_LINE)
    admin.set_password("ann", PASSWORD, COMMAND_LINE)
    user = stored(engine, user_id)
    assert user.role == "operator"
    assert verify_password(user.password_hash, PASSWORD)


def test_short_password_does_not_replace_a_good_one(admin: UserAdmin, engine: Engine) -> None:
    user_id = admin.create(new(password=PASSWORD), COMMAND_LINE)
    with pytest.raises(UserAdminError):
        admin.set_password("ann", "short", COMMAND_LINE)
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
    admin.create(new(role=Role.VIEWER), COMMAND_LINE)
    assert admin.make_first_staff() is None


@pytest.mark.parametrize(
    "taken", [new("admin"), new(email="admin@localhost")], ids=["name", "mail address"]
)
def test_nobody_is_made_where_the_name_of_the_first_staff_is_taken(
    admin: UserAdmin, taken: NewUser
) -> None:
    admin.create(taken, COMMAND_LINE)
    assert admin.make_first_staff() is None


def test_gateway_starts_after_the_last_of_its_staff_was_demoted(admin: UserAdmin) -> None:
    admin.make_first_staff()
    admin.set_role("admin", Role.NONE, COMMAND_LINE)
    assert admin.make_first_staff() is None


def test_users_without_a_role_are_no_staff(admin: UserAdmin) -> None:
    admin.create(new(), COMMAND_LINE)
    assert admin.make_first_staff() is not None


def test_zone_of_the_first_start_stays(admin: UserAdmin) -> None:
    assert admin.fix_timezone("Europe/Berlin") == "Europe/Berlin"
    assert admin.fix_timezone("UTC") == "Europe/Berlin"


def edited(**changes: object) -> UserEdit:
    return replace(UserEdit("ann@x.test", Role.NONE, is_enabled=True), **changes)  # type: ignore[arg-type]  # as the test wants


def audited(engine: Engine) -> list[tuple[str, str, dict[str, object], dict[str, object]]]:
    with Session(engine) as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id))
        return [(row.actor_name, row.action, dict(row.before), dict(row.after)) for row in rows]


def add_session(engine: Engine, user_id: int, id_hash: str) -> None:
    with Session(engine) as session, session.begin():
        session.add(
            StaffSession(id_hash=id_hash, user_id=user_id, created_at=NOW, last_seen_at=NOW)
        )


def sessions(engine: Engine) -> int:
    with Session(engine) as session:
        return session.scalar(select(func.count(StaffSession.id_hash))) or 0


def test_every_change_is_recorded_field_by_field_and_no_password(
    admin: UserAdmin, engine: Engine
) -> None:
    user_id = admin.create(new(password=PASSWORD), ADA)
    wanted = UserEdit("new@x.test", Role.VIEWER, is_enabled=False, password=f"{PASSWORD} staple")
    admin.edit(user_id, wanted, ADA)
    admin.set_role("ann", Role.NONE, COMMAND_LINE)
    admin.delete(user_id, ADA)
    made = {"username": "ann", "email": "ann@x.test", "role": "none"}
    gone = {"username": "ann", "email": "new@x.test", "role": "none"}
    assert audited(engine) == [
        ("ada", "user_create", {}, made | {"enabled": True, "can_log_in": True}),
        ("ada", "user_edit", {"email": "ann@x.test"}, {"email": "new@x.test"}),
        ("ada", "role_change", {"role": "none"}, {"role": "viewer"}),
        ("ada", "user_disable", {"enabled": True}, {"enabled": False}),
        ("ada", "password_change", {}, {}),
        ("command line", "role_change", {"role": "viewer"}, {"role": "none"}),
        ("ada", "user_delete", gone | {"enabled": False, "can_log_in": True}, {}),
    ]


def test_an_edit_that_changes_nothing_leaves_no_line(admin: UserAdmin, engine: Engine) -> None:
    user_id = admin.create(new(), ADA)
    assert admin.edit(user_id, edited(), ADA)
    assert len(audited(engine)) == 1


def test_a_change_that_cannot_be_recorded_is_not_made(admin: UserAdmin, engine: Engine) -> None:
    user_id = admin.create(new(), ADA)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER full BEFORE INSERT ON audit_entry "
                "BEGIN SELECT RAISE(ABORT, 'no more'); END"
            )
        )
    with pytest.raises(UserAdminError, match="the database refused this change; reference"):
        admin.edit(user_id, edited(role=Role.ADMIN), ADA)
    assert stored(engine, user_id).role == "none"


def test_what_the_database_refuses_is_told_by_a_reference_and_not_by_sql(
    admin: UserAdmin, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                'CREATE TRIGGER closed BEFORE INSERT ON "user" '
                "BEGIN SELECT RAISE(ABORT, 'no more users'); END"
            )
        )
    with pytest.raises(UserAdminError) as caught:
        admin.create(new(password=PASSWORD), ADA)
    told = str(caught.value)
    reference = told.rpartition(" ")[2]
    assert "no more users" not in told
    assert "INSERT" not in told
    (record,) = caplog.records
    assert vars(record)["reference"] == reference
    assert "argon2" not in caplog.text


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(edited(role=Role.OPERATOR), id="demoted"),
        pytest.param(edited(role=Role.ADMIN, is_enabled=False), id="disabled"),
    ],
)
def test_the_last_administrator_stays_one(
    admin: UserAdmin, engine: Engine, wanted: UserEdit
) -> None:
    ann = admin.create(new(password=PASSWORD, role=Role.ADMIN), ADA)
    admin.create(new("ben", "ben@x.test", role=Role.ADMIN), ADA)
    eve = admin.create(new("eve", "eve@x.test", PASSWORD, Role.ADMIN), ADA)
    admin.set_enabled(eve, ADA, is_enabled=False)
    # Ben has no password and Eve is disabled: neither could undo it.
    with pytest.raises(UserAdminError, match="last administrator"):
        admin.edit(ann, wanted, ADA)
    with pytest.raises(UserAdminError, match="last administrator"):
        admin.delete(ann, ADA)
    assert (stored(engine, ann).role, stored(engine, ann).is_enabled) == ("admin", True)
    admin.set_enabled(eve, ADA, is_enabled=True)
    admin.edit(ann, wanted, ADA)


def test_an_address_of_another_user_is_refused_by_its_field(admin: UserAdmin) -> None:
    admin.create(new(), ADA)
    ben = admin.create(new("ben", "ben@x.test"), ADA)
    with pytest.raises(UserAdminError, match="mail address exists already") as caught:
        admin.edit(ben, edited(), ADA)
    assert caught.value.field == "email"


def test_an_address_from_before_the_rule_may_stay(admin: UserAdmin, engine: Engine) -> None:
    user_id = admin.create(new(), ADA)
    with engine.begin() as connection:
        connection.execute(text("UPDATE \"user\" SET email = 'nowhere'"))
    admin.edit(user_id, edited(email="nowhere", role=Role.VIEWER), ADA)
    assert stored(engine, user_id).role == "viewer"


def test_sessions_end_with_a_new_password_and_when_disabled_but_not_with_a_role(
    admin: UserAdmin, engine: Engine
) -> None:
    user_id = admin.create(new(), ADA)
    other = admin.create(new("ben", "ben@x.test"), ADA)
    add_session(engine, other, "of ben")
    for number, (wanted, left) in enumerate(
        [
            (edited(role=Role.VIEWER), 2),
            (edited(role=Role.VIEWER, password=PASSWORD), 1),
            (edited(role=Role.VIEWER, is_enabled=False), 1),
        ]
    ):
        add_session(engine, user_id, f"of ann {number}")
        admin.edit(user_id, wanted, ADA)
        assert sessions(engine) == left


def test_keys_of_a_disabled_user_stop_at_once_and_come_back(
    engine: Engine, redis_client: redis.Redis
) -> None:
    admin, keys = admin_on(engine, redis_client), keys_on(engine, redis_client)
    user_id = admin.create(new(), ADA)
    key_id = issue(keys, user_id).split("_")[1]
    copies = KeyCopies(redis_client)
    for is_enabled, status in ((False, KeyStatus.REVOKED), (True, KeyStatus.ACTIVE)):
        before = copies.load(key_id)
        assert admin.set_enabled(user_id, ADA, is_enabled=is_enabled)
        after = copies.load(key_id)
        assert before is not None
        assert after is not None
        assert after[0].status is status
        # A copy that was read before the change, and is published late, must not win.
        assert after[0].version > before[0].version


def test_it_is_told_when_keys_could_not_be_reached(admin: UserAdmin) -> None:
    user_id = admin.create(new(), ADA)
    issue(admin._keys, user_id)
    assert not admin.set_enabled(user_id, ADA, is_enabled=False)


def test_a_user_with_keys_is_disabled_instead_of_deleted(admin: UserAdmin, engine: Engine) -> None:
    user_id = admin.create(new(), ADA)
    with connect(NO_REDIS) as away:
        issue(keys_on(engine, away), user_id)
    with pytest.raises(UserAdminError, match="disable it instead"):
        admin.delete(user_id, ADA)
    assert stored(engine, user_id).username == "ann"


def test_a_user_who_is_gone_is_told_so(admin: UserAdmin) -> None:
    for act in (
        lambda: admin.delete(5, ADA),
        lambda: admin.edit(5, edited(), ADA),
        lambda: admin.set_enabled(5, ADA, is_enabled=True),
    ):
        with pytest.raises(UserAdminError, match="does not exist any more"):
            act()

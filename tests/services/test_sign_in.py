"""Logging in: who may, how often, for how long, and what is stored of it."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from ai_gateway.domain.audit import Actor
from ai_gateway.domain.roles import Role
from ai_gateway.services.audit import Audit
from ai_gateway.services.sign_in import SignIn, TooManyLogIns
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.log_in_limits import LogInLimits
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.staff_sessions import StaffSessions
from ai_gateway.stores.tables import AuditRow, StaffSession, User, db
from tests.seeding import NOW, PASSWORD, add_user
from tests.sql_database import counted_statements, opened, sqlite_url
from tests.web.staff_app import NO_REDIS, SetClock

STRANGER = Actor(address="192.0.2.1")


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def sign_in(tmp_path: Path, clock: SetClock) -> Iterator[SignIn]:
    with opened(sqlite_url(tmp_path)), connect(NO_REDIS) as redis:
        audit = Audit(AuditTable(db.engine), clock)
        yield SignIn(StaffSessions(), LogInLimits(redis), audit, clock)


def _token(sign_in: SignIn, username: str = "ann") -> str:
    token = sign_in.sign_in(username, PASSWORD, STRANGER)
    assert token is not None
    return token


def test_a_token_names_the_user_as_the_database_has_them_now(sign_in: SignIn) -> None:
    user_id = add_user("ann", role="viewer")
    token = _token(sign_in)
    db.session.execute(update(User).values(role="operator"))
    db.session.commit()
    user = sign_in.load(token)
    assert user is not None
    assert (user.user_id, user.username, user.email) == (user_id, "ann", "ann@example.com")
    assert user.role is Role.OPERATOR


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("ann", "wrong"),
        ("ann", ""),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("ANN", PASSWORD),
        ("ann\0", PASSWORD),
        ("program", PASSWORD),
        ("disabled", PASSWORD),
    ],
)
def test_only_an_enabled_user_with_the_right_password_gets_in(
    sign_in: SignIn, username: str, password: str
) -> None:
    add_user("ann")
    add_user("program", password_hash=None)
    add_user("disabled", is_enabled=False)
    assert sign_in.sign_in(username, password, STRANGER) is None
    assert db.session.scalar(select(func.count(StaffSession.id_hash))) == 0


def test_a_user_without_a_role_may_log_in(sign_in: SignIn) -> None:
    add_user("ann")
    user = sign_in.load(_token(sign_in))
    assert user is not None
    assert user.role is Role.NONE


def test_a_role_that_nobody_knows_gives_no_rights(sign_in: SignIn) -> None:
    add_user("ann", role="emperor")
    user = sign_in.load(_token(sign_in))
    assert user is not None
    assert user.role is Role.NONE


def test_each_log_in_has_a_token_of_its_own_and_only_its_hash_is_stored(sign_in: SignIn) -> None:
    add_user("ann")
    tokens = {_token(sign_in), _token(sign_in)}
    assert len(tokens) == 2
    assert all(len(token) >= 43 for token in tokens)
    stored = set(db.session.scalars(select(StaffSession.id_hash)))
    assert stored == {hashlib.sha256(token.encode()).hexdigest() for token in tokens}


def test_an_unknown_token_is_nobody(sign_in: SignIn) -> None:
    assert sign_in.load("made up") is None


def test_a_token_is_dead_after_signing_out_and_others_live(sign_in: SignIn) -> None:
    add_user("ann")
    first, second = _token(sign_in), _token(sign_in)
    sign_in.sign_out(first, STRANGER)
    assert sign_in.load(first) is None
    assert sign_in.load(second) is not None


def test_a_disabled_user_is_out_at_once(sign_in: SignIn) -> None:
    add_user("ann")
    token = _token(sign_in)
    db.session.execute(update(User).values(is_enabled=False))
    db.session.commit()
    assert sign_in.load(token) is None


def test_an_idle_session_ends_after_an_hour(sign_in: SignIn, clock: SetClock) -> None:
    add_user("ann")
    token = _token(sign_in)
    clock.now = NOW + timedelta(minutes=59, seconds=59)
    assert sign_in.load(token) is not None
    clock.now += timedelta(minutes=60)
    assert sign_in.load(token) is None


def test_a_page_that_refreshes_itself_does_not_keep_a_session(
    sign_in: SignIn, clock: SetClock
) -> None:
    add_user("ann")
    token = _token(sign_in)
    for _ in range(59):
        clock.now += timedelta(minutes=1)
        assert sign_in.glance(token) is not None
    clock.now += timedelta(minutes=1)
    assert sign_in.glance(token) is None
    assert sign_in.load(token) is None


def test_a_busy_session_ends_after_twelve_hours(sign_in: SignIn, clock: SetClock) -> None:
    add_user("ann")
    token = _token(sign_in)
    while clock.now < NOW + timedelta(hours=11, minutes=30):
        clock.now += timedelta(minutes=30)
        assert sign_in.load(token) is not None
    clock.now += timedelta(minutes=30)
    assert sign_in.load(token) is None


def test_being_seen_is_written_at_most_once_a_minute(sign_in: SignIn, clock: SetClock) -> None:
    add_user("ann")
    token = _token(sign_in)
    with counted_statements() as sent:
        for seconds in (0, 30, 59, 60, 90, 119, 120):
            clock.now = NOW + timedelta(seconds=seconds)
            sign_in.load(token)
    assert len([sql for sql in sent if sql.startswith("UPDATE")]) == 2


def test_a_new_log_in_clears_away_dead_ones(sign_in: SignIn, clock: SetClock) -> None:
    add_user("ann")
    _token(sign_in)
    clock.now = NOW + timedelta(hours=12, seconds=1)
    _token(sign_in)
    assert db.session.scalar(select(func.count(StaffSession.id_hash))) == 1


def _audited() -> list[tuple[str, str, int | None, str | None]]:
    query = select(AuditRow).order_by(AuditRow.id)
    rows = [
        (row.action, row.result, row.actor_user_id, row.target_name)
        for row in db.session.scalars(query)
    ]
    db.session.rollback()
    return rows


def test_every_attempt_is_recorded_with_its_result(sign_in: SignIn) -> None:
    ann = add_user("ann")
    token = _token(sign_in)
    sign_in.sign_in("ann", "wrong", STRANGER)
    sign_in.sign_out(token, Actor(ann, "ann"))
    assert _audited() == [
        ("log_in", "ok", ann, "ann"),
        ("log_in", "failed", None, "ann"),
        ("log_out", "ok", ann, None),
    ]
    assert db.session.scalars(select(AuditRow.address)).first() == "192.0.2.1"


def test_a_name_that_nobody_has_is_not_recorded_since_it_may_be_a_password(
    sign_in: SignIn,
) -> None:
    sign_in.sign_in(PASSWORD, "ann", STRANGER)
    assert _audited() == [("log_in", "failed", None, None)]


def test_the_sixth_failure_is_refused_even_with_the_right_password(sign_in: SignIn) -> None:
    add_user("ann")
    for _ in range(5):
        assert sign_in.sign_in("ann", "wrong", STRANGER) is None
    for _ in range(2):
        with pytest.raises(TooManyLogIns) as caught:
            sign_in.sign_in("ann", PASSWORD, STRANGER)
    assert timedelta(minutes=4) < caught.value.retry_after <= timedelta(minutes=5)
    assert db.session.scalar(select(func.count(StaffSession.id_hash))) == 0
    db.session.rollback()
    # The second one is refused as well, but must not let anybody fill the table.
    assert [result for _, result, *_ in _audited()] == ["failed"] * 5 + ["limited"]


def test_another_user_from_there_still_gets_in(sign_in: SignIn) -> None:
    add_user("ann")
    add_user("ben")
    for _ in range(5):
        sign_in.sign_in("ann", "wrong", STRANGER)
    with pytest.raises(TooManyLogIns):
        sign_in.sign_in("ann", PASSWORD, STRANGER)
    assert sign_in.sign_in("ben", PASSWORD, STRANGER) is not None
    assert sign_in.sign_in("ann", PASSWORD, Actor(address="192.0.2.2")) is not None


def test_a_stranger_does_the_same_work_as_a_wrong_password(sign_in: SignIn) -> None:
    add_user("ann")
    with counted_statements() as known:
        sign_in.sign_in("ann", "wrong", STRANGER)
    with counted_statements() as unknown:
        sign_in.sign_in("nobody", "wrong", STRANGER)
    assert known == unknown

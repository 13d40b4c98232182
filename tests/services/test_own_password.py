"""Changing one's own password."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from ai_gateway.domain.audit import Actor
from ai_gateway.services.audit import Audit
from ai_gateway.services.own_password import OwnPassword, WrongPassword
from ai_gateway.services.password_rules import PasswordRefused
from ai_gateway.services.sign_in import SignedInUser, SignIn, TooManyLogIns
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.log_in_limits import LogInLimits
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.staff_sessions import StaffSessions
from ai_gateway.stores.tables import AuditRow, db
from ai_gateway.stores.users import UserTable
from tests.seeding import PASSWORD, add_user
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import NO_REDIS, SetClock

HERE = Actor(address="192.0.2.1")
NEW = "a quite different sentence"


@dataclass
class Desk:
    """Ann at two machines; here is the first."""

    sign_in: SignIn
    own_password: OwnPassword
    here: str
    elsewhere: str

    @property
    def ann(self) -> SignedInUser:
        found = self.sign_in.load(self.here)
        assert found is not None
        return found

    def change(self, present: str = PASSWORD, new: str = NEW) -> None:
        actor = Actor(self.ann.user_id, "ann", address=HERE.address)
        self.own_password.change(self.ann, self.here, actor, present=present, new=new)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened(sqlite_url(tmp_path)), connect(NO_REDIS) as redis:
        add_user("ann")
        audit = Audit(AuditTable(db.engine), SetClock())
        sign_in = SignIn(StaffSessions(), LogInLimits(redis), audit, SetClock())
        tokens = [sign_in.sign_in("ann", PASSWORD, HERE) or "" for _ in range(2)]
        yield Desk(sign_in, OwnPassword(UserTable(db.engine), sign_in, audit), *tokens)


def changes() -> list[tuple[str, str | None]]:
    query = select(AuditRow.result, AuditRow.target_name).where(AuditRow.action.like("password%"))
    return [(result, name) for result, name in db.session.execute(query)]


def test_after_it_only_the_new_one_works_and_other_sessions_are_gone(desk: Desk) -> None:
    desk.change()
    assert desk.sign_in.load(desk.here) is not None
    assert desk.sign_in.load(desk.elsewhere) is None
    assert desk.sign_in.sign_in("ann", PASSWORD, HERE) is None
    assert desk.sign_in.sign_in("ann", NEW, HERE) is not None
    assert changes() == [("ok", "ann")]


def test_a_wrong_present_one_changes_nothing(desk: Desk) -> None:
    with pytest.raises(WrongPassword):
        desk.change(present="wrong")
    assert desk.sign_in.load(desk.elsewhere) is not None
    assert changes() == [("failed", "ann")]
    assert desk.sign_in.sign_in("ann", PASSWORD, HERE) is not None


@pytest.mark.parametrize("weak", ["short", "administrator", "ann@example.com", PASSWORD])
def test_a_weak_new_one_changes_nothing(desk: Desk, weak: str) -> None:
    with pytest.raises(PasswordRefused):
        desk.change(new=weak)
    assert desk.sign_in.load(desk.elsewhere) is not None
    assert changes() == []


def test_a_stolen_session_is_no_way_to_guess_the_password(desk: Desk) -> None:
    for _ in range(5):
        with pytest.raises(WrongPassword):
            desk.change(present="wrong")
    with pytest.raises(TooManyLogIns):
        desk.change()
    assert [result for result, _ in changes()] == ["failed"] * 5 + ["limited"]

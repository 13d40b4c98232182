"""The audit as services use it, on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import (
    COMMAND_LINE,
    MASK,
    Action,
    Actor,
    Change,
    Result,
    Target,
    TargetKind,
    user_target,
)
from ai_gateway.domain.roles import Role
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.services.audit import Audit
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.tables import AuditRow
from tests.engines import another_writer, let_go, opened_engine
from tests.postgresql import running_postgresql
from tests.services.workbench import NOW, SetClock
from tests.sql_database import sqlite_url

ANN = Actor(7, "ann", Role.ADMIN, "192.0.2.1", request_id="r1")


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    with running_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    is_sqlite = request.param == "sqlite"
    url = sqlite_url(tmp_path) if is_sqlite else request.getfixturevalue("postgresql_url")
    with opened_engine(url) as opened_one:
        yield opened_one


@pytest.fixture
def audit(engine: Engine) -> Audit:
    return Audit(AuditTable(engine), SetClock())


def rows(engine: Engine) -> list[AuditRow]:
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(select(AuditRow).order_by(AuditRow.id)))


def test_an_entry_tells_who_did_what_to_whom_and_from_where(audit: Audit, engine: Engine) -> None:
    change = Change({"role": "none"}, {"role": "viewer", "password": "hunter2"}, "joined sales")
    audit.record(Action.ROLE_CHANGE, ANN, user_target(9, "ben"), change)
    (row,) = rows(engine)
    assert (row.at, row.action, row.result) == (NOW, "role_change", "ok")
    assert (row.actor_user_id, row.actor_name, row.actor_role) == (7, "ann", "admin")
    assert (row.address, row.request_id) == ("192.0.2.1", "r1")
    assert (row.target_kind, row.target_id, row.target_name) == ("user", "9", "ben")
    assert row.before == {"role": "none"}
    assert row.after == {"role": "viewer", "password": MASK}
    assert row.reason == "joined sales"


def test_an_entry_may_have_no_target_and_no_user(audit: Audit, engine: Engine) -> None:
    audit.record(Action.LOG_IN, Actor(address="::1"), result=Result.FAILED)
    audit.record(Action.USER_CREATE, COMMAND_LINE)
    unknown, command = rows(engine)
    assert (unknown.actor_user_id, unknown.target_kind, unknown.result) == (None, None, "failed")
    assert (command.actor_user_id, command.actor_name) == (None, "command line")


def test_words_of_any_length_fit(audit: Audit, engine: Engine) -> None:
    long = Actor(1, "n" * 999, Role.NONE, "a" * 999)
    audit.record(Action.EXPORT, long, Target(TargetKind.REPORT, "i" * 999, "t" * 999))
    (row,) = rows(engine)
    assert (len(row.actor_name), len(row.address)) == (150, 45)
    assert (len(str(row.target_id)), len(str(row.target_name))) == (64, 254)


def test_what_cannot_be_recorded_is_told(tmp_path: Path) -> None:
    with opened_engine(sqlite_url(tmp_path), busy_ms=1) as engine:
        audit = Audit(AuditTable(engine), SetClock())
        with another_writer(tmp_path / "test.db") as process:
            with pytest.raises(GatewayUnavailable):
                audit.record(Action.EXPORT, ANN)
            let_go(process)
        assert rows(engine) == []

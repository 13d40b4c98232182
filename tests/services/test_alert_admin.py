"""What staff do about alerts, where the page does not show it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.alerts import AlertKind
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.errors import ChangedMeanwhile, InvalidRequest
from ai_gateway.services.alert_admin import (
    SHOWN_FOR,
    AlertAdmin,
    RuleValues,
)
from ai_gateway.stores.tables import AuditRow
from tests.alerts import MAIL, NOON, WEBHOOK, admin_of, seed_alerts
from tests.engines import opened_engine
from tests.sql_database import sqlite_url


@dataclass
class Desk:
    """What staff have before them, and the time."""

    engine: Engine
    admin: AlertAdmin
    after: timedelta = timedelta(0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened_engine(sqlite_url(tmp_path)) as engine:
        made = Desk(engine, admin_of(engine, lambda: NOON + made.after, (MAIL, WEBHOOK)))
        yield made


def audited(desk: Desk) -> list[str]:
    with Session(desk.engine) as session:
        return list(session.scalars(select(AuditRow.action).order_by(AuditRow.id)))


@pytest.mark.parametrize(
    ("threshold", "cool_down", "param"),
    [(0, 0, "threshold"), (1001, 0, "threshold"), (100, -1, "cool_down"), (1, 43_201, "cool_down")],
)
def test_a_rule_has_bounds_and_a_wrong_one_leaves_no_trace(
    desk: Desk, threshold: int, cool_down: int, param: str
) -> None:
    values = RuleValues(is_on=True, threshold=threshold, cool_down_minutes=cool_down, version=0)
    with pytest.raises(InvalidRequest) as caught:
        desk.admin.change(AlertKind.BUDGET_REACHED, values, COMMAND_LINE)
    assert caught.value.param == param
    assert audited(desk) == []


def test_who_saw_an_older_rule_is_told_so(desk: Desk) -> None:
    values = RuleValues(is_on=False, threshold=100, cool_down_minutes=0, version=0)
    desk.admin.change(AlertKind.BUDGET_REACHED, values, COMMAND_LINE)
    with pytest.raises(ChangedMeanwhile):
        desk.admin.change(AlertKind.BUDGET_REACHED, values, COMMAND_LINE)
    assert audited(desk) == ["alert_change"]


def test_what_is_on_already_is_not_switched_on_again(desk: Desk) -> None:
    values = RuleValues(is_on=False, threshold=90, cool_down_minutes=7, version=0)
    desk.admin.change(AlertKind.BUDGET_REACHED, values, COMMAND_LINE)
    assert desk.admin.use_recommended(COMMAND_LINE) == (AlertKind.BUDGET_REACHED,)
    assert desk.admin.use_recommended(COMMAND_LINE) == ()
    rule = desk.admin.rules()[AlertKind.BUDGET_REACHED]
    # With what was chosen before.
    assert (rule.is_on, rule.threshold, rule.cool_down) == (True, 90, timedelta(minutes=7))


def test_a_closed_alert_is_shown_for_a_week(desk: Desk) -> None:
    seed_alerts(desk.engine, NOON)
    assert len(desk.admin.alerts()) == 3
    desk.after = SHOWN_FOR
    assert [one.resolved_at for one in desk.admin.alerts()] == [None, None]


def test_a_test_tells_of_each_channel_and_then_has_to_wait(desk: Desk) -> None:
    first, second = desk.admin.send_test(COMMAND_LINE, "")
    assert (first.channel, first.failure) == ("email", None)
    assert (second.channel, second.failure) == ("webhook", "answered 503")
    desk.after = timedelta(seconds=29)
    with pytest.raises(InvalidRequest, match="wait 1 seconds"):
        desk.admin.send_test(COMMAND_LINE, "")
    desk.after = timedelta(seconds=30)
    assert len(desk.admin.send_test(COMMAND_LINE, "")) == 2
    assert audited(desk) == ["alert_test"] * 2

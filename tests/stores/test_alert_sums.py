"""What rules read: budgets near their limits, paces, prices that are missing, calls that failed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ai_gateway.domain.alert_conditions import ProviderCalls, UnpricedModel
from ai_gateway.domain.alerts import AlertKind, default_rule
from ai_gateway.domain.limits import (
    NO_LIMIT,
    Budget,
    Limit,
    LimitKind,
    Scope,
    Window,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.spend_list import OpenWindow
from ai_gateway.services.alert_sources import BudgetSource, TracingSource, TrafficSource
from ai_gateway.services.tracing_health import TRACING_OFF
from ai_gateway.stores.alert_sums import AlertSums
from ai_gateway.stores.rollup_tables import ModelDay, ModelHour
from ai_gateway.stores.tables import AccountTotal, SpendLimit, User, VirtualKey
from tests.engines import opened_engine
from tests.money import UTC_ZONE, amount
from tests.sql_database import sqlite_url

NOW = datetime(2026, 11, 23, 7, 10, tzinfo=UTC)
DAY, MONTH = "2026-11-23", "2026-11"
USER_DAY, USER_MONTH = Budget(Scope.USER, Window.DAY), Budget(Scope.USER, Window.MONTH)
KEY_MONTH = Budget(Scope.KEY, Window.MONTH)
DEFAULTS = {
    USER_DAY: amount(1000),
    USER_MONTH: NO_LIMIT,
    Budget(Scope.INSTALLATION, Window.MONTH): amount(100_000),
}


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def sums(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AlertSums]:
    """Nobody changes what is in it."""
    folder: Path = tmp_path_factory.mktemp("sums")
    is_sqlite = request.param == "sqlite"
    url = sqlite_url(folder) if is_sqlite else request.getfixturevalue("postgresql_url")
    with opened_engine(url) as engine:
        _seed(engine)
        yield AlertSums(engine)


def _seed(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        for number, name in enumerate(("ann", "ben", "cyd", "dee", "eva"), 1):
            session.add(User(id=number, username=name, email=f"{name}@x", created_at=NOW))
        session.flush()
        key = {"digest": "0" * 64, "last4": "abcd", "user_id": 1, "created_at": NOW}
        session.add(VirtualKey(id=1, key_id="aaaaaaaa", **key))
        session.add(VirtualKey(id=2, key_id="bbbbbbbb", status="revoked", **key))
        limits = (
            ("user", 3, "day", LimitKind.NONE, 0),
            ("user", 4, "day", LimitKind.AMOUNT, 0),
            ("user", 1, "month", LimitKind.AMOUNT, 9000),
            ("key", 1, "month", LimitKind.AMOUNT, 100),
            ("key", 2, "month", LimitKind.AMOUNT, 100),
        )
        for scope, subject, window, kind, nano in limits:
            session.add(
                SpendLimit(
                    scope=scope, subject_id=subject, window=window, kind=kind, amount_nano_usd=nano
                )
            )
        # ann 80 %, ben 79 %, cyd unlimited, dee blocked, eva refused at 10 %.
        for user_id, spent in ((1, 800), (2, 799), (3, 5000), (4, 5), (5, 100)):
            session.add(_account("user", user_id, DAY, spent, is_refused=user_id == 5))
        session.add(_account("user", 1, MONTH, 3000))
        session.add(_account("key", 1, MONTH, 100))
        session.add(_account("key", 2, MONTH, 100))
        session.add(_account("installation", 0, MONTH, 99_000))
        for days in range(1, 9):
            # Eight days, of which seven count; on one of them nothing was asked.
            day = f"{NOW - timedelta(days=days):%Y-%m-%d}"
            session.add(_account("user", 1, day, 700, requests=int(days != 3)))
        hours = (("lab", 0, 30, 9), ("lab", 1, 10, 1), ("lab", 2, 500, 500), ("far", 0, 5, 0))
        for provider, ago, requests, failures in hours:
            session.add(
                ModelHour(
                    hour=NOW.replace(minute=0) - timedelta(hours=ago),
                    provider=provider,
                    model="m",
                    requests=requests,
                    failures=failures,
                )
            )
        for model, unpriced, days_ago in (("new", 3, 0), ("known", 0, 0), ("old", 3, 1)):
            start = NOW.replace(hour=0, minute=0) - timedelta(days=days_ago)
            session.add(ModelDay(day=start, provider="lab", model=model, unpriced=unpriced))


def _account(
    scope: str,
    subject: int,
    window: str,
    spent: int,
    requests: int = 1,
    *,
    is_refused: bool = False,
) -> AccountTotal:
    return AccountTotal(
        scope=scope,
        subject_id=subject,
        window_id=window,
        spent_nano_usd=spent,
        cost_nano_usd=spent,
        requests=requests,
        is_refused=is_refused,
    )


def names(sums: AlertSums, budget: Budget, window: str, percent: int, default: Limit) -> list[str]:
    return sorted(one.name for one in sums.spent(budget, OpenWindow(window, default), percent))


def test_budgets_are_found_by_the_part_that_is_spent_or_by_a_refusal(sums: AlertSums) -> None:
    assert names(sums, USER_DAY, DAY, 80, amount(1000)) == ["ann", "eva"]
    assert names(sums, USER_DAY, DAY, 79, amount(1000)) == ["ann", "ben", "eva"]
    # Neither without a limit nor with a limit of 0 there is a budget.
    assert names(sums, USER_DAY, DAY, 0, NO_LIMIT) == []
    (ann,) = sums.spent(USER_MONTH, OpenWindow(MONTH, NO_LIMIT), 1)
    assert (ann.use.spent, ann.use.limit, ann.account.subject_id) == (3000, amount(9000), 1)


def test_a_key_is_named_with_its_owner_and_only_while_it_works(sums: AlertSums) -> None:
    assert names(sums, KEY_MONTH, MONTH, 100, NO_LIMIT) == ["agw_aaaaaaaa of ann"]


def test_a_pace_is_that_of_the_named_days(sums: AlertSums) -> None:
    days = [f"2026-11-{day}" for day in range(16, 23)]
    (ann,) = sums.paces(USER_MONTH, OpenWindow(MONTH, NO_LIMIT), days)
    assert (ann.trailing.cost, ann.trailing.active_days) == (Money(4900), 6)
    (key,) = sums.paces(KEY_MONTH, OpenWindow(MONTH, NO_LIMIT), days)
    assert (key.trailing.cost, key.trailing.active_days) == (Money(0), 0)


def test_models_and_calls_are_those_of_the_span(sums: AlertSums) -> None:
    assert sums.unpriced(NOW.replace(hour=0, minute=0)) == (UnpricedModel("lab", "new", 3),)
    since = NOW.replace(minute=0) - timedelta(hours=1)
    assert sorted(sums.calls(since), key=lambda one: one.provider) == [
        ProviderCalls("far", 5, 0),
        ProviderCalls("lab", 40, 10),
    ]


def test_the_sources_ask_for_the_windows_that_are_open(sums: AlertSums) -> None:
    budgets = BudgetSource(sums, DEFAULTS, UTC_ZONE)
    near = budgets.near(default_rule(AlertKind.BUDGET_NEAR), NOW)
    assert sorted((one.subject, one.window) for one in near if one.is_firing) == [
        ("installation:0:month", MONTH),
        ("user:1:day", DAY),
    ]
    assert near[0].words.endswith("resets 2026-12-01 00:00 UTC")
    reached = budgets.reached(default_rule(AlertKind.BUDGET_REACHED), NOW)
    assert sorted(one.subject for one in reached if one.is_firing) == [
        "key:1:month",
        "user:5:day",
    ]
    projected = budgets.projected(default_rule(AlertKind.BUDGET_PROJECTED), NOW)
    # 3,000 so far, and 700 for each of the seven days that are left: 7,900 of 9,000.
    assert projected == []
    later = budgets.projected(default_rule(AlertKind.BUDGET_PROJECTED), NOW - timedelta(days=1))
    assert [(one.subject, one.is_firing) for one in later] == [("user:1:month", False)]


def test_the_roll_ups_are_asked_for_today_and_the_last_two_hours(sums: AlertSums) -> None:
    traffic = TrafficSource(sums, UTC_ZONE)
    (model,) = traffic.unpriced(default_rule(AlertKind.UNPRICED_MODEL), NOW)
    assert (model.subject, model.window) == ("lab/new", DAY)
    (lab,) = traffic.provider_errors(default_rule(AlertKind.PROVIDER_ERRORS), NOW)
    assert lab.words == "10 of 40 calls failed in the last hours (25 %)"


def test_traces_count_as_lost_from_the_second_look_on() -> None:
    dropped = iter((5, 5, 8, 2, 2))
    source = TracingSource(lambda: replace(TRACING_OFF, dropped=next(dropped)))
    rule = default_rule(AlertKind.EXPORT_QUEUE)
    found = [bool(source.export_queue(rule, NOW)) for _ in range(5)]
    # Less than before: a worker that ended took its number along.
    assert found == [False, False, True, False, False]

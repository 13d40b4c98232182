"""Alerts and their messages in SQL, on each database: once, however many bookkeepers look."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from ai_gateway.domain.alerts import (
    MOST_ATTEMPTS,
    AlertKind,
    Condition,
    Notice,
    NoticeState,
    Rule,
    default_rule,
)
from ai_gateway.domain.audit import COMMAND_LINE, NO_CHANGE, Action, AuditEntry, Result
from ai_gateway.stores.alert_deliveries import LEASE, AlertDeliveries, Claim
from ai_gateway.stores.alert_rules import AlertRules
from ai_gateway.stores.alert_tables import (
    AlertAttemptRow,
    AlertDeliveryRow,
    AlertRow,
    AlertRuleRow,
)
from ai_gateway.stores.alerts import AlertTable, Look, Outage
from ai_gateway.stores.tables import AuditRow
from tests.engines import opened_engine
from tests.sql_database import sqlite_url

NOW = datetime(2026, 11, 23, 7, 10, tzinfo=UTC)
WINDOWS = frozenset({"2026-11-23", "2026-11"})
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SPENT = replace(default_rule(AlertKind.BUDGET_REACHED), cool_down=timedelta(0))
ERRORS = replace(default_rule(AlertKind.PROVIDER_ERRORS), cool_down=HOUR)

ANN = Condition("user:1:day", "user ann, day", "all of it", "2026-11-23")
BEN = Condition("user:2:day", "user ben, day", "all of it", "2026-11-23")
OPENAI = Condition("openai", "openai", "9 of 20 calls failed")


def look(after: timedelta = timedelta(0), windows: frozenset[str] = WINDOWS) -> Look:
    return Look(NOW + after, windows)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def shared_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    is_sqlite = request.param == "sqlite"
    url = (
        sqlite_url(tmp_path_factory.mktemp("alerts"))
        if is_sqlite
        else request.getfixturevalue("postgresql_url")
    )
    with opened_engine(url) as opened:
        yield opened


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Emptied, since to make all tables anew for each test takes longer than the tests."""
    with shared_engine.begin() as connection:
        for table in (AlertAttemptRow, AlertDeliveryRow, AlertRow, AlertRuleRow, AuditRow):
            connection.execute(delete(table))
    return shared_engine


@pytest.fixture
def table(engine: Engine) -> AlertTable:
    return AlertTable(engine, ["email", "webhook"])


@pytest.fixture
def deliveries(engine: Engine) -> AlertDeliveries:
    return AlertDeliveries(engine)


def messages(engine: Engine, channel: str = "email") -> list[tuple[str, str]]:
    """State and title of every message to a channel, in order."""
    row = AlertDeliveryRow
    query = select(row.notice_state, row.title).where(row.channel == channel).order_by(row.id)
    with Session(engine) as session:
        return [(state, title) for state, title in session.execute(query)]


def told(engine: Engine) -> list[str]:
    return [title for _, title in messages(engine)]


def is_open(table: AlertTable) -> list[bool]:
    return [one.resolved_at is None for one in table.recent(10, since=NOW - HOUR)]


FIRST = "Budget spent: user ann, day"


def test_once_for_a_subject_and_window_and_to_every_channel(
    engine: Engine, table: AlertTable
) -> None:
    for seconds in (0, 30, 60):
        table.sync(SPENT, [ANN], look(timedelta(seconds=seconds)))
    assert messages(engine) == messages(engine, "webhook") == [("firing", FIRST)]
    assert is_open(table) == [True]
    tomorrow = replace(ANN, window="2026-11-24")
    table.sync(SPENT, [tomorrow], Look(NOW + 24 * HOUR, frozenset({"2026-11-24"})))
    assert told(engine) == [FIRST, FIRST]


def test_several_at_once_are_one_message(engine: Engine, table: AlertTable) -> None:
    many = [replace(ANN, subject=f"user:{n}:day", name=f"user {n}, day") for n in range(520)]
    table.sync(SPENT, many, look())
    assert told(engine) == ["Budget spent: 520 of them"]
    with Session(engine) as session:
        lines = session.scalars(select(AlertDeliveryRow.lines).limit(1)).one()
    assert (lines[0], len(lines)) == ("user 0, day: all of it", 21)
    assert lines[-1] == "and 500 more: the alerts page has them all"


def test_two_who_look_at_the_same_moment_tell_once(engine: Engine, table: AlertTable) -> None:
    other = AlertTable(engine, ["email", "webhook"])
    start = Barrier(2)

    def sync(one: AlertTable, found: Sequence[Condition], after: timedelta) -> None:
        start.wait(timeout=20)
        one.sync(ERRORS, found, look(after))

    with ThreadPoolExecutor(2) as pool:
        # Absent is told of only when it has been seen twice, a minute apart.
        for found, after in (([OPENAI], 0), ([], 1), ([], 2), ([OPENAI], 180)):
            list(pool.map(sync, (table, other), (found, found), (after * MINUTE, after * MINUTE)))
    title = "Provider fails: openai"
    assert told(engine) == [title, f"Resolved: {title}", title]


def test_what_is_over_is_told_after_it_has_been_absent_for_a_minute(
    engine: Engine, table: AlertTable
) -> None:
    table.sync(SPENT, [ANN], look())
    table.sync(SPENT, [], look(MINUTE))
    # Somebody looked a moment earlier than it came back.
    table.sync(SPENT, [ANN], look(MINUTE))
    table.sync(SPENT, [], look(2 * MINUTE))
    assert told(engine) == [FIRST]
    table.sync(SPENT, [], look(3 * MINUTE))
    assert messages(engine)[1:] == [("resolved", f"Resolved: {FIRST}")]
    assert is_open(table) == [False]


def test_again_in_the_same_window_is_shown_and_not_told(engine: Engine, table: AlertTable) -> None:
    table.sync(SPENT, [ANN], look())
    for minutes in (1, 2):
        table.sync(SPENT, [], look(minutes * MINUTE))
    table.sync(SPENT, [ANN], look(3 * MINUTE))
    assert len(told(engine)) == 2
    assert is_open(table) == [True]


def test_what_ends_with_its_window_is_told_to_nobody(engine: Engine, table: AlertTable) -> None:
    table.sync(SPENT, [ANN], look())
    table.sync(SPENT, [], Look(NOW + 24 * HOUR, frozenset({"2026-11-24", "2026-11"})))
    assert told(engine) == [FIRST]
    assert is_open(table) == [False]


def test_one_that_does_not_fire_keeps_an_alert_and_opens_none(
    engine: Engine, table: AlertTable
) -> None:
    holding = replace(ANN, is_firing=False)
    table.sync(SPENT, [holding], look())
    assert is_open(table) == []
    table.sync(SPENT, [ANN], look())
    for minutes in (1, 2, 3):
        table.sync(SPENT, [holding], look(minutes * MINUTE))
    assert is_open(table) == [True]
    assert told(engine) == [FIRST]


def test_a_cool_down_keeps_back_the_second_message_and_its_end(
    engine: Engine, table: AlertTable
) -> None:
    title = "Provider fails: openai"

    def comes_and_goes(minute: int) -> None:
        table.sync(ERRORS, [OPENAI], look(minute * MINUTE))
        for later in (1, 2):
            table.sync(ERRORS, [], look((minute + later) * MINUTE))

    comes_and_goes(0)
    assert told(engine) == [title, f"Resolved: {title}"]
    comes_and_goes(10)
    assert len(told(engine)) == 2
    assert [one.is_told for one in table.recent(10, since=NOW)] == [False, True]
    # What was kept back does not make it longer.
    comes_and_goes(61)
    assert len(told(engine)) == 4


def test_a_cool_down_is_of_one_subject(engine: Engine, table: AlertTable) -> None:
    table.sync(ERRORS, [OPENAI], look())
    lab = replace(OPENAI, subject="lab", name="lab")
    table.sync(ERRORS, [OPENAI, lab], look(MINUTE))
    assert told(engine) == ["Provider fails: openai", "Provider fails: lab"]


def test_alerts_of_rules_that_are_off_are_closed_and_nobody_is_told(
    engine: Engine, table: AlertTable
) -> None:
    table.sync(SPENT, [ANN], look())
    table.sync(ERRORS, [OPENAI], look())
    table.close([AlertKind.BUDGET_REACHED], NOW + MINUTE)
    assert is_open(table) == [True, False]
    assert len(told(engine)) == 2


def test_an_outage_that_was_told_past_it_is_recorded_once(
    engine: Engine, table: AlertTable
) -> None:
    over = Outage(AlertKind.SQL_DOWN, "sql_down x", "the database", "was away", NOW, NOW + HOUR)
    assert [table.record_outage(over) for _ in range(2)] == [True, False]
    assert told(engine) == ["Resolved: The database is down: the database"]
    still = Outage(AlertKind.REDIS_DOWN, "redis_down", "Redis", "is away", NOW, None)
    assert [table.record_outage(still) for _ in range(2)] == [True, False]
    # It is open now, so that a look tells no second time.
    table.sync(
        default_rule(AlertKind.REDIS_DOWN), [Condition("redis_down", "Redis", "x")], look(MINUTE)
    )
    assert len(told(engine)) == 1


class TestDeliveries:
    """Who sends, how often, and what is kept of it."""

    @pytest.fixture
    def waiting(self, table: AlertTable, deliveries: AlertDeliveries) -> AlertDeliveries:
        table.sync(SPENT, [ANN], look())
        table.sync(SPENT, [ANN, BEN], look(MINUTE))
        return deliveries

    def claim(self, deliveries: AlertDeliveries, after: timedelta = 2 * MINUTE) -> Claim:
        claim = deliveries.claim("email", NOW + after)
        assert claim is not None
        return claim

    def test_one_of_two_gets_a_message(self, waiting: AlertDeliveries, engine: Engine) -> None:
        start = Barrier(2)

        def claim(one: AlertDeliveries) -> Claim | None:
            start.wait(timeout=20)
            return one.claim("email", NOW + 2 * MINUTE)

        with ThreadPoolExecutor(2) as pool:
            got = [*pool.map(claim, (waiting, AlertDeliveries(engine)))]
        assert sorted(one is None for one in got) == [False, True]
        (mine,) = [one for one in got if one is not None]
        assert (mine.number, mine.notice.title) == (1, FIRST)
        assert mine.notice.lines == ("user ann, day: all of it",)

    def test_a_channel_sends_in_order_and_waits_for_its_oldest(
        self, waiting: AlertDeliveries
    ) -> None:
        first = self.claim(waiting)
        assert waiting.claim("email", NOW + 2 * MINUTE) is None
        waiting.finish(first, "no answer", NOW + 2 * MINUTE)
        assert waiting.claim("email", NOW + 2 * MINUTE) is None
        again = self.claim(waiting, 3 * MINUTE)
        assert (again.delivery_id, again.number) == (first.delivery_id, 2)
        waiting.finish(again, None, NOW + 3 * MINUTE)
        assert self.claim(waiting, 3 * MINUTE).notice.title == "Budget spent: user ben, day"
        # The other channel does not wait.
        assert waiting.claim("webhook", NOW + 2 * MINUTE) is not None

    def test_a_sender_that_dies_is_followed_by_another_when_its_lease_lapses(
        self, waiting: AlertDeliveries
    ) -> None:
        dead = self.claim(waiting)
        assert waiting.claim("email", NOW + 2 * MINUTE + LEASE - MINUTE) is None
        heir = self.claim(waiting, 2 * MINUTE + LEASE)
        assert (heir.delivery_id, heir.number) == (dead.delivery_id, 2)
        assert heir.notice.id == dead.notice.id
        # One that was only slow does not take the message from its heir.
        waiting.finish(dead, "no answer", NOW + 5 * MINUTE)
        waiting.finish(heir, None, NOW + 5 * MINUTE)
        assert self.claim(waiting, 5 * MINUTE).delivery_id != dead.delivery_id

    def test_it_is_tried_so_often_and_then_given_up(self, waiting: AlertDeliveries) -> None:
        after = 2 * MINUTE
        first = self.claim(waiting, after)
        claim = first
        for number in range(1, MOST_ATTEMPTS):
            assert claim.number == number
            waiting.finish(claim, "no answer", NOW + after)
            after += timedelta(minutes=30)
            claim = self.claim(waiting, after)
            assert claim.delivery_id == first.delivery_id
        waiting.finish(claim, "no answer", NOW + after)
        log = waiting.log(20)
        assert (log[0].number, log[0].next_at) == (MOST_ATTEMPTS, None)
        assert self.claim(waiting, after).delivery_id != first.delivery_id

    def test_one_whose_sender_died_at_the_last_attempt_is_given_up_too(
        self, waiting: AlertDeliveries
    ) -> None:
        after = 2 * MINUTE
        first = self.claim(waiting, after)
        for _ in range(1, MOST_ATTEMPTS):
            after += LEASE
            assert self.claim(waiting, after).delivery_id == first.delivery_id
        assert self.claim(waiting, after + LEASE).delivery_id != first.delivery_id

    def test_every_attempt_is_in_the_log(self, waiting: AlertDeliveries) -> None:
        failed = self.claim(waiting)
        waiting.finish(failed, "x" * 300, NOW + 2 * MINUTE)
        sent = self.claim(waiting, 3 * MINUTE)
        waiting.finish(sent, None, NOW + 3 * MINUTE, "refused for one")
        self.claim(waiting, 3 * MINUTE)
        running, done, before = waiting.log(10)
        assert (running.number, running.ended_at, running.is_sent) == (1, None, False)
        assert (done.number, done.is_sent, done.note, done.next_at) == (
            2, True, "refused for one", None,
        )  # fmt: skip
        assert (before.is_sent, len(before.note), before.title) == (False, 200, FIRST)
        assert [one.number for one in waiting.log(2)] == [1, 2]

    def test_a_test_is_stored_once_and_nobody_else_sends_it(
        self, deliveries: AlertDeliveries
    ) -> None:
        notice = Notice("t" * 32, NoticeState.TEST, None, "Test", ("hello",), NOW)
        assert deliveries.last_test_at() is None
        claims = deliveries.begin_test(notice, ["email", "webhook"], NOW)
        assert [claim.notice for claim in claims] == [notice, notice]
        assert deliveries.begin_test(notice, ["email", "webhook"], NOW) == []
        assert deliveries.claim("email", NOW + HOUR) is None
        deliveries.finish(claims[0], "no answer", NOW)
        assert deliveries.claim("email", NOW + HOUR) is None
        assert deliveries.last_test_at() == NOW

    def test_old_ones_go_a_few_at_a_time_with_their_attempts(
        self, waiting: AlertDeliveries, engine: Engine
    ) -> None:
        waiting.finish(self.claim(waiting), None, NOW + 2 * MINUTE)
        assert waiting.forget_old(NOW) == 0
        # What waits is not old, whatever its age.
        assert waiting.forget_old(NOW + HOUR, 1) == 1
        assert waiting.forget_old(NOW + HOUR) == 0
        with Session(engine) as session:
            assert session.scalar(select(func.count()).select_from(AlertAttemptRow)) == 0
            assert session.scalar(select(func.count()).select_from(AlertDeliveryRow)) == 3


class TestRules:
    """What staff chose."""

    ENTRY = AuditEntry(NOW, Action.ALERT_CHANGE, COMMAND_LINE, None, NO_CHANGE, Result.OK)

    def test_every_kind_has_a_rule(self, engine: Engine) -> None:
        assert AlertRules(engine).all() == {kind: default_rule(kind) for kind in AlertKind}

    def test_a_choice_replaces_the_one_it_saw_and_no_newer_one(self, engine: Engine) -> None:
        rules = AlertRules(engine)
        kind = AlertKind.BUDGET_NEAR
        mine = Rule(kind, is_on=False, threshold=70, cool_down=HOUR)
        assert rules.change(mine, self.ENTRY)
        assert not rules.change(replace(mine, threshold=60), self.ENTRY)
        assert rules.all()[kind] == replace(mine, version=1)
        assert rules.change(replace(mine, threshold=60, version=1), self.ENTRY)
        assert (rules.all()[kind].threshold, rules.all()[kind].version) == (60, 2)
        with Session(engine) as session:
            assert session.scalar(select(func.count()).select_from(AuditRow)) == 2

    def test_of_two_first_choices_at_the_same_moment_one_holds(self, engine: Engine) -> None:
        start = Barrier(2)

        def change(threshold: int) -> bool:
            rule = Rule(AlertKind.BUDGET_NEAR, is_on=True, threshold=threshold, cool_down=HOUR)
            start.wait(timeout=20)
            return AlertRules(engine).change(rule, self.ENTRY)

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(change, (50, 60))) == [False, True]

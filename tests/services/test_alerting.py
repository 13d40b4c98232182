"""The bookkeeper's looks: who is told what, over restarts, outages and servers that fail."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import redis
from sqlalchemy import Engine

from ai_gateway.domain.alerts import AlertKind, Condition, default_rule
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.errors import BudgetUnavailable, GatewayUnavailable
from ai_gateway.notify.mail import MailChannel, MailServer
from ai_gateway.notify.webhook import WebhookChannel
from ai_gateway.services.alert_admin import RuleValues
from ai_gateway.services.alert_delivery import AlertDelivery
from ai_gateway.services.alerting import AlertWatch
from ai_gateway.stores.alert_deliveries import LEASE, AlertDeliveries
from ai_gateway.stores.alerts import Look
from ai_gateway.stores.redis_client import connect
from tests.alerts import NOON, Desk, NoChannel, admin_of
from tests.engines import opened_engine
from tests.money import UTC_ZONE
from tests.notify.sinks import WebhookSink, mail_sink, webhook_sink
from tests.serve.gateway_process import free_port
from tests.sql_database import sqlite_url

PROJECT = Path(__file__).resolve().parents[2]
ANN = Condition("user:1:day", "user ann, day", "all of it", "2026-11-23")
TITLE = "Budget spent: user ann, day"
RULE, WINDOWS = default_rule(AlertKind.BUDGET_REACHED), frozenset({"2026-11-23"})
SQL_GONE, REDIS_GONE = "The database is down: the database", "Redis is down: Redis"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened_engine(sqlite_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with webhook_sink() as opened:
        yield opened


@pytest.fixture
def make_desk(engine: Engine, redis_client: redis.Redis, sink: WebhookSink) -> Callable[[], Desk]:
    """Bookkeepers on the same stores that tell the same sink."""
    return lambda: Desk(engine, redis_client, [WebhookChannel(sink.url, "json")])


@pytest.fixture
def desk(make_desk: Callable[[], Desk]) -> Desk:
    return make_desk()


def test_two_bookkeepers_and_every_restart_tell_once(
    make_desk: Callable[[], Desk], sink: WebhookSink
) -> None:
    for _ in range(3):
        for desk in (make_desk(), make_desk()):
            desk.found = {AlertKind.BUDGET_REACHED: [ANN]}
            desk.look()
    assert sink.titles == [TITLE]


def test_the_end_is_told_after_the_beginning(desk: Desk, sink: WebhookSink) -> None:
    desk.found = {AlertKind.BUDGET_REACHED: [ANN]}
    desk.look()
    desk.found = {}
    for _ in range(3):
        desk.look()
    assert sink.titles == [TITLE, f"Resolved: {TITLE}"]
    assert sink.bodies[1]["state"] == "resolved"


def test_a_rule_that_is_off_is_not_looked_at(desk: Desk, engine: Engine, sink: WebhookSink) -> None:
    admin = admin_of(engine, lambda: desk.now)
    admin.change(
        AlertKind.BUDGET_REACHED,
        RuleValues(is_on=False, threshold=100, cool_down_minutes=0, version=0),
        COMMAND_LINE,
    )
    desk.found = {AlertKind.BUDGET_REACHED: [ANN]}
    desk.look()
    assert admin.alerts() == ()
    assert sink.bodies == []


def test_what_cannot_be_read_is_neither_firing_nor_over(
    make_desk: Callable[[], Desk], engine: Engine, redis_client: redis.Redis, sink: WebhookSink
) -> None:
    desk = make_desk()
    desk.found = {AlertKind.OUTBOX_LAG: [Condition("outbox", "the ledger", "behind")]}
    desk.look()

    def unknown(_rule: object, _now: object) -> list[Condition]:
        raise BudgetUnavailable("timeout")

    blind = Desk(
        engine, redis_client, desk.channels, desk.now, sources={AlertKind.OUTBOX_LAG: unknown}
    )
    blind.found = {AlertKind.BUDGET_REACHED: [ANN]}
    for _ in range(4):
        blind.look()
    # And the other rules are looked at all the same.
    assert sink.titles == ["Ledger is behind: the ledger", TITLE]


def test_a_forecast_is_made_seldom(desk: Desk, sink: WebhookSink) -> None:
    month = replace(ANN, subject="user:1:month", window="2026-11")
    desk.look()
    desk.found = {AlertKind.BUDGET_PROJECTED: [month]}
    desk.look()
    assert sink.bodies == []
    desk.look(after=300)
    assert sink.titles == ["Budget will not last: user ann, day"]


class TestDelivery:
    """Servers that refuse and hang, and senders that die."""

    def test_a_refusal_is_tried_again_with_growing_pauses(
        self, desk: Desk, sink: WebhookSink
    ) -> None:
        sink.status = 503
        desk.found = {AlertKind.BUDGET_REACHED: [ANN]}
        desk.look()
        desk.look(after=14)
        assert len(sink.bodies) == 1
        desk.look(after=1)
        desk.look(after=29)
        assert len(sink.bodies) == 2
        sink.status = 200
        desk.look(after=1)
        desk.look(after=3600)
        assert len(set(sink.ids)) == 1
        log = desk.stores.deliveries.log(10)
        told = [(one.number, one.is_sent, one.note) for one in log]
        assert told == [(3, True, ""), (2, False, "answered 503"), (1, False, "answered 503")]

    def test_one_channel_does_not_wait_for_another(
        self, engine: Engine, redis_client: redis.Redis, sink: WebhookSink
    ) -> None:
        dead = MailServer("127.0.0.1", free_port(), "opportunistic")
        mail = MailChannel(dead, "gateway@example.com", ("ops@example.com",))
        desk = Desk(engine, redis_client, [mail, WebhookChannel(sink.url, "json")])
        desk.found = {AlertKind.BUDGET_REACHED: [ANN]}
        desk.look()
        assert sink.titles == [TITLE]
        with mail_sink() as post:
            live = MailServer("127.0.0.1", post.port, "opportunistic")
            heir = Desk(
                engine,
                redis_client,
                [MailChannel(live, "gateway@example.com", ("ops@example.com",))],
                desk.now,
            )
            heir.look()
        assert [mail["X-AI-Gateway-Alert-Id"] for mail in post.mails] == sink.ids

    def test_a_look_returns_at_once_while_a_server_hangs(
        self, desk: Desk, sink: WebhookSink
    ) -> None:
        reached = Event()
        sink.before_answer = reached.set
        sink.status = 0
        desk.found = {AlertKind.BUDGET_REACHED: [ANN]}
        watch = AlertWatch(desk.alerting, lambda: desk.now, UTC_ZONE)
        watch.start_look()
        assert reached.wait(20)
        # The look before this one still waits, so that nothing happens.
        watch.start_look()
        assert len(sink.bodies) == 1
        sink.released.set()
        assert watch._is_looking.acquire(timeout=20)

    def test_a_process_that_ends_sends_no_further_message(
        self, desk: Desk, sink: WebhookSink
    ) -> None:
        stores = desk.stores
        for found in ([ANN], [ANN, replace(ANN, subject="user:2:day", name="user ben, day")]):
            stores.alerts.sync(RULE, found, Look(NOON, WINDOWS))
        ending = AlertDelivery(
            stores.deliveries, desk.channels, lambda: NOON, may_go_on=lambda: False
        )
        ending.send_due()
        assert sink.titles == [TITLE]

    def test_what_arrived_and_could_not_be_marked_is_not_sent_again(
        self, desk: Desk, sink: WebhookSink, engine: Engine
    ) -> None:
        class Forgetful(AlertDeliveries):
            is_away = True

            def finish(self, *arguments: object, **_: object) -> None:
                if self.is_away:
                    raise GatewayUnavailable
                super().finish(*arguments)  # type: ignore[arg-type]  # handed on as they came

        desk.stores.alerts.sync(RULE, [ANN], Look(NOON, WINDOWS))
        table = Forgetful(engine)
        delivery = AlertDelivery(table, desk.channels, lambda: desk.now)
        with pytest.raises(GatewayUnavailable):
            delivery.send_due()
        table.is_away = False
        desk.now += LEASE
        delivery.send_due()
        assert len(sink.bodies) == 1
        assert table.log(1)[0].is_sent

    def test_a_sender_that_is_killed_loses_nothing(
        self, desk: Desk, engine: Engine, sink: WebhookSink
    ) -> None:
        """Killed while the receiver has the message and has not answered: claimed, not marked."""
        desk.stores.alerts.sync(RULE, [ANN], Look(NOON, WINDOWS))
        reached = Event()
        sink.before_answer = reached.set
        sink.status = 0
        moment = desk.now.isoformat()
        with _sender(engine, sink.url, moment) as process:
            assert reached.wait(60)
            process.kill()
        sink.status, sink.before_answer = 200, lambda: None
        heir = AlertDelivery(desk.stores.deliveries, desk.channels, lambda: desk.now)
        heir.send_due()
        assert len(sink.bodies) == 1, "its claim holds"
        desk.now += LEASE
        heir.send_due()
        heir.send_due()
        # The receiver may have seen it twice, and can tell by its name.
        assert len(sink.bodies) == 2
        assert len(set(sink.ids)) == 1
        log = desk.stores.deliveries.log(10)
        assert [(one.number, one.is_sent, one.ended_at is None) for one in log] == [
            (2, True, False),
            (1, False, True),
        ]


SENDER = """
import sys
from datetime import datetime
from sqlalchemy import create_engine
from ai_gateway.notify.webhook import WebhookChannel
from ai_gateway.services.alert_delivery import AlertDelivery
from ai_gateway.stores.alert_deliveries import AlertDeliveries
url, sink, now = sys.argv[1:]
channels = [WebhookChannel(sink, "json")]
moment = datetime.fromisoformat(now)
AlertDelivery(AlertDeliveries(create_engine(url)), channels, lambda: moment).send_due()
"""


def _sender(engine: Engine, url: str, now: str) -> "subprocess.Popen[bytes]":
    """Another process that sends what is due at this moment."""
    command = [sys.executable, "-c", SENDER, str(engine.url), url, now]
    return subprocess.Popen(command, cwd=PROJECT)


class Deadly(NoChannel):
    """Its sender is killed while it sends."""

    def send(self, _notice: object) -> str:
        raise SystemExit


class TestOutages:
    """The database keeps the alerts, and is what some of them are about."""

    def away(self, *desks: Desk, redis_too: bool = False) -> None:
        for desk in desks:
            desk.is_sql_up = False
            desk.is_redis_up = not redis_too

    def back(self, *desks: Desk) -> None:
        for desk in desks:
            desk.is_sql_up = desk.is_redis_up = True

    def test_redis_away_is_told_by_way_of_the_database(self, desk: Desk, sink: WebhookSink) -> None:
        desk.is_redis_up = False
        desk.look()
        desk.look()
        assert sink.bodies == []
        desk.look()
        assert sink.titles == [REDIS_GONE]
        self.back(desk)
        for _ in range(3):
            desk.look()
        assert sink.titles == [REDIS_GONE, f"Resolved: {REDIS_GONE}"]

    def test_the_database_away_is_told_once_by_one_of_two(
        self, make_desk: Callable[[], Desk], sink: WebhookSink
    ) -> None:
        first, second = make_desk(), make_desk()
        for desk in (first, second):
            desk.look()
        self.away(first, second)
        for _ in range(3):
            for desk in (first, second):
                desk.look()
        assert sink.titles == [SQL_GONE]
        self.back(first, second)
        for desk in (second, first):
            desk.look()
        for desk in (second, first):
            desk.look()
        assert sink.titles == [SQL_GONE, f"Resolved: {SQL_GONE}"]
        log = first.stores.deliveries.log(10)
        assert [one.title for one in log] == [f"Resolved: {SQL_GONE}", SQL_GONE]
        (alert,) = first.stores.alerts.recent(10, since=NOON)
        assert alert.resolved_at is not None

    def test_a_restart_in_the_middle_tells_no_second_time_and_tells_the_end(
        self, make_desk: Callable[[], Desk], sink: WebhookSink
    ) -> None:
        desk = make_desk()
        self.away(desk)
        for _ in range(3):
            desk.look()
        heir = make_desk()
        self.away(heir)
        heir.now = desk.now
        for _ in range(3):
            heir.look()
        assert sink.titles == [SQL_GONE]
        last = make_desk()
        last.now = heir.now
        last.look()
        assert sink.titles == [SQL_GONE, f"Resolved: {SQL_GONE}"]

    def test_one_who_died_at_it_is_followed_by_another(
        self,
        make_desk: Callable[[], Desk],
        engine: Engine,
        sink: WebhookSink,
        redis_client: redis.Redis,
    ) -> None:
        dead, heir = Desk(engine, redis_client, [Deadly("webhook", "")]), make_desk()
        self.away(dead, heir)
        dead.look()
        dead.look()
        with pytest.raises(SystemExit):
            dead.look()
        heir.now = dead.now
        heir.look()
        assert sink.bodies == [], "the claim holds"
        for name in redis_client.scan_iter("*outage:sql_down-*"):
            redis_client.delete(name)  # its lease is over
        heir.look()
        assert sink.titles == [SQL_GONE]

    def test_with_both_away_it_is_told_from_memory_and_retried(
        self, engine: Engine, sink: WebhookSink
    ) -> None:
        nowhere = connect(f"redis://127.0.0.1:{free_port()}", timeout_seconds=1)
        desk = Desk(engine, nowhere, [WebhookChannel(sink.url, "json")])
        self.away(desk, redis_too=True)
        sink.status = 503
        for _ in range(3):
            desk.look()
        assert sink.titles == [SQL_GONE, REDIS_GONE]
        sink.status = 200
        for _ in range(3):
            desk.look()
        assert sink.titles == [SQL_GONE, REDIS_GONE] * 2
        assert len(set(sink.ids)) == 2
        desk.is_sql_up = True
        desk.look()
        assert sink.titles[4:] == [f"Resolved: {SQL_GONE}"]
        desk.is_redis_up = True
        for _ in range(3):
            desk.look()
        assert sink.titles[5:] == [f"Resolved: {REDIS_GONE}"]
        assert len(desk.stores.deliveries.log(20)) == 6

    def test_what_was_told_of_redis_before_is_not_told_again(
        self, desk: Desk, sink: WebhookSink
    ) -> None:
        desk.is_redis_up = False
        for _ in range(3):
            desk.look()
        self.away(desk, redis_too=True)
        for _ in range(3):
            desk.look()
        assert sink.titles == [REDIS_GONE, SQL_GONE]

    def test_a_short_outage_is_told_to_nobody_and_one_soon_after_neither(
        self, desk: Desk, sink: WebhookSink
    ) -> None:
        def goes_for(seconds: int) -> None:
            self.away(desk)
            desk.look()
            desk.look(after=seconds)
            self.back(desk)
            desk.look()

        goes_for(30)
        assert sink.bodies == []
        goes_for(60)
        assert len(sink.bodies) == 2
        goes_for(60)
        assert len(sink.bodies) == 2, "within its cool-down"
        desk.look(after=600)
        goes_for(60)
        assert len(sink.bodies) == 4

    def test_a_rule_that_was_off_stays_off_without_the_database(
        self, desk: Desk, engine: Engine, sink: WebhookSink
    ) -> None:
        values = RuleValues(is_on=False, threshold=60, cool_down_minutes=10, version=0)
        admin_of(engine, lambda: desk.now).change(AlertKind.SQL_DOWN, values, COMMAND_LINE)
        desk.look()
        self.away(desk)
        for _ in range(4):
            desk.look()
        assert sink.bodies == []

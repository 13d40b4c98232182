"""`flask alert`: what scripts read, and what is changed and tested from a terminal."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from ai_gateway.factory.alerts import alert_watch
from ai_gateway.settings import read_settings
from ai_gateway.stores.alert_deliveries import AlertDeliveries
from ai_gateway.stores.tables import AuditRow, db
from tests.alerts import seed_alerts
from tests.gateway_app import GatewayApp, opened_app
from tests.notify.sinks import MailSink, WebhookSink, mail_sink, webhook_sink
from tests.redis_servers import RedisServer, running_redis
from tests.running import wait_for


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def mails() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def hooks() -> Iterator[WebhookSink]:
    with webhook_sink() as sink:
        yield sink


def variables(mails: MailSink, hooks: WebhookSink) -> dict[str, str]:
    return {
        "SMTP_URL": f"smtp://127.0.0.1:{mails.port}",
        "AI_GATEWAY_ALERT_FROM": "gateway@example.com",
        "AI_GATEWAY_ALERT_EMAILS": "ops@example.com",
        "AI_GATEWAY_ALERT_WEBHOOK_URL": hooks.url,
    }


@pytest.fixture(scope="module")
def gateway(server: RedisServer, mails: MailSink, hooks: WebhookSink) -> Iterator[GatewayApp]:
    with opened_app(server, variables=variables(mails, hooks)) as opened:
        with opened.app.app_context():
            now = opened.services.clock()
            # The second user is one of those that the seeds are about.
            opened.make_user()
            seed_alerts(db.engine, now)
            # The message that is still on its way would hold up those of the tests.
            deliveries = AlertDeliveries(db.engine)
            waiting = deliveries.claim("webhook", now + timedelta(minutes=1))
            assert waiting is not None
            deliveries.finish(waiting, None, now)
        yield opened


def lines(gateway: GatewayApp, *words: str) -> list[list[str]]:
    done = gateway.flask("alert", *words)
    assert done.exit_code == 0, done.output
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_alerts_and_deliveries_are_listed(gateway: GatewayApp) -> None:
    listed = [(row[1], row[2].split()[0], row[3]) for row in lines(gateway, "list")]
    seeded = ("the installation, month", "user amelia.stone, day", "lab")
    assert [row for row in listed if row[2] in seeded] == [
        ("budget_near", "open", "the installation, month"),
        ("budget_reached", "open", "user amelia.stone, day"),
        ("provider_errors", "closed", "lab"),
    ]
    told = ["webhook", "Budget nearly spent: the installation, month", "attempt 1"]
    assert [*told, "failed: answered 503"] in [row[1:] for row in lines(gateway, "deliveries")]
    assert len(lines(gateway, "deliveries", "--count", "2")) == 2


def test_a_rule_is_changed_in_part_and_audited(gateway: GatewayApp) -> None:
    done = gateway.flask("alert", "set", "export_queue", "--threshold", "70")
    assert done.exit_code == 0, done.output
    assert done.stderr == "export_queue\ton\t70 traces\tcool-down 60 minutes\n"
    gateway.flask("alert", "set", "export_queue", "--off", "--cool-down", "5")
    rules = {row[0]: row[1:] for row in lines(gateway, "rules")}
    assert rules["export_queue"] == ["off", "70 traces", "cool-down 5 minutes"]
    with gateway.app.app_context(), Session(db.engine) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action == "alert_change")).all()
    assert [row.actor_name for row in rows] == ["command line"] * 2
    refused = gateway.flask("alert", "set", "export_queue", "--threshold", "0")
    assert refused.exit_code == 1
    assert refused.stderr.strip() == "Error: The threshold is a whole number from 1 to 1,000,000."


def test_a_test_goes_to_every_channel_and_fails_where_one_does(
    gateway: GatewayApp, mails: MailSink, hooks: WebhookSink
) -> None:
    before = len(mails.mails), len(hooks.bodies)
    hooks.status = 500
    done = gateway.flask("alert", "test")
    hooks.status = 200
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"email\tops@example.com through 127.0.0.1:{mails.port}\tarrived",
        "webhook\thttp://127.0.0.1, JSON\tfailed: answered 500",
    ]
    assert (len(mails.mails), len(hooks.bodies)) == (before[0] + 1, before[1] + 1)
    again = gateway.flask("alert", "test")
    assert again.exit_code == 1
    assert again.stderr.startswith("Error: The last test was sent a moment ago")


def test_the_bookkeeper_tells_who_has_spent_a_budget(
    gateway: GatewayApp, mails: MailSink, hooks: WebhookSink
) -> None:
    """The whole way: a refused call, the ledger, a look, and both channels."""
    name = gateway.make_user()
    assert gateway.call(gateway.make_key(name, daily="0.000001")).status_code == 429
    settings = read_settings(
        {**variables(mails, hooks), "AI_GATEWAY_DATA_DIR": str(gateway.data_dir)}
    )
    with gateway.app.app_context():
        gateway.bookkeeper().mirror_refusals()
        look = alert_watch(settings, gateway.store.client, gateway.services.clock)
        look()
        title = f"Budget spent: user {name}, day"
        wait_for(lambda: title in hooks.titles, "the webhook is told")
        wait_for(lambda: any(title in mail["Subject"] for mail in mails.mails), "the mail is sent")
    found = [row for row in lines(gateway, "list") if row[3] == f"user {name}, day"]
    assert [row[1] for row in found] == ["budget_reached"]
    assert "last call refused" in found[0][4]

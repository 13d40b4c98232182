"""The page of alerts: who sees what, how a rule is changed, and what a test shows."""

import re
from collections.abc import Iterator
from html import unescape

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from ai_gateway.domain.alerts import AlertKind
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.notify.webhook import WebhookChannel
from ai_gateway.services.alert_admin import RuleValues
from ai_gateway.stores.tables import AuditRow, db
from tests.alerts import MAIL, WEBHOOK, admin_of, seed_alerts
from tests.notify.sinks import WebhookSink, webhook_sink
from tests.seeding import NOW, add_user
from tests.sql_database import counted_statements
from tests.web.admin.test_access import token_of
from tests.web.staff_app import StaffApp, log_in

ALERTS = "/admin/alerts/"
RULE, TEST = f"{ALERTS}rule/", f"{ALERTS}test/"
NEAR = f"{RULE}?kind=budget_near"
ALL_OFF = [kind.value for kind in AlertKind]


@pytest.fixture
def admin(staff_app: StaffApp) -> StaffApp:
    """Somebody who may change alerts; there are two channels."""
    staff_app.services.alerts = admin_of(staff_app.engine, staff_app.clock, (MAIL, WEBHOOK))
    add_user("boss", role="admin")
    log_in(staff_app.client, "boss")
    return staff_app


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with webhook_sink() as opened:
        yield opened


def text(response: TestResponse) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def form(admin: StaffApp, address: str) -> dict[str, str]:
    """What the page would send, but for what a person puts in."""
    page = admin.client.get(address).text
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


def change(admin: StaffApp, sent: dict[str, str], **fields: str) -> TestResponse:
    values = {"is_on": "yes", "threshold": "75", "cool_down": "90"} | sent | fields
    return admin.client.post(RULE, data={name: text for name, text in values.items() if text})


def audited() -> list[AuditRow]:
    rows = db.session.scalars(
        select(AuditRow).where(AuditRow.action.like("alert%")).order_by(AuditRow.id)
    ).all()
    db.session.rollback()
    return list(rows)


def switch_all_off(admin: StaffApp) -> None:
    for rule in admin.services.alerts.rules().values():
        values = RuleValues(
            is_on=False, threshold=rule.threshold, cool_down_minutes=0, version=rule.version
        )
        admin.services.alerts.change(rule.kind, values, COMMAND_LINE)


def test_the_page_shows_rules_channels_alerts_and_deliveries(admin: StaffApp) -> None:
    seed_alerts(admin.engine, NOW)
    with counted_statements(admin.engine) as sent:
        page = admin.client.get(ALERTS)
    shown = text(page)
    assert "2 open, and those closed in the last seven days" in shown
    assert "user amelia.stone, day $25.00 of $25.00 spent (100 %, last call refused)" in shown
    assert "Budget nearly spent" in shown
    assert "10 of 10 are on" in shown
    assert "80 % of the limit none" in shown
    assert "Email ops@example.com, finance@example.com through mail.example.com:587" in shown
    assert "Webhook https://hooks.slack.com, Slack" in shown
    assert shown.count("Failed answered 503") == 3
    assert shown.count("Failed answered 503 again at 07:10:20 UTC") == 1
    assert shown.count("Resolved: Provider fails: lab") == 2
    assert len(sent) <= 6, sent


def test_the_first_page_says_that_all_is_well(admin: StaffApp) -> None:
    shown = text(admin.client.get(ALERTS))
    assert "Nothing is wrong, as far as the rules that are on look at it." in shown
    assert "Nothing was sent yet. A test shows whether messages arrive." in shown


def test_without_a_channel_it_says_what_to_set(admin: StaffApp) -> None:
    admin.services.alerts = admin_of(admin.engine, admin.clock)
    page = admin.client.get(ALERTS)
    assert "No channel is set, so nobody is told" in text(page)
    assert TEST not in page.text
    response = admin.client.post(TEST, data=form(admin, TEST))
    assert response.status_code == 400
    assert "there is nobody to send a test to" in text(response)


def test_without_a_rule_three_are_offered_and_taken_at_once(admin: StaffApp) -> None:
    switch_all_off(admin)
    page = text(admin.client.get(ALERTS))
    assert "No rule is on Three are recommended to begin with:" in page
    assert "No rule is on, so nothing is looked at." in page
    sent = form(admin, ALERTS)
    assert admin.client.post(f"{RULE}recommended/", data=sent).status_code == 303
    on = [rule.kind.value for rule in admin.services.alerts.rules().values() if rule.is_on]
    assert on == ["budget_reached", "unpriced_model", "redis_down"]
    shown = text(admin.client.get(ALERTS))
    assert "Switched on: Budget spent, Model without a price, Redis is down." in shown
    assert "are recommended to begin with" not in shown
    assert [row.actor_name for row in audited()[-3:]] == ["boss"] * 3


def test_a_rule_is_changed_and_the_audit_has_both(admin: StaffApp) -> None:
    response = change(admin, form(admin, NEAR))
    assert (response.status_code, response.headers["Location"]) == (303, ALERTS)
    shown = text(admin.client.get(ALERTS))
    assert "Budget nearly spent is on: 75 % of the limit." in shown
    (row,) = audited()
    assert (row.action, row.target_kind, row.target_id) == (
        "alert_change", "alert_rule", "budget_near",
    )  # fmt: skip
    assert (row.actor_name, row.target_name) == ("boss", "Budget nearly spent")
    assert row.before == {"enabled": True, "threshold": 80, "cool_down_minutes": 0}
    assert row.after == {"enabled": True, "threshold": 75, "cool_down_minutes": 90}


def test_a_rule_is_switched_off(admin: StaffApp) -> None:
    change(admin, form(admin, NEAR), is_on="")
    assert not admin.services.alerts.rules()[AlertKind.BUDGET_NEAR].is_on
    assert "9 of 10 are on" in text(admin.client.get(ALERTS))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"threshold": "0"}, "The threshold is a whole number from 1 to 99."),
        ({"threshold": "100"}, "The threshold is a whole number from 1 to 99."),
        ({"threshold": "8o"}, "The threshold is a whole number from 1 to 99."),
        ({"threshold": "٣"}, "The threshold is a whole number from 1 to 99."),
        ({"cool_down": "-1"}, "The cool-down is 0 to 43,200 minutes."),
        ({"cool_down": "9" * 30}, "The cool-down is 0 to 43,200 minutes."),
    ],
)
def test_a_wrong_value_comes_back_with_what_was_written(
    admin: StaffApp, fields: dict[str, str], words: str
) -> None:
    sent = form(admin, NEAR)
    response = change(admin, sent, **fields)
    assert response.status_code == 400
    assert words in text(response)
    (written,) = fields.values()
    assert f'value="{written}"' in response.text
    assert f'name="idempotency_key" value="{sent["idempotency_key"]}"' in response.text
    assert audited() == []


def test_who_comes_second_sees_both_and_may_insist(admin: StaffApp) -> None:
    mine, theirs = form(admin, NEAR), form(admin, NEAR)
    change(admin, theirs, threshold="60", cool_down="0")
    response = change(admin, mine, threshold="70")
    assert response.status_code == 409
    assert "Now it is on, at 60 % of the limit, cool-down none." in text(response)
    assert 'value="70"' in response.text
    assert admin.services.alerts.rules()[AlertKind.BUDGET_NEAR].threshold == 60
    again = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', response.text))
    assert change(admin, again, threshold="70").status_code == 303
    assert admin.services.alerts.rules()[AlertKind.BUDGET_NEAR].threshold == 70


@pytest.mark.parametrize("kind", ["", "nothing", "BUDGET_NEAR"])
def test_a_rule_that_nobody_knows_leads_back(admin: StaffApp, kind: str) -> None:
    sent = {**form(admin, NEAR), "kind": kind}
    assert admin.client.get(f"{RULE}?kind={kind}").headers["Location"] == ALERTS
    assert change(admin, sent).headers["Location"] == ALERTS
    assert audited() == []


def test_a_test_reaches_the_sink_once_and_a_second_waits(
    admin: StaffApp, sink: WebhookSink
) -> None:
    webhook = WebhookChannel(sink.url, "json")
    admin.services.alerts = admin_of(admin.engine, admin.clock, (MAIL, webhook))
    sent = form(admin, TEST)
    assert admin.client.post(TEST, data=sent).status_code == 303
    shown = text(admin.client.get(ALERTS))
    assert "Webhook: the test was accepted." in shown
    assert "Email: the test was accepted." in shown
    assert "s3cret" not in shown
    assert [body["state"] for body in sink.bodies] == ["test"]
    # By its cool-down, whether by the same form or by another.
    for other in (sent, form(admin, TEST)):
        response = admin.client.post(TEST, data=other)
        assert response.status_code == 400
        assert "The last test was sent a moment ago: wait 30 seconds." in text(response)
    assert len(sink.bodies) == 1
    admin.clock.now = NOW.replace(minute=NOW.minute + 1)
    # The form that was sent before still acts once.
    admin.client.post(TEST, data=sent)
    assert "This test was sent before" in text(admin.client.get(ALERTS))
    assert len(sink.bodies) == 1
    admin.client.post(TEST, data=form(admin, TEST))
    assert len(sink.bodies) == 2


def test_a_test_that_does_not_arrive_says_why(admin: StaffApp) -> None:
    admin.client.post(TEST, data=form(admin, TEST))
    shown = text(admin.client.get(ALERTS))
    assert "Email: the test was accepted." in shown
    assert "Webhook: the test did not arrive. Reason: answered 503." in shown
    assert "Failed answered 503" in shown
    (row,) = audited()
    assert (row.action, row.result) == ("alert_test", "failed")
    assert row.after == {"email": "arrived", "webhook": "answered 503"}


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_others_see_it_and_change_nothing(admin: StaffApp, role: str) -> None:
    add_user(role, role=role)
    client = admin.app.test_client()
    log_in(client, role)
    page = client.get(ALERTS)
    assert page.status_code == 200
    assert "<form" not in page.text.partition("<main")[2].partition("</main>")[0]
    for words in ("Change…", "Send test…"):
        assert words not in page.text
    sent = {"csrf_token": token_of(client), "kind": "budget_near", "threshold": "5", "version": "0"}
    for address in (RULE, f"{RULE}recommended/", TEST):
        assert client.post(address, data=sent).status_code == 403
    assert client.get(NEAR).status_code == client.get(TEST).status_code == 403
    assert audited() == []


def test_a_name_is_text_on_the_page(admin: StaffApp) -> None:
    seed_alerts(admin.engine, NOW)
    with admin.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alert SET name = '<script>alert(1)</script>'")
        connection.exec_driver_sql("UPDATE alert_attempt SET note = '<b>bold</b>'")
    page = admin.client.get(ALERTS).text
    assert "<script>alert" not in page
    assert "<b>bold" not in page

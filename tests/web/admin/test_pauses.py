"""Pause on the staff pages: who may, what is asked before, and where it is seen."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from ai_gateway.domain.house_rules import EVERYTHING, user_pause
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.rule_tables import PauseRow
from ai_gateway.stores.tables import AuditRow, db
from ai_gateway.stores.virtual_keys import KeyCopies
from tests.redis_servers import RedisServer
from tests.seeding import add_user
from tests.web.staff_app import StaffApp, log_in, publish_counters

PAUSES = "/admin/pauses/"
SET, LIFT = f"{PAUSES}set/", f"{PAUSES}lift/"
ANN = 3


@pytest.fixture
def site(live: StaffApp, server: RedisServer) -> StaffApp:
    """An administrator, an operator, and `ann`; nobody is logged in."""
    for name in ("admin", "operator"):
        add_user(name, role=name)
    assert add_user("ann") == ANN
    publish_counters(server.url, db.engine)
    return live


def client_of(staff_app: StaffApp, name: str) -> FlaskClient:
    client = staff_app.app.test_client()
    log_in(client, name)
    return client


def send(client: FlaskClient, address: str, query: str, **fields: str) -> TestResponse:
    """Open a page and send its form."""
    page = client.get(f"{address}?{query}").text
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    return client.post(address, data=form | fields)


def paused() -> dict[tuple[str, str], str]:
    rows = list(db.session.scalars(select(PauseRow)))
    db.session.rollback()
    return {(row.scope, row.subject): row.reason for row in rows}


def test_everything_is_paused_with_a_reason_that_every_page_shows(
    site: StaffApp, server: RedisServer
) -> None:
    admin = client_of(site, "admin")
    answer = send(admin, SET, "everything=1", reason="Keys <leaked>.")
    assert (answer.status_code, answer.headers["Location"]) == (303, PAUSES)
    with connect(server.url) as client:
        rules = KeyCopies(client).house_rules.load()
    assert rules is not None
    assert rules.pauses[EVERYTHING].by == "admin"
    for address in ("/admin/", PAUSES, "/admin/ai-analytics/", "/admin/budgets/"):
        page = admin.get(address).text
        assert "All calls are paused" in page
        assert "Keys &lt;leaked&gt;." in page
    assert send(admin, LIFT, "everything=1").status_code == 303
    assert paused() == {}
    assert "All calls are paused" not in admin.get("/admin/").text
    told = db.session.scalars(select(AuditRow).where(AuditRow.action.startswith("pause")))
    assert [(row.action, row.before["paused"], row.after["paused"]) for row in told] == [
        ("pause", False, True),
        ("pause_lift", True, False),
    ]
    db.session.rollback()


def test_a_user_is_paused_from_the_page_of_the_user(site: StaffApp, server: RedisServer) -> None:
    operator = client_of(site, "operator")
    detail = f"/admin/ai-analytics/users/{ANN}/"
    (link,) = re.findall(r'href="(/admin/pauses/set/[^"]*)"', operator.get(detail).text)
    query = unescape(link.partition("?")[2])
    answer = send(operator, SET, query, reason="Ask Ann.")
    assert answer.headers["Location"].startswith(detail)
    assert "Calls of this user are paused" in operator.get(detail).text
    assert "1 user paused" in operator.get("/admin/ai-analytics/").text
    assert "Ask Ann." in operator.get(PAUSES).text
    with connect(server.url) as client:
        rules = KeyCopies(client).house_rules.load()
    assert rules is not None
    assert list(rules.pauses) == [user_pause(ANN)]
    assert send(operator, LIFT, f"user={ANN}").status_code == 303
    assert paused() == {}


def test_only_an_administrator_pauses_the_service(site: StaffApp) -> None:
    operator = client_of(site, "operator")
    assert "Pause calls of ann?" in operator.get(f"{SET}?username=ann").text
    lost = operator.get(f"{SET}?username=nobody", follow_redirects=True)
    assert "there is no user named nobody" in lost.text
    page = operator.get(f"{SET}?user={ANN}").text
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    del form["user"]
    for chosen in ({"everything": "1"}, {"provider": "openai"}):
        assert operator.get(SET, query_string=chosen).status_code == 403
        assert operator.post(SET, data=form | chosen | {"reason": "x"}).status_code == 403
    assert paused() == {}
    page = operator.get(PAUSES).text
    assert "Pause everything" not in page
    assert "Pause this user" in page


def test_a_viewer_sees_what_is_paused_and_no_switch(site: StaffApp) -> None:
    send(client_of(site, "admin"), SET, "provider=openai", reason="Down.")
    add_user("viewer", role="viewer")
    page = client_of(site, "viewer").get(PAUSES).text
    assert "Down." in page
    assert SET not in page
    assert LIFT not in page


def test_what_makes_no_sense_pauses_and_lifts_nothing(site: StaffApp) -> None:
    admin = client_of(site, "admin")
    for reason in ("", "  ", "x" * 201, "two\nlines"):
        answer = send(admin, SET, "everything=1", reason=reason)
        assert answer.status_code == 400
        assert 'id="error-reason"' in answer.text
    for query in ("", "user=404", "provider=acme", "user=x"):
        answer = admin.get(f"{SET}?{query}")
        assert (answer.status_code, answer.headers["Location"]) == (302, PAUSES)
    answer = admin.get(f"{LIFT}?everything=1")
    assert (answer.status_code, answer.headers["Location"]) == (302, PAUSES)
    assert paused() == {}


def test_without_redis_it_is_kept_and_said_to_be_unconfirmed(staff_app: StaffApp) -> None:
    add_user("admin", role="admin")
    client = client_of(staff_app, "admin")
    send(client, SET, "everything=1", reason="Keys leaked.")
    assert paused() == {("everything", ""): "Keys leaked."}
    page = client.get(PAUSES).text
    assert "not confirmed to be in force" in page
    assert "All calls are paused" in page

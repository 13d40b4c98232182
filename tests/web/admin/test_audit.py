"""The page of the audit: what it shows, how it is narrowed and turned; nobody changes it."""

import csv
import re
from datetime import timedelta
from html import unescape
from io import StringIO

import pytest
from sqlalchemy import select

from ai_gateway.domain.audit import (
    Action,
    Actor,
    Change,
    Result,
    Target,
    TargetKind,
    user_target,
)
from ai_gateway.domain.roles import Role
from ai_gateway.services.audit import Audit
from ai_gateway.services.audit_report import BATCH_ROWS, PAGE_SIZE
from ai_gateway.services.key_admin import KeyRequest
from ai_gateway.services.key_rules import KeyOptions
from ai_gateway.stores.audit import AuditTable, row_of
from ai_gateway.stores.tables import AuditRow, db
from tests.seeding import NOW, add_user
from tests.sql_database import counted_statements
from tests.web.staff_app import SetClock, StaffApp

AUDIT = "/admin/audit/"
ANN = Actor(7, "ann", Role.ADMIN, "192.0.2.1", request_id="req_9")
HOSTILE = Actor(8, '=cmd("<b>")', Role.VIEWER, "192.0.2.2")


@pytest.fixture
def audited(viewer: StaffApp) -> StaffApp:
    """Four entries of the days before, and the log-in of the viewer, which is the newest."""
    clock = SetClock(NOW - timedelta(days=9))
    audit = Audit(AuditTable(viewer.engine), clock)
    user_id = add_user("ben")
    audit.record(Action.LOG_IN, Actor(address="203.0.113.9"), result=Result.FAILED)
    clock.now = NOW - timedelta(hours=2)
    limits = Change({"daily": "5.00", "monthly": None}, {"daily": "12.50"}, "quarter end")
    audit.record(Action.LIMIT_CHANGE, ANN, user_target(user_id, "ben"), limits)
    key = Target(TargetKind.KEY, "Kd7w0000", "support bot")
    audit.record(Action.KEY_ROTATE, ANN, key)
    report = Target(TargetKind.REPORT, "user_spend")
    audit.record(Action.EXPORT, HOSTILE, report, Change(after={"search": "@SUM"}))
    return viewer


def page(app: StaffApp, query: str = "") -> str:
    response = app.client.get(f"{AUDIT}{query}")
    assert response.status_code == 200
    return response.text


def entries(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'data-entry="(\d+)"', html)]


def row(html: str, number: int) -> str:
    """One row without its tags, but for the addresses of its links."""
    text = html.partition(f'<tr data-entry="{number}"')[2].partition("</tr>")[0]
    text = re.sub(r'<a [^>]*href="([^"]+)"[^>]*>', r" [\1] ", text)
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split()))


def link(html: str, words: str) -> str:
    found = re.findall(rf'<a class="button" rel="\w+" href="([^"]+)">{words}</a>', html)
    return unescape(found[0]) if found else ""


def test_an_entry_says_who_what_to_whom_from_where_and_how(audited: StaffApp) -> None:
    text = row(page(audited), 3)
    assert "23 Nov 2026, 05:10:05 UTC" in text
    assert "ann admin 192.0.2.1" in text.replace(" [/admin/audit/?actor=ann]", "")
    assert "Limit change" in text
    assert "[/admin/ai-analytics/users/2/] ben" in text
    assert "daily: 5.00 → 12.50" in text
    assert "monthly: nothing" in text
    assert "quarter end request req_9" in text
    assert "Done" in text


def test_a_key_leads_to_its_place_and_a_stranger_to_none(audited: StaffApp) -> None:
    html = page(audited)
    assert "[/admin/api-keys/?q=agw_Kd7w0000] support bot" in row(html, 4)
    stranger = row(html, 2)
    assert "nobody known 203.0.113.9" in stranger
    assert "Failed" in stranger
    assert "/admin/ai-analytics/users/" not in stranger


def test_filters_stand_in_the_address(audited: StaffApp) -> None:
    for query, found in {
        "": [1, 5, 4, 3, 2],
        "?actor=ann": [4, 3],
        "?action=key_rotate": [4],
        "?target=ben": [3],
        "?target=user:2": [3],
        "?target=agw_Kd7w0000…x0Qf": [4],
        "?result=failed": [2],
        "?range=24h": [1, 5, 4, 3],
        "?range=custom&from=2026-11-14&to=2026-11-14": [2],
        "?actor=ann&action=limit_change&range=7d": [3],
        "?actor=nobody": [],
        "?action=nonsense&result=nonsense&page=nonsense": [1, 5, 4, 3, 2],
    }.items():
        # The log-in of the viewer was recorded first, and is the newest.
        assert entries(page(audited, query)) == found, query


def test_a_whole_key_that_is_looked_for_stands_nowhere(audited: StaffApp) -> None:
    secret = audited.services.key_admin.create(2, KeyOptions(), KeyRequest(ANN, owner_id=None)).text
    assert secret is not None
    response = audited.client.get(AUDIT, query_string={"target": secret})
    assert response.status_code == 302
    assert response.headers["Location"] == f"{AUDIT}?target=key%3A{secret.split('_')[1]}"


def test_pages_turn_by_keyset_and_keep_what_narrows(viewer: StaffApp) -> None:
    audit = viewer.services.audit
    db.session.add_all(row_of(audit.entry(Action.EXPORT, ANN)) for _ in range(2 * PAGE_SIZE + 5))
    db.session.commit()
    seen, query, turns = [], "?actor=ann", []
    while query:
        html = page(viewer, query)
        seen += entries(html)
        turns.append(query)
        query = link(html, "Next").removeprefix(AUDIT)
        assert not query or "actor=ann" in query
    assert len(seen) == len(set(seen)) == 2 * PAGE_SIZE + 5
    assert seen == sorted(seen, reverse=True)
    back = link(page(viewer, turns[-1]), "Previous")
    assert entries(page(viewer, back.removeprefix(AUDIT))) == seen[PAGE_SIZE : 2 * PAGE_SIZE]
    first = link(page(viewer, turns[1]), "Previous")
    html = page(viewer, first.removeprefix(AUDIT))
    assert entries(html) == seen[:PAGE_SIZE]
    assert link(html, "Previous") == ""


def test_nothing_recorded_is_told_from_nothing_that_matches(viewer: StaffApp) -> None:
    assert "No entries match" in page(viewer, "?actor=nobody")
    db.session.execute(AuditRow.__table__.delete())  # type: ignore[attr-defined]  # a table has it
    db.session.commit()
    assert "Nothing recorded yet" in page(viewer)


def test_a_page_takes_few_statements(audited: StaffApp) -> None:
    for query in ("", "?actor=ann", "?actor=nobody"):
        with counted_statements(audited.engine) as sent:
            page(audited, query)
        assert len(sent) <= 4, sent


def test_the_file_has_every_entry_of_the_filters_and_runs_nothing(audited: StaffApp) -> None:
    response = audited.client.get(f"{AUDIT}export.csv?range=24h&action=export")
    assert response.headers["Content-Disposition"] == (
        'attachment; filename="audit-as-of-2026-11-23.csv"'
    )
    (line,) = csv.DictReader(StringIO(response.text))
    assert line["Actor"] == '\'=cmd("<b>")'
    assert (line["Entry"], line["Role"], line["Action"]) == ("5", "viewer", "export")
    assert line["Time"] == "2026-11-23T05:10:05+00:00"
    assert line["After"] == '{"search": "@SUM"}'
    kept = db.session.scalars(select(AuditRow).order_by(AuditRow.id.desc())).first()
    assert kept is not None
    assert (kept.action, kept.target_id, kept.actor_name) == ("export", "audit", "viewer")
    assert kept.after == {"action": "export", "range": "24h"}


def test_a_long_file_comes_in_batches_and_whole(viewer: StaffApp) -> None:
    audit = viewer.services.audit
    db.session.add_all(row_of(audit.entry(Action.PAUSE, ANN)) for _ in range(BATCH_ROWS + 7))
    db.session.commit()
    with counted_statements(viewer.engine) as sent:
        text = viewer.client.get(f"{AUDIT}export.csv?actor=ann").text
    numbers = [int(line["Entry"]) for line in csv.DictReader(StringIO(text))]
    assert len(set(numbers)) == BATCH_ROWS + 7
    assert sum("FROM audit_entry" in statement for statement in sent) == 3


def test_no_route_changes_the_audit(staff_app: StaffApp) -> None:
    rules = [
        rule for rule in staff_app.app.url_map.iter_rules() if rule.endpoint.startswith("audit.")
    ]
    assert {rule.rule for rule in rules} == {AUDIT, f"{AUDIT}export.csv"}
    for rule in rules:
        assert rule.methods == {"GET", "HEAD", "OPTIONS"}


def test_the_page_of_a_user_leads_to_what_was_changed(audited: StaffApp) -> None:
    html = audited.client.get("/admin/ai-analytics/users/2/").text
    assert 'href="/admin/audit/?target=user:2"' in html
    changes = html.partition('id="changes"')[2]
    assert "Limit change" in changes
    assert "12.50" in changes

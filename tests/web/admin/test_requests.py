"""The lists of requests and the page of one, as staff see them."""

import csv
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from ai_gateway.domain.virtual_key import RANDOM_BYTES, make_key
from ai_gateway.stores.ledger_export import LedgerExport
from ai_gateway.stores.refusal_tables import RefusalRow
from ai_gateway.stores.tables import AuditRow, LedgerEntry, db
from tests.seeding import NOW, add_entry, add_usage, add_user, usd
from tests.sql_database import counted_statements
from tests.web.staff_app import StaffApp, log_in

LIST, BLOCKED = "/admin/ai-analytics/requests/", "/admin/ai-analytics/requests/refused/"
HOSTILE = "<script>alert(1)</script>"
WORKING = (
    '{"basis":"prices","lines":[["input",1001,150500,"openai/gpt-4o-mini"],'
    '["output",3,600000,"openai/gpt-4o-mini"]],"wanted":900000,"output_cap":40,'
    '"sent_ms":3,"answered_ms":380,"upstream":"ok"}'
)
COST = 152_450
"""Nano-USD: 152,450.5 rounded half to even."""


def read(viewer: StaffApp, path: str, status: int = 200) -> str:
    response = viewer.client.get(path)
    assert response.status_code == status, response.text[:500]
    return response.text


def words(page: str) -> str:
    """The words of a page on one line, as a reader sees them."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.partition("<main")[2])).split())


def shown(page: str) -> list[str]:
    return re.findall(r'<tr data-request-id="([^"]+)"', page)


def follow(page: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    return unescape(found[1]) if found else ""


def add_refusal(user_id: int, request_id: str = "no-room") -> None:
    """Of a budget of 25 USD with 7 cents of room, for a call that needs a little more."""
    row = RefusalRow(
        at=NOW - timedelta(minutes=3),
        outcome="budget_blocked",
        reason="user_day",
        operation="chat",
        request_id=request_id,
        user_id=user_id,
        key_id="k0000001",
        model="gpt-4.1",
        scope="user",
        window="day",
        limit_nano_usd=usd("25"),
        spent_nano_usd=usd("24.02"),
        held_nano_usd=usd("0.91"),
        needed_nano_usd=usd("0.084048"),
        resets_at=datetime(2026, 11, 24, tzinfo=UTC),
        input_pico_usd=69_000_000_000,
        output_pico_usd=8_000_000,
        output_tokens=256,
        asked_tokens=32_768,
        affordable_tokens=125,
    )
    db.session.add(row)
    db.session.commit()


def add_calls(count: int) -> None:
    """In one go, three of them in each second."""
    calls = [
        {"request_id": f"r{number:03}", "admitted_at": NOW - timedelta(seconds=number // 3)}
        for number in range(count)
    ]
    add_entry("pattern", admitted_at=NOW - timedelta(days=300))
    pattern = db.session.execute(select(LedgerEntry.__table__)).mappings().one()
    facts = {name: value for name, value in pattern.items() if name != "id"}
    db.session.execute(insert(LedgerEntry), [facts | call for call in calls])
    db.session.commit()


def test_a_charge_is_explained_line_by_line_with_its_rounding(viewer: StaffApp) -> None:
    add_entry(
        "r1",
        cost_nano_usd=COST,
        total_after_nano_usd=COST,
        held_nano_usd=800_000,
        input_tokens=1001,
        output_tokens=3,
        provider_id="chatcmpl-1",
        raw_usage='{"prompt_tokens":1001}',
        working=WORKING,
    )
    page = read(viewer, f"{LIST}r1/")
    amounts = [int(number) for number in re.findall(r'data-pico-usd="(\d+)"', page)]
    assert amounts == [150_650_500, 1_800_000]
    assert f'data-sum-pico-usd="{sum(amounts)}"' in page
    assert f'data-rounded-nano-usd="{COST}"' in page
    text = words(page)
    assert "rounded down, just between two: to the even one 152,450.500 → 152,450" in text
    assert "Cost $0.000152450" in text
    assert "price row openai/gpt-4o-mini (price list)" in text
    assert "price book test , still in force" in text
    assert "Wanted $0.000900000 Lowered to what there was room for $0.000800000" in text
    assert "Cap on output that we sent 40 tokens" in text
    assert "Released $0.000647550" in text
    assert "First token not recorded" in text
    assert '"prompt_tokens": 1001' in text
    assert "chatcmpl-1" in text


def test_words_of_a_provider_are_text_on_every_page(viewer: StaffApp) -> None:
    user_id = add_user(HOSTILE)
    facts: dict[str, Any] = dict.fromkeys(
        ("served_model", "model_requested", "provider_id"), HOSTILE
    )
    raw = f'{{"error":"{HOSTILE}"}}'
    add_entry("r1", user_id=user_id, outcome=HOSTILE[:24], raw_usage=raw, **facts)
    for path in (LIST, f"{LIST}r1/", f"{LIST}?provider={HOSTILE}&model={HOSTILE}&user={HOSTILE}"):
        page = read(viewer, path)
        assert HOSTILE not in page
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page


def test_corrections_are_entries_of_their_own_and_add_up(viewer: StaffApp) -> None:
    add_entry("r1", 1, cost_nano_usd=50, total_after_nano_usd=50, outcome="gateway_error")
    later = {"outcome": "success", "working": '{"basis":"provider","lines":[],"stated":30}'}
    add_entry("r1", 2, cost_nano_usd=-20, total_after_nano_usd=30, **later)
    page = read(viewer, f"{LIST}r1/")
    assert re.findall(r'<tr data-entry="(\d)"', page) == ["1", "2"]
    assert "The provider stated its own cost, which decides $0.000000030" in words(page)
    assert shown(read(viewer, f"{LIST}?outcome=success")) == ["r1"]
    assert shown(read(viewer, f"{LIST}?outcome=failed")) == []


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"usage_status": "not_billed"}, "the provider did no work for it"),
        ({"cost_nano_usd": 7}, "booked by an earlier version, which did not keep the prices"),
        ({"cost_nano_usd": 7, "working": WORKING}, "which these lines do not give"),
    ],
)
def test_what_cannot_be_explained_is_said(
    viewer: StaffApp, columns: dict[str, Any], told: str
) -> None:
    add_entry("r1", **columns)
    assert told in words(read(viewer, f"{LIST}r1/"))


def test_an_unpriced_call_has_no_amount_and_is_found(viewer: StaffApp) -> None:
    add_entry("r1", price_status="unpriced", working='{"basis":"prices","lines":[]}')
    add_entry("r2")
    page = read(viewer, f"{LIST}?unpriced=yes")
    assert shown(page) == ["r1"]
    assert "— unpriced" in words(page)
    assert "nobody knows a price of this model" in words(read(viewer, f"{LIST}r1/"))


def test_previous_and_next_show_every_call_once_while_others_come_in(viewer: StaffApp) -> None:
    add_calls(120)
    seen: list[str] = []
    paths = [f"{LIST}?range=24h"]
    while paths[-1]:
        page = read(viewer, paths[-1])
        seen += shown(page)
        add_entry(f"new{len(seen)}", admitted_at=NOW + timedelta(seconds=len(seen)))
        paths.append(follow(page, "next"))
    assert sorted(seen) == [f"r{number:03}" for number in range(120)]
    page = read(viewer, follow(page, "prev"))
    assert shown(page) == seen[50:100]
    page = read(viewer, follow(page, "prev"))
    assert shown(page) == seen[:50]
    assert shown(read(viewer, follow(page, "prev")))[-1] == "new50"


def test_a_page_of_either_list_needs_four_statements_at_most(viewer: StaffApp) -> None:
    add_calls(60)
    add_refusal(add_user("ann"))
    lists = (LIST, f"{LIST}?range=30d&outcome=failed", f"{LIST}?user=ann&provider=nobody", BLOCKED)
    for path in (*lists, f"{LIST}r003/", f"{LIST}no-room/"):
        with counted_statements(viewer.engine) as sent:
            read(viewer, path)
        assert len(sent) <= 4, (path, sent)


def test_the_count_is_given_on_demand(viewer: StaffApp) -> None:
    for number in range(3):
        add_entry(f"r{number}", stream=number == 0)
    assert "Count them" in read(viewer, LIST)
    page = read(viewer, f"{LIST}?streamed=no&count=yes")
    assert "2 requests" in words(page)


@pytest.mark.parametrize("asked", ["r1", "chatcmpl-1"])
def test_an_exact_id_leads_to_its_request(viewer: StaffApp, asked: str) -> None:
    add_entry("r1", provider_id="chatcmpl-1")
    response = viewer.client.get(f"{LIST}?id={asked}")
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}r1/")
    assert "No such request" in read(viewer, f"{LIST}?id=r2", 404)
    assert "No such request" in read(viewer, f"{LIST}r2/", 404)


def test_a_whole_key_that_is_looked_for_stands_in_no_address(viewer: StaffApp) -> None:
    key = make_key(bytes(RANDOM_BYTES))
    response = viewer.client.get(f"{LIST}?key={key.text}&outcome=failed")
    assert response.headers["Location"] == f"{LIST}?outcome=failed&key={key.key_id}"
    assert key.text not in response.text


def test_none_recorded_and_none_that_match_are_told_apart(viewer: StaffApp) -> None:
    assert "No requests yet" in words(read(viewer, LIST))
    add_entry("r1", admitted_at=NOW - timedelta(days=3))
    assert "No requests match" in words(read(viewer, f"{LIST}?provider=nobody"))
    assert "No requests in this window" in words(read(viewer, f"{LIST}?range=24h"))
    assert "Nothing was blocked in this window" in words(read(viewer, BLOCKED))


def test_the_address_that_makes_no_sense_narrows_nothing(viewer: StaffApp) -> None:
    add_entry("r1")
    query = "outcome=odd&min_cost=much&min_latency=-1&streamed=7&page=before_x_y&range=century"
    assert shown(read(viewer, f"{LIST}?{query}")) == ["r1"]
    for page in ("after_2026-11-23_1", "before_9999-12-31T23:59:59-23:59_1", "after__"):
        assert shown(read(viewer, f"{LIST}?page={page}")) == ["r1"]


def test_a_refusal_is_explained_and_stands_in_no_list_of_calls(viewer: StaffApp) -> None:
    add_refusal(add_user("ben"), "r1")
    assert re.findall(r'data-refused="([^"]+)"', read(viewer, BLOCKED)) == ["r1"]
    assert "No requests yet" in words(read(viewer, LIST))
    text = words(read(viewer, f"{LIST}r1/"))
    for told in (
        "Limit $25.00 Spent $24.02 Held for running calls $0.91 Left $0.07 Needed $0.084048000",
        "Too little by $0.014048000",
        "Resets 24 Nov 2026, 00:00:00 UTC",
        "Affordable were 125 tokens of output",
    ):
        assert told in text
    assert shown(read(viewer, f"{BLOCKED}?reason=paused")) == []


def test_the_file_has_the_columns_and_the_rows_of_the_export(viewer: StaffApp) -> None:
    user_id = add_user("=ann")
    add_entry("r1", 1, user_id=user_id, cost_nano_usd=50, admitted_at=NOW - timedelta(hours=2))
    add_entry("r1", 2, user_id=user_id, cost_nano_usd=7, admitted_at=NOW - timedelta(hours=2))
    add_entry("r2", served_model="+1", cost_nano_usd=1_000)
    add_entry("r3", admitted_at=NOW - timedelta(days=40))
    add_refusal(user_id)
    response = viewer.client.get(f"{LIST}export.csv?range=7d")
    assert response.headers["Content-Disposition"].startswith("attachment")
    rows = list(csv.DictReader(StringIO(response.text)))
    wanted = list(LedgerExport(viewer.engine).calls(NOW - timedelta(days=7), None))
    assert [row["request_id"] for row in rows] == ["r1", "r2"]
    for row, call in zip(rows, wanted, strict=True):
        assert [name for name in row if name != "cost_usd"] == list(call)
        assert int(row["cost_nano_usd"]) == call["cost_nano_usd"]
    assert [row["cost_usd"] for row in rows] == ["0.000000057", "0.000001"]
    assert (rows[0]["user"], rows[1]["served_model"]) == ("'=ann", "'+1")
    [entry] = db.session.query(AuditRow).filter(AuditRow.action == "export")
    assert (entry.target_id, entry.after) == ("requests", {})


def test_the_pages_with_figures_lead_to_the_requests_behind_them(viewer: StaffApp) -> None:
    add_usage(NOW.replace(minute=0, second=0), 1)
    add_entry("r1")
    overview = unescape(read(viewer, "/admin/ai-analytics/?range=24h"))
    assert f'href="{LIST}?range=24h&outcome=failed"' in overview
    assert f'href="{LIST}?range=24h&provider=openai"' in overview
    assert f'href="{BLOCKED}?range=24h"' in overview
    assert f'href="{LIST}r1/"' in overview
    user = unescape(read(viewer, "/admin/ai-analytics/users/1/"))
    assert f'href="{LIST}?user=1"' in user


def test_every_user_with_a_role_may_look(staff_app: StaffApp, tmp_path: Path) -> None:
    add_entry("r1")
    for role, status in (("viewer", 200), ("operator", 200), ("none", 403)):
        add_user(role, role=role)
        client = staff_app.app.test_client()
        log_in(client, role)
        for path in (LIST, BLOCKED, f"{LIST}r1/", f"{LIST}export.csv"):
            assert client.get(path).status_code == status, path

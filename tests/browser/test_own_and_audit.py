"""The own pages and the audit in a browser: for every eye, on a phone, and by keyboard alone."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from ai_gateway.stores.refusal_tables import RefusalRow
from ai_gateway.stores.tables import db
from tests.audit import seed_audit
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.screenshots import log_in
from tests.browser.sites import Site, running_site
from tests.browser.test_every_page import fits
from tests.seeding import (
    NOW,
    add_account,
    add_entry,
    add_usage,
    add_user,
    seed_keys,
    usd,
)

pytestmark = pytest.mark.browser

Start = Callable[..., Visit]
OWNER = "ben.okafor"
EMPTY = "nobody"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Ben has keys, calls and refusals; nobody has none of them; the audit has some of each."""
    with running_site(_seed) as running:
        yield running


def _seed(_admin: int) -> None:
    ben = add_user(OWNER)
    for days in range(9):
        add_usage(NOW - timedelta(days=days), ben, cost_nano_usd=usd("2.5"), input_tokens=12_000)
    add_account("2026-11-23", usd("22"), user_id=ben)
    add_entry("req_0001", user_id=ben, cost_nano_usd=usd("0.0123"), input_tokens=5005)
    refused = {"outcome": "budget_blocked", "reason": "user_day", "operation": "chat"}
    db.session.add(
        RefusalRow(at=NOW, request_id="req_2", user_id=ben, key_id="k", model="gpt-4.1", **refused)
    )
    seed_keys(ben)
    seed_audit(db.engine, NOW)


def keeps_the_rules(page: Page, path: str) -> None:
    response = page.goto(path, wait_until="networkidle")
    assert response is not None
    assert response.status == 200, path
    assert page.locator("h1").count() == 1
    assert_accessible(page)
    page.set_viewport_size({"width": 375, "height": 800})
    fits(page, 375)
    page.set_viewport_size({"width": 1280, "height": 800})


def test_own_pages_keep_the_rules_of_the_house(visit: Start, site: Site) -> None:
    seen = visit(site, None, viewport={"width": 1280, "height": 800})
    log_in(seen.page, OWNER)
    for path in ("/me/", "/me/keys/", "/me/clients/"):
        keeps_the_rules(seen.page, path)
    assert seen.complaints == []


def test_the_first_key_is_made_and_revoked_by_keyboard_alone(visit: Start, site: Site) -> None:
    seen = visit(site, None)
    page = seen.page
    log_in(page, EMPTY)
    assert_accessible(page)
    page.get_by_role("link", name="Create the first key").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Label").focus()
    page.keyboard.type("laptop")
    page.keyboard.press("Enter")
    expect(page.locator("#new-key")).to_contain_text("agw_")
    stored = page.get_by_role("link", name="I have stored it")
    stored.focus()
    page.keyboard.press("Enter")
    opener = page.get_by_role("link", name="Revoke laptop")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Revoke “laptop” of nobody?")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="is revoked")).to_be_visible()
    expect(page.locator("tbody .badge")).to_have_text("Revoked")
    assert seen.complaints == []


def test_the_audit_is_narrowed_and_its_times_are_turned(visit: Start, site: Site) -> None:
    seen = visit(site, timezone_id="Asia/Kolkata")
    page = seen.page
    keeps_the_rules(page, "/admin/audit/")
    page.get_by_label("Action").select_option("limit_change")
    page.get_by_label("Action").press("Tab")
    page.get_by_role("button", name="Show").press("Enter")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("23 Nov 2026, 05:45:05 UTC")
    page.get_by_role("button", name="Times in UTC").press("Enter")
    expect(rows.first).to_contain_text("11:15:05")
    page.get_by_role("link", name="Remove the filter: Limit change").press("Enter")
    expect(rows).not_to_have_count(1)
    assert "action" not in page.url
    assert seen.complaints == []

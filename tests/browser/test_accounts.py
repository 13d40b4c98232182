"""Accounts, log-in and password in a real browser: what asks first, and what it tells."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site
from tests.seeding import PASSWORD, add_key, add_user
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import build, served

pytestmark = pytest.mark.browser

Start = Callable[..., Visit]
LIST = "/admin/user/"


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Site]:
    """A site whose users may be changed."""
    url = sqlite_url(tmp_path)
    with opened(url):
        add_user("admin", role="admin")
        for name in ("amelia", "ben", "chloe"):
            add_user(name)
        add_key(add_user("daniel"))
        made = build(url)
        with served(made.app) as address:
            yield Site(address, made)
        made.engine.dispose()


def rows(page: Page) -> list[str]:
    return page.locator("tbody th").all_inner_texts()


def test_deleting_asks_first_and_cancel_leaves_the_row(visit: Start, accounts: Site) -> None:
    seen = visit(accounts)
    page = seen.page
    page.goto(LIST)
    opener = page.get_by_role("link", name="Delete amelia")
    for leave in ("Cancel", "Escape"):
        opener.click()
        dialog = page.get_by_role("dialog", name="Delete amelia?")
        expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
        assert_accessible(page)
        if leave == "Cancel":
            dialog.get_by_role("link", name="Cancel").click()
        else:
            page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()
    assert "amelia" in rows(page)
    opener.click()
    follow(page.get_by_role("dialog").get_by_role("button", name="Delete"))
    expect(page.get_by_role("status").filter(has_text="1 user deleted.")).to_be_visible()
    assert rows(page) == ["admin", "ben", "chloe", "daniel"]
    assert seen.complaints == []


def test_a_bulk_action_reaches_the_chosen_rows_and_tells_what_it_could_not_do(
    visit: Start, accounts: Site
) -> None:
    seen = visit(accounts)
    page = seen.page
    page.goto(LIST)
    disable = page.get_by_role("button", name="Disable…")
    expect(disable).to_be_disabled()
    page.get_by_label("Select ben").check()
    page.get_by_label("Select daniel").check()
    expect(page.get_by_text("2 selected")).to_be_visible()
    disable.click()
    dialog = page.get_by_role("dialog", name="Disable 2 users?")
    expect(dialog.get_by_role("listitem")).to_have_text(["ben", "daniel"])
    assert_accessible(page)
    follow(dialog.get_by_role("button", name="Disable"))
    expect(page.get_by_role("status").filter(has_text="2 users disabled.")).to_be_visible()
    states = page.locator("tbody td.corner").all_inner_texts()
    assert states == ["Enabled", "Enabled", "Disabled", "Enabled", "Disabled"]
    page.get_by_label("Select all rows of this page").check()
    expect(page.get_by_text("5 selected")).to_be_visible()
    disable.click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(page.get_by_role("alert").filter(has_text="last administrator")).to_be_visible()
    assert seen.complaints == []


def test_accounts_work_without_scripts(visit: Start, accounts: Site) -> None:
    page = visit(accounts, java_script_enabled=False).page
    page.goto(LIST)
    follow(page.get_by_role("link", name="Delete ben"))
    follow(page.get_by_role("link", name="Cancel"))
    assert "ben" in rows(page)
    follow(page.get_by_role("link", name="Delete ben"))
    follow(page.get_by_role("button", name="Delete"))
    assert "ben" not in rows(page)
    follow(page.get_by_role("link", name="Email"))
    page.get_by_label("Username or email").fill("chl")
    follow(page.get_by_role("button", name="Show"))
    assert rows(page) == ["chloe"]


def test_a_user_is_made_with_a_password_that_is_shown_once(visit: Start, accounts: Site) -> None:
    seen = visit(accounts)
    page = seen.page
    page.goto(LIST)
    follow(page.get_by_role("link", name="New user"))
    page.get_by_label("Username").fill("eve")
    page.get_by_label("Email").fill("ben@example.com")
    page.get_by_label("Make a random one").check()
    follow(page.get_by_role("button", name="Make this user"))
    expect(page.get_by_role("alert")).to_contain_text("exists already")
    assert_accessible(page)
    page.get_by_label("Email").fill("eve@example.com")
    follow(page.get_by_role("button", name="Make this user"))
    password = page.locator("#made-password").inner_text()
    assert len(password) >= 16
    assert_accessible(page)
    follow(page.get_by_role("link", name="I have stored it"))
    assert "eve" in rows(page)
    assert seen.complaints == [
        "Failed to load resource: the server responded with a status of 422 (UNPROCESSABLE ENTITY)"
    ]


def test_the_sixth_failed_log_in_counts_down_and_others_get_in(
    visit: Start, accounts: Site
) -> None:
    page = visit(accounts, None).page
    for _ in range(6):
        log_in(page, "amelia", "wrong")
    expect(page.get_by_role("alert")).to_contain_text("Too many failed attempts")
    timer = page.get_by_role("timer")
    first = timer.inner_text()
    assert first.endswith("left")
    expect(timer).not_to_have_text(first)
    assert_accessible(page)
    log_in(page, "ben", PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your use")


def log_in(page: Page, username: str, password: str) -> None:
    page.goto("/login")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_load_state()


def test_a_password_can_be_looked_at_while_it_is_typed(visit: Start, accounts: Site) -> None:
    page = visit(accounts, None).page
    page.goto("/login")
    field = page.get_by_label("Password")
    field.fill("secret")
    page.get_by_role("button", name="Show").click()
    expect(field).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide").click()
    expect(field).to_have_attribute("type", "password")


def test_after_the_log_out_the_back_button_shows_the_log_in(visit: Start, accounts: Site) -> None:
    page = visit(accounts, None).page
    log_in(page, "admin", PASSWORD)
    page.goto(LIST)
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    assert "amelia" not in page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_own_password_is_changed_by_everybody(
    visit: Start, accounts: Site, scheme: str
) -> None:
    seen = visit(accounts, None, color_scheme=scheme, viewport={"width": 320, "height": 640})
    page = seen.page
    log_in(page, "amelia", PASSWORD)
    page.locator("summary", has_text="Menu").click()
    follow(page.get_by_role("link", name="Password"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    new = "a quite different sentence"
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(new)
    page.get_by_label("New password again").fill(new)
    follow(page.get_by_role("button", name="Change it"))
    expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
    assert_accessible(page)
    follow(page.get_by_role("link", name="Back"))
    page.locator("summary", has_text="Menu").click()
    follow(page.get_by_role("button", name="Log out"))
    log_in(page, "amelia", new)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your use")

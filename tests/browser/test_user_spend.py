"""The list of users and its dialog in a real browser, with scripts and without."""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import func, select

from ai_gateway.domain.limits import Window
from ai_gateway.services.health import LiveState
from ai_gateway.stores.tables import AuditRow, db
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site, running_site
from tests.seeding import (
    NOW,
    PASSWORD,
    add_account,
    add_limit,
    add_usage,
    add_user,
    amount,
    usd,
)
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import build, served

pytestmark = pytest.mark.browser

Start = Callable[..., Visit]
USERS = "/admin/ai-analytics/users/"
DAY, MONTH = "2026-11-23", "2026-11"
PHONE = {"width": 375, "height": 800}


def _seed(_admin: int) -> None:
    """By name: what of a limit of 10 USD a day is spent, and whether the last call was refused."""
    for name, spent, is_refused in (
        ("amelia", "12.30", False),
        ("ben", "9.70", True),
        ("chloe", "8", False),
        ("daniel", "1", False),
    ):
        user_id = add_user(name)
        add_usage(NOW, user_id, cost_nano_usd=usd(spent))
        add_account(DAY, usd(spent), user_id=user_id, is_refused=is_refused)
        add_account(MONTH, usd(spent), user_id=user_id)
        add_limit(Window.DAY, amount(usd("10")), user_id=user_id)


@pytest.fixture
def site() -> Iterator[Site]:
    """A site whose users may be reset."""
    with running_site(_seed) as running:
        yield running


@pytest.fixture
def site_without_redis(tmp_path: Path) -> Iterator[Site]:
    url = sqlite_url(tmp_path)
    with opened(url):
        _seed(add_user("admin", role="admin"))
        made = build(url)
        made.services.health.state = LiveState(redis_down_since=NOW)
        with served(made.app) as address:
            yield Site(address, made)
        made.engine.dispose()


def row(page: Page, name: str) -> Locator:
    return page.locator("tbody tr").filter(has=page.locator(f"th [title='{name}']"))


def names(page: Page) -> list[str]:
    return [str(text) for text in page.locator("tbody th a:not(.second)").all_inner_texts()]


def audited() -> int:
    db.session.rollback()
    resets = select(func.count()).where(AuditRow.action == "spend_reset")
    return db.session.scalar(resets) or 0


def test_states_are_told_by_word_and_colour(visit: Start, site: Site) -> None:
    page = visit(site).page
    page.goto(USERS)
    colours, signs = {}, {}
    for name, word, value in (
        ("amelia", "Exceeded", 100),
        ("ben", "Exceeded", 97),
        ("chloe", "Warning", 80),
        ("daniel", "OK", 10),
    ):
        shown = row(page, name)
        assert shown.locator(".badge").inner_text() == word
        bar = shown.locator("progress").first
        assert bar.evaluate("bar => bar.value") == value
        colours[name] = bar.evaluate("bar => getComputedStyle(bar).color")
        signs[name] = shown.locator(".badge svg").inner_html()
    # Those who see no colours have a word and a sign.
    assert len({signs[name] for name in ("amelia", "chloe", "daniel")}) == 3
    assert colours["amelia"] == colours["ben"]
    assert len(set(colours.values())) == 3
    assert "$12.30 of $10.00 · 123 %" in row(page, "amelia").inner_text()
    assert row(page, "ben").get_by_text("last call refused").first.is_visible()


def test_one_user_is_reset_by_a_dialog_that_asks_why(visit: Start, site: Site) -> None:
    seen = visit(site)
    page = seen.page
    page.goto(f"{USERS}?filter=exceeded")
    opener = page.get_by_role("link", name="Reset the spend of amelia")
    opener.click()
    dialog = page.get_by_role("dialog", name="Reset the spend of amelia?")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
    opener.click()
    expect(dialog.get_by_role("cell", name="$12.30")).to_have_count(2)
    dialog.get_by_role("button", name="Reset spend").click()
    # The browser asks for the reason, and nothing is sent.
    expect(dialog.get_by_label("Reason")).to_be_focused()
    dialog.get_by_label("Reason").fill("quarter end")
    dialog.get_by_role("checkbox", name="Spend of this month").uncheck()
    with page.expect_navigation():
        dialog.get_by_role("button", name="Reset spend").dblclick()
    message = page.get_by_role("status").filter(has_text="amelia reset: $12.30 of today taken off.")
    expect(message).to_be_visible()
    assert page.url.endswith(f"{USERS}?filter=exceeded")
    page.goto(USERS)
    # Right at once, whatever the database still says.
    assert row(page, "amelia").locator(".badge").inner_text() == "OK"
    assert "$12.30 of" in row(page, "amelia").inner_text()
    assert audited() == 1
    assert seen.complaints == []


def test_a_reset_takes_the_mark_of_a_refusal_away_at_once(visit: Start, site: Site) -> None:
    page = visit(site).page
    page.goto(USERS)
    page.get_by_role("link", name="Reset the spend of ben").click()
    page.get_by_label("Reason").fill("a loop was mended")
    follow(page.get_by_role("button", name="Reset spend"))
    expect(page.get_by_role("status").filter(has_text="ben reset")).to_be_visible()
    assert row(page, "ben").locator(".badge").inner_text() == "OK"
    assert row(page, "ben").get_by_text("last call refused").count() == 0


@pytest.mark.parametrize("has_scripts", [True, False])
def test_chosen_users_are_reset_together(visit: Start, site: Site, *, has_scripts: bool) -> None:
    page = visit(site, java_script_enabled=has_scripts).page
    page.goto(USERS)
    for name in ("amelia", "chloe"):
        page.get_by_label(f"Select {name}").check()
    page.get_by_role("button", name="Reset selected…").click()
    page.get_by_role("heading", name="Reset the spend of 2 users?").wait_for()
    assert page.locator("dialog[open]").count() == (1 if has_scripts else 0)
    page.get_by_label("Reason").fill("new quarter")
    follow(page.get_by_role("button", name="Reset spend"))
    page.get_by_text("2 users reset: $20.30 of today and $20.30 of this month").wait_for()
    page.get_by_text("amelia, chloe.").wait_for()
    for name in ("amelia", "chloe"):
        assert row(page, name).locator(".badge").inner_text() == "OK"
    assert row(page, "ben").locator(".badge").inner_text() == "Exceeded"
    assert audited() == 2


def test_the_page_of_the_dialog_fits_a_phone(visit: Start, site: Site) -> None:
    page = visit(site, viewport=PHONE).page
    page.goto(USERS)
    page.get_by_role("link", name="Reset the spend of amelia").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.goto(f"{USERS}reset/?selected=3&selected=4")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_viewer_sees_all_and_can_change_nothing(visit: Start, site: Site) -> None:
    add_user("victor", role="viewer")
    page = visit(site, "victor").page
    page.goto(USERS)
    assert "amelia" in names(page)
    assert page.get_by_text("Reset…").count() == 0
    assert page.get_by_role("checkbox").count() == 0


def test_back_and_forward_and_a_copied_address_show_the_same(visit: Start, site: Site) -> None:
    page = visit(site).page
    page.goto(USERS)
    follow(page.get_by_role("link", name="Warning (over 80 %)"))
    follow(page.get_by_role("link", name="Email"))
    page.get_by_label("Username or email").fill("e")
    follow(page.get_by_role("button", name="Show"))
    address, shown = page.url, names(page)
    assert shown == ["amelia", "ben", "chloe"]
    page.go_back()
    page.go_back()
    assert re.search(r"\?filter=warning$", page.url)
    page.go_forward()
    page.go_forward()
    assert (page.url, names(page)) == (address, shown)
    assert page.get_by_label("Username or email").input_value() == "e"
    other = visit(site).page
    other.goto(address)
    assert names(other) == shown
    follow(other.get_by_label("Remove the filter: matches “e”"))
    assert re.search(r"filter=warning&sort=email$", other.url)


def test_the_keyboard_alone_gets_from_the_log_in_to_a_reset_and_its_file(
    visit: Start, site: Site
) -> None:
    page = visit(site, None).page
    page.goto("/login")
    tab_to(page, "Username")
    page.keyboard.type("admin")
    tab_to(page, "Password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")
    for stop, heading in (("Overview", "AI Analytics"), ("Users", "User spend")):
        tab_to(page, stop)
        page.keyboard.press("Enter")
        page.get_by_role("heading", level=1, name=heading).wait_for()
    tab_to(page, "Exceeded")
    page.keyboard.press("Enter")
    page.wait_for_url("**filter=exceeded")
    tab_to(page, "Reset the spend of ben")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Reset the spend of ben")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    tab_to(page, "Reason")
    page.keyboard.type("by keys alone")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="ben reset")).to_be_visible()
    tab_to(page, "CSV")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "user-spend-2026-11-as-of-2026-11-23.csv"
    with download.value.path().open(newline="") as file:
        found = {line["Username"]: line for line in csv.DictReader(file)}
    assert found["ben"]["Daily Spend"] == "0.000000000"
    assert found["amelia"]["Daily Spend"] == "12.300000000"


FOCUSED = """() => {
    const one = document.activeElement;
    const label = one.labels?.[0]?.innerText;
    const outline = parseFloat(getComputedStyle(one).outlineWidth);
    return one === document.body ? null : [one.ariaLabel || label || one.innerText, outline];
}"""


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of this name has the focus; where it is can be seen all along."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        # Behind the last element the browser itself has the focus.
        if focused is None:
            continue
        words, outline = focused
        assert outline >= 2, words
        if name in words:
            return
    raise AssertionError(name)


def test_without_redis_all_is_shown_as_nearly_and_nothing_can_be_reset(
    visit: Start, site_without_redis: Site
) -> None:
    seen = visit(site_without_redis)
    page = seen.page
    response = page.goto(USERS)
    assert response is not None
    assert response.status == 200
    assert page.get_by_text("Live counters unavailable since").is_visible()
    assert page.get_by_text("Spend cannot be reset until they are back").is_visible()
    shown = row(page, "amelia")
    assert "≈ $12.30 of" in shown.inner_text()
    assert shown.locator(".badge").inner_text() == "Exceeded"
    assert shown.get_by_role("button", name="Reset the spend of amelia").is_disabled()
    assert_accessible(page)
    assert seen.complaints == []

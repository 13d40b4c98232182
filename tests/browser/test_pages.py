"""The staff pages in a real browser: looks, access for all, and nothing from elsewhere."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site

pytestmark = pytest.mark.browser

HOME, OVERVIEW, USERS = "/admin/", "/admin/ai-analytics/", "/admin/ai-analytics/users/"
PAGES = (
    HOME,
    OVERVIEW,
    f"{OVERVIEW}?range=24h",
    USERS,
    f"{USERS}?filter=exceeded&sort=email&size=25",
    f"{USERS}?q=nobody-at-all",
)
ERROR = "/admin/nowhere/"
SITES = ("full_site", "empty_site")

Start = Callable[..., Visit]


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> Site:
    found: Site = request.getfixturevalue(request.param)
    return found


def main_text(page: Page) -> list[str]:
    """What is to be read, but for the buttons that only a script can serve."""
    lines = page.locator("main").inner_text().splitlines()
    return [line for line in lines if line.strip() not in {"", "Copy", "0 selected"}]


@pytest.mark.parametrize("path", [f"{OVERVIEW}?range=24h", f"{USERS}?q=nobody-at-all", ERROR])
def test_pages_in_other_states_are_accessible(visit: Start, site: Site, path: str) -> None:
    seen = visit(site)
    seen.page.goto(path)
    assert_accessible(seen.page)
    # The browser itself complains of the status of an error page.
    assert [words for words in seen.complaints if "404" not in words] == []


def test_an_open_hint_is_accessible(visit: Start, full_site: Site) -> None:
    page = visit(full_site).page
    page.goto(OVERVIEW)
    page.get_by_label("What is: Error rate").click()
    assert_accessible(page)


def test_axe_finds_nothing_on_the_log_in_and_its_failure(visit: Start, full_site: Site) -> None:
    page = visit(full_site, None).page
    page.goto("/login")
    assert_accessible(page)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("wrong")
    follow(page.get_by_role("button", name="Log in"))
    page.get_by_role("alert").wait_for()
    assert_accessible(page)


def test_axe_finds_nothing_for_a_user_without_a_role(visit: Start, full_site: Site) -> None:
    page = visit(full_site, "nobody").page
    assert page.get_by_role("heading", level=1).inner_text() == "No access to the staff pages"
    assert_accessible(page)


@pytest.mark.parametrize("size", [(375, 800), (320, 640)])
def test_hint_menu_and_pages_outside_the_menu_fit_a_phone(
    visit: Start, full_site: Site, size: tuple[int, int]
) -> None:
    width, height = size
    page = visit(full_site, viewport={"width": width, "height": height}).page
    for path in (ERROR, "/login"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(OVERVIEW)
    page.get_by_label("What is: Total cost").click()
    page.locator("summary", has_text="Menu").click()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_pages_say_the_same_without_scripts(visit: Start, full_site: Site) -> None:
    plain = visit(full_site, java_script_enabled=False).page
    rich = visit(full_site).page
    for path in PAGES:
        plain.goto(path)
        rich.goto(path)
        assert main_text(plain) == main_text(rich)


def test_filters_sorting_search_and_paging_work_without_scripts(
    visit: Start, full_site: Site
) -> None:
    page = visit(full_site, java_script_enabled=False).page
    page.goto(USERS)
    follow(page.get_by_role("link", name="Exceeded"))
    exceeded = page.locator("td.corner .badge--exceeded").count()
    assert page.locator("tbody tr").count() == exceeded > 0
    follow(page.get_by_role("link", name="All"))
    follow(page.get_by_role("link", name="Email"))
    page.get_by_label("Rows on a page").select_option("25")
    follow(page.get_by_role("button", name="Show"))
    follow(page.get_by_role("link", name="Next"))
    assert re.search(r"sort=email&size=25&page=2$", page.url)
    assert page.locator("tbody tr").count() == 3
    page.get_by_label("Username or email").fill("liam")
    follow(page.get_by_role("button", name="Show"))
    (name,) = page.locator("tbody th").all_inner_texts()
    assert name.startswith("liam.murphy")


def test_the_menu_on_a_phone_needs_no_script(visit: Start, full_site: Site) -> None:
    phone = {"width": 375, "height": 800}
    page = visit(full_site, java_script_enabled=False, viewport=phone).page
    assert not page.get_by_role("link", name="Users").is_visible()
    page.locator("summary", has_text="Menu").click()
    follow(page.get_by_role("link", name="Users", exact=True))
    assert page.get_by_role("heading", level=1).inner_text() == "User spend"
    page.locator("summary", has_text="Menu").click()
    current = page.locator("[aria-current=page]:visible")
    assert current.all_inner_texts() == ["Users"]


def test_the_first_tab_skips_to_the_content(visit: Start, full_site: Site) -> None:
    page = visit(full_site).page
    page.goto(OVERVIEW)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content"
    assert page.locator(":focus").is_visible()
    page.keyboard.press("Enter")
    assert page.locator(":focus").get_attribute("id") == "main"


def test_the_theme_follows_the_system_until_it_is_chosen(visit: Start, full_site: Site) -> None:
    page = visit(full_site, color_scheme="dark").page

    def canvas() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    dark = canvas()
    page.get_by_role("button", name="Theme: system").click()
    light = canvas()
    assert light != dark
    page.get_by_role("button", name="Theme: light").wait_for()
    page.goto(OVERVIEW)
    assert page.locator("html").get_attribute("data-theme") == "light"
    assert canvas() == light
    page.get_by_role("button", name="Theme: light").click()
    assert canvas() == dark
    page.get_by_role("button", name="Theme: dark").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") is None


def test_a_command_can_be_copied(visit: Start, empty_site: Site) -> None:
    page = visit(empty_site, permissions=["clipboard-read", "clipboard-write"]).page
    page.goto(OVERVIEW)
    page.locator("[data-copy=first-call]").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"curl {empty_site.address}/v1/chat/completions")
    assert '"model": "gpt-4o-mini"' in copied


def test_bars_are_full_at_most_and_coloured_by_state(visit: Start, full_site: Site) -> None:
    page = visit(full_site).page
    page.goto(USERS)
    colours = {}
    for state in ("ok", "warning", "exceeded"):
        bar = page.locator(f"progress.bar--{state}").first
        colours[state] = bar.evaluate("e => getComputedStyle(e).color")
        assert 0 <= float(bar.evaluate("e => e.value")) <= 100
    assert len(set(colours.values())) == 3
    assert page.locator(".budget__text", has_text="123 %").count() == 1


def test_the_back_button_restores_what_was_chosen(visit: Start, full_site: Site) -> None:
    page = visit(full_site).page
    page.goto(f"{OVERVIEW}?range=30d")
    follow(page.get_by_role("link", name="24 h"))
    chosen = page.get_by_role("navigation", name="Range").locator("[aria-current]")
    assert chosen.inner_text() == "24 h"
    page.go_back()
    assert chosen.inner_text() == "30 days"


def test_back_and_forward_lead_between_the_pages_of_a_list(visit: Start, full_site: Site) -> None:
    page = visit(full_site).page
    page.goto(f"{USERS}?size=25")
    names = page.locator("tbody th")
    first = names.all_inner_texts()
    follow(page.get_by_role("link", name="Next"))
    second = names.all_inner_texts()
    page.go_back()
    assert names.all_inner_texts() == first
    page.go_forward()
    assert names.all_inner_texts() == second != first


def test_pages_can_be_pictured(visit: Start, full_site: Site, tmp_path: Path) -> None:
    page = visit(full_site, viewport={"width": 1440, "height": 900}).page
    for number, path in enumerate(PAGES):
        page.goto(path)
        picture = page.screenshot(path=tmp_path / f"{number}.png", full_page=True)
        # A page that lost its stylesheet or its rows compresses to much less.
        assert len(picture) > 20_000

"""The widgets of the staff pages in a browser, on a page that has each of them."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ai_gateway.services.health import LiveState
from ai_gateway.services.sign_in import IDLE_TIME
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Gallery, Visit
from tests.browser.following import follow
from tests.browser.gallery import ADDRESS
from tests.browser.waiting import until
from tests.seeding import NOW

pytestmark = pytest.mark.browser

Start = Callable[..., Visit]
SECONDS = 30


def drawn(page: Page, chart: str, expression: str) -> object:
    return page.evaluate(f"Chart.getChart('{chart}').{expression}")


def opened(seen: Visit, query: str = "") -> Page:
    seen.page.goto(ADDRESS + query)
    return seen.page


# Charts


def test_a_chart_draws_what_the_server_wrote(visit: Start, gallery: Gallery) -> None:
    seen = visit(gallery)
    page = opened(seen)
    assert drawn(page, "rate", "data.datasets[0].data") == [0.01, 0.02, None, 0.05, 0.04]
    ticks = page.evaluate("Chart.getChart('cost').scales.y.ticks.map((tick) => tick.label)")
    assert ticks == ["$0.00", "$50.00", "$100.00", "$150.00", "$200.00", "$250.00"]
    assert len(drawn(page, "cost", "data.datasets")) == 10  # type: ignore[arg-type]  # a list
    assert page.get_by_text("No data in this window.").is_visible()
    name = page.get_by_role("img", name="Cost over time").get_attribute("aria-label")
    assert name is not None
    assert name.startswith("Cost over time. 17 Nov to 23 Nov: $")
    assert seen.complaints == []


def test_a_chart_has_a_table_with_and_without_scripts(visit: Start, gallery: Gallery) -> None:
    texts = []
    for has_scripts in (True, False):
        page = opened(visit(gallery, java_script_enabled=has_scripts))
        assert page.locator("canvas").first.is_visible() is has_scripts
        page.get_by_text("Show as table").nth(1).click()
        table = page.get_by_role("region", name="Error rate as a table")
        texts.append(table.locator("td").all_inner_texts())
    assert texts[0] == texts[1] == ["1.00 %", "2.0 %", "—", "5.0 %", "4.0 %"]


def test_a_bar_leads_to_the_address_of_its_label(visit: Start, gallery: Gallery) -> None:
    page = opened(visit(gallery))
    canvas = page.get_by_role("img", name="Cost over time")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] - 30, box["y"] + box["height"] - 60)
    page.wait_for_url("**/gallery/?day=6")
    page.get_by_text("Show as table").first.click()
    page.get_by_role("link", name="19 Nov").click()
    page.wait_for_url("**/gallery/?day=2")


def test_charts_are_drawn_anew_in_the_colours_of_a_theme(visit: Start, gallery: Gallery) -> None:
    page = opened(visit(gallery, color_scheme="light"))
    ink = "data.datasets[0].backgroundColor"
    light = drawn(page, "cost", ink)
    page.emulate_media(color_scheme="dark")
    until(page, f"Chart.getChart('cost').{ink} !== '{light}'")
    page.get_by_role("button", name="Theme: system").click()
    until(page, f"Chart.getChart('cost').{ink} === '{light}'")


# Refresh


@pytest.fixture
def live(visit: Start, gallery: Gallery) -> Page:
    """The page with a refresh every 30 s and a clock that the test turns."""
    seen = visit(gallery)
    seen.page.clock.install(time=0)
    seen.page.clock.pause_at(1)
    return opened(seen, f"?seconds={SECONDS}")


def turn(page: Page, seconds: float) -> None:
    """Let time pass and whatever was asked be answered."""
    page.clock.fast_forward(int(seconds * 1000))
    expect(page.locator(".refresh")).not_to_have_attribute("aria-busy", "true")


def counted(page: Page) -> str:
    return page.locator("[data-tile=asked] .number").inner_text()


def test_sections_are_refreshed_after_the_interval(live: Page, gallery: Gallery) -> None:
    turn(live, SECONDS - 1)
    assert gallery.served.fragments == 0
    turn(live, 1)
    assert (counted(live), gallery.served.fragments) == ("1", 1)
    assert live.locator("#updated").inner_text() == "updated 07:10:06 UTC"
    turn(live, SECONDS)
    assert (counted(live), gallery.served.fragments) == ("2", 2)
    # The chart in a swapped section was drawn again, the other one is still the same.
    assert drawn(live, "rate", "data.datasets.length") == 1
    assert live.evaluate("Object.keys(Chart.instances).length") == 2


def test_a_hidden_page_asks_nothing_and_once_on_return(live: Page, gallery: Gallery) -> None:
    look = "document.dispatchEvent(new Event('visibilitychange'))"
    live.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    live.evaluate(look)
    turn(live, 20 * SECONDS)
    assert gallery.served.fragments == 0
    live.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    live.evaluate(look)
    turn(live, 1)
    assert gallery.served.fragments == 1
    turn(live, SECONDS - 2)
    assert gallery.served.fragments == 1


def test_a_section_in_use_is_left_alone(live: Page, gallery: Gallery) -> None:
    live.get_by_label("Note").fill("half a wo")
    turn(live, SECONDS)
    assert (counted(live), gallery.served.fragments) == ("0", 1)
    assert live.get_by_label("Note").input_value() == "half a wo"
    assert live.locator(":focus").get_attribute("name") == "note"
    assert live.locator("#updated").inner_text() == "updated 07:10:06 UTC"
    assert "in use" in live.locator(".refresh__note").inner_text()

    live.locator("h1").click()
    live.locator("#live-chart summary").click()
    live.evaluate("document.activeElement.blur()")
    turn(live, SECONDS)
    assert counted(live) == "2"
    assert live.locator("#live-chart details").get_attribute("open") is not None

    live.evaluate("getSelection().selectAllChildren(document.querySelector('#tiles'))")
    turn(live, SECONDS)
    assert counted(live) == "2"
    live.evaluate("getSelection().removeAllRanges()")
    turn(live, SECONDS)
    assert counted(live) == "4"


def test_a_failed_refresh_keeps_the_figures_and_waits_longer(live: Page, gallery: Gallery) -> None:
    gallery.served.answers = [500, 500, 500, 500]
    for number, wait in enumerate((30, 60, 120, 300, 300), start=1):
        turn(live, wait - 1)
        assert gallery.served.fragments == number - 1
        turn(live, 1)
        assert gallery.served.fragments == number
        if number < 5:
            assert counted(live) == "0"
            assert "Refresh failed" in live.locator(".refresh__note").inner_text()
            assert live.locator("#updated").inner_text() == "updated 07:10:05 UTC"
    assert counted(live) == "5"
    assert live.locator(".refresh__note").inner_text() == ""


def test_a_session_that_is_over_ends_the_refresh(live: Page, gallery: Gallery) -> None:
    gallery.staff_app.clock.now = NOW + IDLE_TIME
    turn(live, SECONDS)
    assert live.locator(".refresh__note").inner_text() == "Signed out. Reload to log in."
    assert live.get_by_label("Password").count() == 0
    assert counted(live) == "0"
    turn(live, 20 * SECONDS)
    assert gallery.served.fragments == 0
    live.reload()
    assert live.get_by_role("heading", level=1).inner_text() == "Log in"


def test_a_refresh_can_be_paused_and_asked_for(live: Page, gallery: Gallery) -> None:
    live.get_by_role("button", name="Pause the refresh").click()
    turn(live, 20 * SECONDS)
    assert gallery.served.fragments == 0
    live.get_by_role("link", name="Refresh").click()
    expect(live.locator("[data-tile=asked] .number")).to_have_text("1")
    live.reload()
    pause = live.get_by_role("button", name="Pause the refresh")
    assert pause.get_attribute("aria-pressed") == "true"
    pause.click()
    turn(live, SECONDS)
    assert gallery.served.fragments == 2


# Dialogs and forms


def test_a_confirmation_names_its_object_and_gives_the_focus_back(
    visit: Start, gallery: Gallery
) -> None:
    seen = visit(gallery)
    page = opened(seen)
    opener = page.get_by_role("link", name="Reset user-2")
    opener.press("Enter")
    dialog = page.get_by_role("dialog", name="Reset user-2?")
    expect(dialog).to_be_visible()
    assert page.locator(":focus").inner_text() == "Cancel"
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page.locator(":focus").get_attribute("aria-label") == "Reset user-2"
    opener.press("Enter")
    page.get_by_role("dialog").get_by_text("Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.locator(":focus").get_attribute("aria-label") == "Reset user-2"
    assert gallery.served.posts == []
    assert seen.complaints == []


def test_a_form_that_is_sent_twice_arrives_once(visit: Start, gallery: Gallery) -> None:
    page = opened(visit(gallery))
    page.get_by_role("link", name="Reset user-1").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("asked by the team")
    page.evaluate(
        "() => { const form = document.querySelector('dialog[open] form');"
        " form.requestSubmit(); form.requestSubmit(); }"
    )
    page.wait_for_url("**/gallery/reset/")
    (sent,) = gallery.served.posts
    assert sent["reason"] == ["asked by the team"]
    assert sent["selected"] == ["user-1"]
    assert len(sent["idempotency_key"][0]) >= 20


def test_a_confirmation_is_a_page_without_scripts(visit: Start, gallery: Gallery) -> None:
    page = opened(visit(gallery, java_script_enabled=False))
    page.get_by_role("link", name="Reset user-1").click()
    page.get_by_label("Reason").fill("none")
    follow(page.get_by_role("button", name="Reset", exact=True))
    assert [sent["selected"] for sent in gallery.served.posts] == [["user-1"]]


@pytest.mark.parametrize("has_scripts", [True, False])
def test_selected_rows_go_to_a_confirmation(
    visit: Start, gallery: Gallery, *, has_scripts: bool
) -> None:
    page = opened(visit(gallery, java_script_enabled=has_scripts))
    button = page.get_by_role("button", name="Reset selected…")
    if has_scripts:
        assert button.is_disabled()
        page.get_by_label("Select all rows of this page").check()
        assert page.get_by_text("3 selected").is_visible()
        page.get_by_label("Select user-2").uncheck()
        everything = page.get_by_label("Select all rows of this page")
        assert everything.evaluate("box => box.indeterminate")
    else:
        page.get_by_label("Select user-1").check()
        page.get_by_label("Select user-3").check()
    button.click()
    page.get_by_role("heading", name="Reset user-1, user-3?").wait_for()
    assert (page.locator("dialog[open]").count() == 1) is has_scripts


# Keys, times and states


def test_shortcuts_work_but_not_while_typing_and_can_be_switched_off(
    visit: Start, gallery: Gallery
) -> None:
    seen = visit(gallery)
    page = opened(seen)
    page.keyboard.press("/")
    assert page.locator(":focus").get_attribute("id") == "find"
    page.keyboard.type("r?/")
    assert page.locator("#find").input_value() == "r?/"
    page.locator("#find").blur()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**shift=earlier")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    assert dialog.is_visible()
    assert_accessible(page)
    dialog.get_by_label("Shortcuts are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("?")
    assert not dialog.is_visible()
    assert page.url.endswith("shift=earlier")
    page.get_by_role("button", name="Shortcuts").click()
    assert not dialog.get_by_label("Shortcuts are on").is_checked()
    assert seen.complaints == []


def test_times_of_records_can_be_those_of_the_browser(visit: Start, gallery: Gallery) -> None:
    page = opened(visit(gallery, timezone_id="Asia/Kolkata"))
    cell = page.locator("td[data-label=Time]").first
    assert cell.inner_text() == "23 Nov 2026, 07:10:05 UTC"
    page.get_by_role("button", name="Times in UTC").click()
    assert cell.inner_text() == "23 Nov 2026, 12:40:05 GMT+5:30"
    page.reload()
    assert cell.inner_text() == "23 Nov 2026, 12:40:05 GMT+5:30"
    page.get_by_role("button", name="Times in Asia").click()
    assert cell.inner_text() == "23 Nov 2026, 07:10:05 UTC"


def test_a_popover_closes_on_escape_and_on_a_click_elsewhere(
    visit: Start, gallery: Gallery
) -> None:
    page = opened(visit(gallery))
    summary = page.locator("summary", has_text="Custom")
    summary.click()
    page.get_by_label("From").focus()
    page.keyboard.press("Escape")
    assert not page.get_by_label("From").is_visible()
    assert page.locator(":focus").inner_text() == "Custom"
    summary.click()
    page.locator("h1").click()
    assert not page.get_by_label("From").is_visible()


def test_a_custom_range_keeps_the_rest_of_the_address(visit: Start, gallery: Gallery) -> None:
    page = opened(visit(gallery, java_script_enabled=False), "?sort=user&page=4&range=24h")
    page.locator("summary", has_text="Custom").click()
    page.get_by_label("From").fill("2026-11-01")
    page.get_by_label("To, inclusive").fill("2026-11-23")
    follow(page.get_by_role("button", name="Apply"))
    assert page.url.endswith("?sort=user&range=custom&from=2026-11-01&to=2026-11-23")


def test_every_page_says_when_the_counters_are_away(visit: Start, gallery: Gallery) -> None:
    gallery.staff_app.services.health.state = LiveState(redis_down_since=NOW)
    page = opened(visit(gallery))
    banner = page.get_by_role("alert").first
    assert "Live counters unavailable since 23 Nov 2026, 07:10:05 UTC." in banner.inner_text()
    gallery.staff_app.services.health.state = LiveState(ledger_lag=IDLE_TIME)
    page.reload()
    assert "Totals are 1 h behind" in page.get_by_role("status").first.inner_text()


@pytest.mark.parametrize("width", [1280, 375, 320])
def test_the_widgets_are_accessible_and_fit(visit: Start, gallery: Gallery, width: int) -> None:
    page = opened(visit(gallery, viewport={"width": width, "height": 800}))
    page.locator("summary", has_text="Custom").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(page)

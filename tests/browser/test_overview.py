"""The overview in a browser: its chart, its ways on, and the same without scripts."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site
from tests.browser.waiting import until

Start = Callable[..., Visit]

OVERVIEW = "/admin/ai-analytics/"
DRAWN = "window.Chart && Chart.getChart('usage-chart')"


def _total(page: Page, tile: str) -> int:
    found = page.locator(f"[data-tile={tile}] .tile__value [data-nano-usd]")
    return int(found.get_attribute("data-nano-usd") or "")


def test_what_is_drawn_is_what_the_tile_says(visit: Start, full_site: Site) -> None:
    page = visit(full_site).page
    page.goto(OVERVIEW)
    until(page, DRAWN)
    drawn = page.evaluate(
        "Chart.getChart('usage-chart').data.datasets.filter((one) => one.type === 'bar')"
        ".flatMap((one) => one.data).reduce((sum, value) => sum + value, 0)"
    )
    assert drawn == _total(page, "cost")


def test_the_chart_is_split_and_measured_otherwise_by_links(visit: Start, full_site: Site) -> None:
    started = visit(full_site)
    page = started.page
    page.goto(OVERVIEW)
    for link, legend in (("By model", "anthropic/claude-sonnet-4-5"), ("By user", "amelia.stone")):
        page.get_by_role("link", name=link, exact=True).click()
        page.get_by_role("list", name="Legend of Cost over time").get_by_text(legend).wait_for()
    # Nobody keeps the tokens of each user over time.
    figures = page.get_by_role("navigation", name="Figure")
    assert figures.get_by_role("link").all_inner_texts() == ["Cost", "Requests"]
    figures.get_by_role("link", name="Requests").click()
    page.get_by_role("heading", name="Requests over time").wait_for()
    assert started.complaints == []


def test_a_day_of_the_chart_leads_to_its_hours(visit: Start, full_site: Site) -> None:
    page = visit(full_site).page
    page.goto(OVERVIEW)
    page.locator("#usage").get_by_text("Show as table").click()
    follow(page.get_by_role("link", name="20 Nov", exact=True))
    page.get_by_text("20 Nov 2026, UTC · amounts in USD").wait_for()
    page.locator("#usage").get_by_text("Show as table").click()
    assert page.locator("#usage tbody tr").count() == 24


def test_names_lead_to_users_and_back(visit: Start, full_site: Site) -> None:
    started = visit(full_site)
    page = started.page
    page.goto(OVERVIEW)
    page.locator("#spenders").get_by_role("link", name="amelia.stone", exact=True).click()
    page.get_by_role("heading", name="amelia.stone", level=1).wait_for()
    until(page, "window.Chart && Chart.getChart('burn-up')")
    page.get_by_role("link", name="Users", exact=True).first.click()
    page.get_by_role("heading", name="User spend").wait_for()
    assert started.complaints == []


def test_figures_and_tables_are_there_without_scripts(visit: Start, full_site: Site) -> None:
    page = visit(full_site, java_script_enabled=False).page
    page.goto(f"{OVERVIEW}?by=model&range=30d")
    assert _total(page, "cost") > 0
    page.locator("#usage").get_by_text("Show as table").click()
    assert page.locator("#usage tbody tr").count() == 30
    page.goto(f"{OVERVIEW}system/")
    assert page.locator("[aria-label='Redis'][data-state='ok']").count() == 1

"""The page of prices in a real browser: a proposal is accepted, a price set, and taken back."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site, running_site
from tests.seeding import NOW, add_usage, add_user

pytestmark = pytest.mark.browser

Start = Callable[..., Visit]
PRICES = "/admin/prices/"


def _seed(admin: int) -> None:
    add_user("victor", role="viewer")
    add_usage(NOW.replace(minute=0, second=0), admin, model="gpt-9-mini", unpriced=4)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site(_seed) as running:
        yield running


def row(page: Page, model: str) -> Locator:
    return page.locator(f"tr[data-model='openai/{model}']")


def test_prices_are_accepted_set_and_withdrawn_by_dialogs(visit: Start, site: Site) -> None:
    seen = visit(site)
    page = seen.page
    page.goto(PRICES)
    assert_accessible(page)
    expect(page.locator("tbody tr").first).to_contain_text("gpt-9-mini")
    row(page, "gpt-9-mini").get_by_role("link", name="Accept").click()
    dialog = page.get_by_role("dialog", name="Accept the proposed price of gpt-9-mini?")
    expect(dialog).to_contain_text("an older version at openai: gpt-5.4-mini")
    assert_accessible(page)
    dialog.get_by_role("button", name="Accept").dblclick()
    expect(page.get_by_role("status").filter(has_text="in all workers")).to_be_visible()
    page.goto(f"{PRICES}?q=gpt-9-mini")
    expect(row(page, "gpt-9-mini")).to_contain_text("Entered here")
    row(page, "gpt-9-mini").get_by_role("link", name="Set a price").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Input", exact=True)).to_have_value("0.75")
    for label in ("Input", "Output"):
        dialog.get_by_label(label, exact=True).fill("0")
    site.staff_app.clock.now = NOW.replace(second=30)
    dialog.get_by_role("button", name="Set the price").click()
    expect(row(page, "gpt-9-mini")).to_contain_text("$0.00")
    row(page, "gpt-9-mini").get_by_role("link", name="Withdraw").click()
    site.staff_app.clock.now = NOW.replace(second=40)
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    expect(row(page, "gpt-9-mini")).to_contain_text("Unpriced")
    assert seen.complaints == []


def test_every_page_of_prices_fits_a_phone_and_works_without_scripts(
    visit: Start, site: Site
) -> None:
    page = visit(site, viewport={"width": 375, "height": 800}, java_script_enabled=False).page
    for path in ("", "?status=unpriced", "providers/", "model/?provider=openai&model=gpt-4o-mini"):
        page.goto(PRICES + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
    page.goto(f"{PRICES}calculator/")
    page.get_by_label("Model").fill("gpt-4o-mini")
    page.get_by_label("Input tokens").fill("1,000,000")
    follow(page.get_by_role("button", name="Calculate"))
    assert page.locator("[data-result]").inner_text() == "$0.15"
    page.goto(f"{PRICES}change/?provider=openai&model=gpt-4o")
    page.get_by_label("Output").fill("dear")
    follow(page.get_by_role("button", name="Set the price"))
    assert "such as 0.15" in page.locator(".field__error").inner_text()


def test_viewer_sees_prices_and_no_way_to_change_one(visit: Start, site: Site) -> None:
    page = visit(site, "victor").page
    page.goto(PRICES)
    assert page.locator("tbody tr").count() > 10
    assert page.locator("a[href*='/prices/change/']").count() == 0

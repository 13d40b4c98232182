"""From a figure to the requests behind it, and to one of them, in a real browser."""

import csv
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site

pytestmark = pytest.mark.browser

LIST = "/admin/ai-analytics/requests/"


def test_a_filtered_list_leads_to_one_charge_and_back(
    visit: Callable[..., Visit], full_site: Site
) -> None:
    seen = visit(full_site)
    page = seen.page
    page.goto(LIST)
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Provider", exact=True).fill("lab")
    page.get_by_label("Outcome").select_option("Success")
    follow(page.get_by_role("button", name="Show"))
    expect(page.get_by_role("list", name="Filters in use")).to_contain_text("at lab")
    rows = page.locator("tr[data-request-id]")
    found = rows.evaluate_all("all => all.map((row) => row.dataset.requestId)")
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    with started.value.path().open(newline="") as file:
        downloaded = [row["request_id"] for row in csv.DictReader(file)]
    assert downloaded == found[::-1]
    follow(rows.first.get_by_role("link", name=found[0]))
    page.wait_for_url(f"**{LIST}{found[0]}/")
    lines = page.locator("[data-pico-usd]").evaluate_all(
        "all => all.map((one) => Number(one.dataset.picoUsd))"
    )
    rounded = page.locator("[data-rounded-nano-usd]").get_attribute("data-rounded-nano-usd")
    assert round(sum(lines) / 1000) == int(rounded or -1)
    page.go_back()
    expect(rows).to_have_count(len(found))
    page.get_by_label("Request id, ours or the provider's").fill("req_refused_3")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name="Blocked request")).to_be_visible()
    assert seen.complaints == []

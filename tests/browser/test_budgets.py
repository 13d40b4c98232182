"""Limits and the switch of an emergency in a real browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site, running_site
from tests.seeding import add_account, add_user, usd

pytestmark = pytest.mark.browser

Start = Callable[..., Visit]


def _seed(_admin: int) -> None:
    add_account("2026-11-23", usd("5"), user_id=add_user("amelia"))


@pytest.fixture
def site() -> Iterator[Site]:
    """A site where limits and pauses may be set."""
    with running_site(_seed) as running:
        yield running


def test_everything_is_paused_in_a_dialog_and_another_default_is_read_before_it_is_set(
    visit: Start, site: Site
) -> None:
    seen = visit(site)
    page = seen.page
    page.goto("/admin/pauses/")
    page.get_by_role("link", name="Pause everything…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    dialog.get_by_label("Reason").fill("Keys leaked.")
    assert_accessible(page)
    dialog.get_by_role("button", name="Pause", exact=True).click()
    banner = page.get_by_role("alert").filter(has_text="All calls are paused")
    expect(banner).to_contain_text("Keys leaked.")
    page.goto("/admin/budgets/defaults/")
    expect(banner).to_be_visible()
    page.get_by_role("link", name="Edit limits…").click()
    page.get_by_label("Amount in USD").first.fill("4")
    follow(page.get_by_role("button", name="Set limits"))
    review = page.get_by_role("alert").filter(has_text="Not set yet")
    expect(review).to_contain_text("1 of them is already over it")
    assert_accessible(page)
    page.get_by_role("button", name="Set limits").click()
    expect(page.get_by_role("status").filter(has_text="from the next call on")).to_be_visible()
    expect(page.get_by_label("Daily limit")).to_contain_text("$4.00")
    assert seen.complaints == []

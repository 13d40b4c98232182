"""The home page and its test call in a real browser, with scripts and without."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site, running_site

pytestmark = pytest.mark.browser

Start = Callable[..., Visit]


@pytest.fixture
def site() -> Iterator[Site]:
    """A site whose provider never answers, so that a test call fails."""
    with running_site(lambda _admin: None) as running:
        yield running


def test_a_test_call_is_asked_for_by_name_and_cost_before_it_is_sent(
    visit: Start, site: Site
) -> None:
    seen = visit(site)
    page = seen.page
    opener = page.get_by_role("link", name="Send a test call")
    opener.click()
    dialog = page.get_by_role("dialog", name="Send a test call?")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    model = dialog.get_by_label("Model, and what it costs at most")
    expect(model.get_by_role("option")).to_have_text(["lab/our-model: at most $0.000018900"])
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
    assert seen.complaints == []
    opener.click()
    follow(dialog.get_by_role("button", name="Send it"))
    expect(page.get_by_role("alert")).to_contain_text("did not give a usable answer")
    assert_accessible(page)

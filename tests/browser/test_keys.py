"""A key in a real browser, from its making to its end: the secret is seen once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site
from tests.seeding import add_user
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import build, served

pytestmark = pytest.mark.browser


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose keys may be changed; there is no Redis."""
    url = sqlite_url(tmp_path)
    with opened(url):
        add_user("admin", role="admin")
        add_user("amelia")
        made = build(url)
        with served(made.app) as address:
            yield Site(address, made)
        made.engine.dispose()


def test_a_key_is_made_rotated_and_revoked_and_its_secrets_are_seen_once(
    visit: Callable[..., Visit], site: Site
) -> None:
    seen = visit(site, viewport={"width": 375, "height": 800})
    page = seen.page
    page.goto("/admin/api-keys/")
    page.get_by_role("link", name="Create the first key").click()
    page.get_by_label("Owner").fill("amelia")
    page.get_by_label("Label").fill("laptop")
    assert_accessible(page)
    follow(page.get_by_role("button", name="Make the key"))
    first = page.locator("#new-key").inner_text()
    assert first.startswith("agw_")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert_accessible(page)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Already done")
    assert first not in page.content()
    page.get_by_role("link", name="To the keys").click()
    page.get_by_role("link", name="Rotate laptop").click()
    dialog = page.get_by_role("dialog", name="Rotate “laptop” of amelia?")
    dialog.get_by_label("After 1 hour").check()
    assert_accessible(page)
    follow(dialog.get_by_role("button", name="Rotate"))
    second = page.locator("#new-key").inner_text()
    assert (second[:13], second == first) == (first[:13], False)
    follow(page.get_by_role("link", name="I have stored it"))
    expect(page.get_by_text("Rotating", exact=True)).to_be_visible()
    page.get_by_role("link", name="Revoke laptop").click()
    dialog = page.get_by_role("dialog", name="Revoke “laptop” of amelia?")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    follow(dialog.get_by_role("button", name="Revoke for good"))
    expect(page.get_by_text("It is not confirmed that this is in force")).to_be_visible()
    expect(page.get_by_text("Revoked", exact=True)).to_be_visible()
    assert not {first, second} & set(page.content().split('"'))
    assert seen.complaints == []

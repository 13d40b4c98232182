"""To follow a link or send a form, and look at nothing before the next page is there."""

from playwright.sync_api import Locator


def follow(leading: Locator) -> None:
    """Click on what leads to another page; returns when that one is loaded.

    A click alone returns when the next page has begun: what is counted then may not be there yet.
    """
    with leading.page.expect_navigation():
        leading.click()

"""Waiting for a script: Playwright's own way needs eval, which the policy of our pages forbids."""

import time

from playwright.sync_api import Page

MOST_SECONDS = 10
STEP_MS = 25


def until(page: Page, expression: str) -> None:
    """Return once the expression is true in the page, and fail where it never is."""
    deadline = time.monotonic() + MOST_SECONDS
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"{page.url}: never {expression}"
        page.wait_for_timeout(STEP_MS)

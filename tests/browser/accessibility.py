"""What axe-core finds on a page; its pinned package ships axe-core 4.12 and fetches nothing."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

ONLY_VIOLATIONS: dict[str, object] = {"resultTypes": ["violations"]}
"""What passes is told by one example, not by every element of the page."""

RULES = ONLY_VIOLATIONS | {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
}
COLOURS = ONLY_VIOLATIONS | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
"""The only rule that another colour scheme can change."""


def violations(page: Page, options: dict[str, object] = RULES) -> list[str]:
    """The elements that break a rule, each with its rule and the start of its HTML."""
    found = Axe().run(page, options=options).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


def assert_accessible(page: Page) -> None:
    """Nothing by WCAG 2.2 AA in the present colours, and no weak contrast in the other ones."""
    _assert_none(violations(page))
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.emulate_media(color_scheme="light" if is_dark else "dark")
    _assert_none(violations(page, COLOURS))
    page.emulate_media(color_scheme="dark" if is_dark else "light")


def _assert_none(found: list[str]) -> None:
    # pytest explains no assertion of a module that holds no tests.
    assert found == [], found

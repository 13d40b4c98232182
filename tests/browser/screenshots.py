"""Pictures of the overview and of the users for the README.

`python -m tests.browser.screenshots FOLDER` writes each page in light and dark, and on a phone.
"""

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.browser.chromium import launch
from tests.seeding import PASSWORD, add_key, add_user, seed_story
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import build, served

PAGES = {
    "overview": "/admin/ai-analytics/",
    "users": "/admin/ai-analytics/users/",
    "home": "/admin/",
}
WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 375, "height": 800}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with TemporaryDirectory() as data, opened(sqlite_url(Path(data))):
        add_key(add_user("admin", role="admin"))
        seed_story()
        made = build(sqlite_url(Path(data)))
        with served(made.app) as address, sync_playwright() as playwright:
            browser = launch(playwright)
            for scheme in ("light", "dark"):
                page = browser.new_page(color_scheme=scheme, viewport=WIDE, base_url=address)
                log_in(page)
                _take(page, folder, scheme)
            browser.close()


def log_in(page: Page, username: str = "admin") -> None:
    page.goto("/login")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")


def _take(page: Page, folder: Path, scheme: str) -> None:
    for name, path in PAGES.items():
        page.set_viewport_size(WIDE)
        page.goto(path)
        page.screenshot(path=folder / f"{name}-{scheme}.png")
        page.screenshot(path=folder / f"{name}-{scheme}-full.png", full_page=True)
        page.set_viewport_size(PHONE)
        page.screenshot(path=folder / f"{name}-{scheme}-phone.png", full_page=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

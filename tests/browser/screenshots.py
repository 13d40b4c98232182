"""Pictures of every staff page: `python -m tests.browser.screenshots FOLDER [--chosen]`.

Each page of the menu comes wide in light and dark, as a phone, empty, and without Redis; with
`--chosen` only the few that the docs show, in the size that is committed.
"""

import logging
import re
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from sqlalchemy import select

from ai_gateway.services.health import LiveState
from ai_gateway.stores.tables import User, db
from tests.alerts import seed_alerts
from tests.audit import seed_audit
from tests.browser.chromium import launch
from tests.browser.sites import running_site, with_channels
from tests.seeding import NOW, PASSWORD, add_key, seed_keys, seed_story, seed_tasks

CHOSEN = {
    "overview": "/admin/ai-analytics/",
    "users": "/admin/ai-analytics/users/",
    "request": "/admin/ai-analytics/requests/req_0000/",
    "audit": "/admin/audit/",
}
"""The pictures of the docs, in light and wide."""

OWN_PAGES = ("/me/", "/me/keys/", "/me/clients/")
OWNER = "ben.okafor"
HOMES = re.compile(r"/(admin|me)/$")
"""Where a log-in leads: with a role and without."""

WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 375, "height": 800}


def main(folder: Path, *, only_chosen: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        with running_site(_story, with_channels) as site:
            if only_chosen:
                _take_chosen(_logged_in(browser, site.address, "light"), folder)
                _take_own(browser.new_page(viewport=WIDE, base_url=site.address), folder)
                return
            for scheme in ("light", "dark"):
                _take_all(_logged_in(browser, site.address, scheme), folder, scheme)
            site.staff_app.services.health.state = LiveState(redis_down_since=NOW)
            _take_all(_logged_in(browser, site.address, "light"), folder, "redis-down")
        with running_site(lambda _admin: None) as site:
            _take_all(_logged_in(browser, site.address, "light"), folder, "empty")


def log_in(page: Page, username: str = "admin") -> None:
    page.goto("/login")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(HOMES)


def _story(admin: int) -> None:
    seed_story()
    add_key(db.session.scalars(select(User.id).where(User.username == OWNER)).one())
    seed_keys(admin)
    seed_alerts(db.engine, NOW)
    seed_audit(db.engine, NOW)
    seed_tasks()


def _logged_in(browser: Browser, address: str, scheme: str) -> Page:
    page = browser.new_page(viewport=WIDE, base_url=address)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    log_in(page)
    return page


def _take_chosen(page: Page, folder: Path) -> None:
    for name, path in CHOSEN.items():
        page.goto(path, wait_until="networkidle")
        page.screenshot(path=folder / f"{name}.png")


def _take_own(page: Page, folder: Path) -> None:
    log_in(page, OWNER)
    page.goto(OWN_PAGES[0], wait_until="networkidle")
    page.screenshot(path=folder / "own-page.png")


def _take_all(page: Page, folder: Path, state: str) -> None:
    paths: list[str] = page.locator(".sidebar .menu__link").evaluate_all(
        "all => all.map((link) => link.getAttribute('href'))"
    )
    for path in (*paths, *OWN_PAGES):
        name = path.removeprefix("/admin/").strip("/").replace("/", "-") or "home"
        page.set_viewport_size(WIDE)
        page.goto(path, wait_until="networkidle")
        page.screenshot(path=folder / f"{name}-{state}.png", full_page=True)
        page.set_viewport_size(PHONE)
        page.screenshot(path=folder / f"{name}-{state}-phone.png", full_page=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), only_chosen="--chosen" in sys.argv[2:])

"""Debian's Chromium in front of the staff pages, with a story in the database and without."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from ai_gateway.services.health import LiveState
from ai_gateway.stores.tables import db
from tests.alerts import seed_alerts
from tests.browser.chromium import launch
from tests.browser.gallery import Served, add_gallery
from tests.browser.screenshots import log_in
from tests.browser.sites import Site, running_site, with_channels
from tests.seeding import NOW, seed_story
from tests.tools import chromium


@dataclass
class Gallery(Site):
    """A site with the page of all widgets."""

    served: Served


# A violation is on the console as well, but without what was blocked.
TELL_VIOLATIONS = """document.addEventListener('securitypolicyviolation', (event) =>
    console.error(`blocked by the policy: ${event.violatedDirective} ${event.sample}`))"""


@dataclass
class Visit:
    """A page, and what went wrong on it, was blocked by its policy, or left the machine."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(TELL_VIOLATIONS)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._note_address(request.url))

    def _note_address(self, url: str) -> None:
        if not url.startswith((self.address, "data:")):
            self.complaints.append(f"asks {url}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("Chromium is not here")
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="session")
def full_site() -> Iterator[Site]:
    """A small company with a month behind it; nobody may change what is in it."""

    def seed(_admin: int) -> None:
        seed_story()
        seed_alerts(db.engine, NOW)

    with running_site(seed, with_channels) as site:
        yield site


@pytest.fixture(scope="session")
def empty_site() -> Iterator[Site]:
    with running_site(lambda _admin: None) as site:
        yield site


@pytest.fixture(scope="session")
def gallery_site() -> Iterator[Gallery]:
    counted = Served()
    with running_site(lambda _admin: None, lambda made: add_gallery(made, counted)) as site:
        yield Gallery(site.address, site.staff_app, counted)


@pytest.fixture
def gallery(gallery_site: Gallery) -> Gallery:
    """The page of all widgets, on which nothing has happened yet."""
    gallery_site.served.__init__()  # type: ignore[misc]  # as new
    gallery_site.staff_app.clock.now = NOW
    gallery_site.staff_app.services.health.state = LiveState()
    return gallery_site


@pytest.fixture(scope="session")
def cookies(browser: Browser) -> Callable[[str, str], StorageState]:
    """The cookies of a user who has logged in at an address; once, since it is slow on purpose."""

    @cache
    def of(address: str, username: str) -> StorageState:
        with browser.new_context(base_url=address) as context:
            log_in(context.new_page(), username)
            return context.storage_state()

    return of


@pytest.fixture
def visit(
    browser: Browser, cookies: Callable[[str, str], StorageState]
) -> Iterator[Callable[..., Visit]]:
    """Open a page on a site, logged in as admin unless told otherwise."""
    contexts = []

    def start(site: Site, username: str | None = "admin", **options: Any) -> Visit:
        state = cookies(site.address, username) if username else None
        context = browser.new_context(base_url=site.address, storage_state=state, **options)
        contexts.append(context)
        visit = Visit(context.new_page(), site.address)
        if username is not None:
            visit.page.goto("/admin/")
        return visit

    yield start
    for context in contexts:
        context.close()

"""Debian's Chromium in front of the staff pages, with a story in the database and without."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import launch
from tests.browser.screenshots import log_in
from tests.seeding import add_user, seed_story
from tests.sql_database import opened, sqlite_url
from tests.tools import chromium
from tests.web.staff_app import StaffApp, build, served


@dataclass
class Site:
    """A served application and its address."""

    address: str
    staff_app: StaffApp


@dataclass
class Visit:
    """A page, and what went wrong on it or left the machine."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
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
def full_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A small company with a month behind it; nobody may change what is in it."""
    yield from _site(tmp_path_factory, seed_story)


@pytest.fixture(scope="session")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from _site(tmp_path_factory, lambda: None)


def _site(factory: pytest.TempPathFactory, seed: Callable[[], None]) -> Iterator[Site]:
    url = sqlite_url(factory.mktemp("site"))
    with opened(url):
        add_user("admin", role="admin")
        add_user("nobody")
        seed()
        made = build(url)
        with served(made.app) as address:
            yield Site(address, made)
        made.engine.dispose()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open a page on a site, logged in as admin unless told otherwise."""
    contexts = []

    def start(site: Site, username: str | None = "admin", **options: Any) -> Visit:
        context = browser.new_context(base_url=site.address, **options)
        contexts.append(context)
        visit = Visit(context.new_page(), site.address)
        if username is not None:
            log_in(visit.page, username)
        return visit

    yield start
    for context in contexts:
        context.close()

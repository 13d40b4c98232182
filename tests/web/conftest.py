"""The staff pages as their tests see them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import StaffApp, build


@pytest.fixture
def staff_app(tmp_path: Path) -> Iterator[StaffApp]:
    """The application, and around the test a context in which it can seed and read tables."""
    url = sqlite_url(tmp_path)
    with opened(url):
        made = build(url)
        yield made
        made.engine.dispose()

"""The staff pages as their tests see them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_gateway.stores.tables import db
from tests.web.staff_app import StaffApp, build


@pytest.fixture
def staff_app(tmp_path: Path) -> Iterator[StaffApp]:
    """The application inside its context, so that a test can seed and read tables."""
    made = build(tmp_path)
    with made.app.app_context():
        yield made
        db.session.remove()
        db.engine.dispose()

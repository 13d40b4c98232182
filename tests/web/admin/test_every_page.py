"""What holds for every staff page whose address is known, a later one as well."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import pytest

from ai_gateway.stores.tables import db
from tests.alerts import seed_alerts
from tests.forms import forms_of
from tests.seeding import NOW, add_account, add_entry, add_key, add_usage, add_user, usd
from tests.sql_database import opened, sqlite_url
from tests.web.admin.test_access import client_of, routes
from tests.web.staff_app import build

LOG_OUT = "/logout"
NOBODY_LISTENS = ("127.0.0.1", 1)
"""The Redis of these tests."""


@dataclass(frozen=True)
class Walk:
    """What a viewer got to see, by address, and whom the gateway had to ask for it."""

    pages: dict[str, str]
    asked: set[object]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """Once through everything there is to be seen of somebody who has called."""
    url = sqlite_url(tmp_path_factory.mktemp("walk"))
    with opened(url):
        made = build(url)
        _seed(add_user("ann"))
        client = client_of(made, "viewer")
        with noted_connections() as asked:
            answers = {path: client.get(path) for path in routes(made, "GET")}
        pages = {
            path: answer.text
            for path, answer in answers.items()
            if answer.status_code == 200 and answer.mimetype == "text/html"
        }
        yield Walk(pages, asked)
        made.engine.dispose()


@contextmanager
def noted_connections() -> Iterator[set[object]]:
    """Where this thread opens a connection to; what earlier tests left running has others."""
    asked: set[object] = set()
    connect = socket.socket.connect
    ours = get_ident()

    def noted(self: socket.socket, address: Any) -> None:
        if get_ident() == ours:
            asked.add(address)
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", noted)
        yield asked


def _seed(ann: int) -> None:
    add_key(ann)
    add_usage(NOW.replace(minute=0, second=0), ann, cost_nano_usd=usd("30"), unpriced=1)
    add_account("2026-11-23", usd("30"), user_id=ann)
    add_entry("1", user_id=ann)
    seed_alerts(db.engine, NOW)


def test_a_viewer_is_offered_no_form_but_the_log_out(walk: Walk) -> None:
    assert len(walk.pages) > 10
    offered = {path: set(forms_of(page)) for path, page in walk.pages.items()}
    assert {path: forms for path, forms in offered.items() if forms != {LOG_OUT}} == {}


def test_no_page_is_made_with_the_help_of_another_machine(walk: Walk) -> None:
    assert walk.asked == {NOBODY_LISTENS}

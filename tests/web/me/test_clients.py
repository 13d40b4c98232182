"""What to set in each client: the examples of the docs, with the address of this installation."""

import re
from html import unescape
from pathlib import Path

from ai_gateway.web.me.clients import CLIENTS, EXAMPLE_ADDRESS
from tests.keys import issue
from tests.web.me.conftest import ANN
from tests.web.staff_app import StaffApp

DOC = (Path(__file__).parents[3] / "docs" / "clients.md").read_text()
BLOCKS = set(re.findall(r"(?ms)^```\w+\n(.*?)^```$", DOC))


def test_every_text_is_an_example_of_the_docs_which_are_run() -> None:
    assert {client.text for client in CLIENTS} <= BLOCKS


def test_the_page_has_the_address_that_it_was_asked_at_and_no_key(own: StaffApp) -> None:
    key = issue(own.services.key_admin, ANN)
    html = own.client.get("/me/clients/").text
    text = unescape(re.sub(r"<[^>]+>", "", html))
    assert EXAMPLE_ADDRESS not in text
    assert "export OPENAI_BASE_URL=http://localhost/v1" in text
    assert "export ANTHROPIC_BASE_URL=http://localhost\n" in text
    assert "agw_..." in text
    assert key.split("_")[1] not in html
    assert html.count("data-copy=") >= len(CLIENTS)

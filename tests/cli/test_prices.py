"""`flask prices`: the page of prices as commands."""

import json
from collections.abc import Iterator

import pytest

from tests.gateway_app import GatewayApp, opened_app
from tests.price_feed import Feed, model_of, release_list, running_feed
from tests.redis_servers import running_redis

MODEL = "openai/gpt-4o-mini"


@pytest.fixture(scope="module")
def feed() -> Iterator[Feed]:
    with running_feed() as running:
        yield running


@pytest.fixture(scope="module")
def app(feed: Feed) -> Iterator[GatewayApp]:
    variables = {"AI_GATEWAY_PRICES_REFRESH_URL": feed.url}
    with running_redis() as server, opened_app(server, variables=variables) as opened:
        yield opened


def said(app: GatewayApp, *arguments: str) -> str:
    done = app.flask("prices", *arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(app: GatewayApp, *arguments: str) -> str:
    done = app.flask("prices", *arguments)
    assert done.exit_code == 1, done.output
    return done.stderr


def test_price_is_set_shown_and_withdrawn(app: GatewayApp) -> None:
    assert "input\t0.15" in said(app, "show", "gpt-4o-mini")
    done = app.flask("prices", "set", MODEL, "--input", "0", "--output", "2.5", "--reason", "test")
    assert done.exit_code == 0, done.output
    shown = said(app, "show", MODEL)
    assert "row entered/1/openai/gpt-4o-mini, source entered" in shown
    assert "input\t0.00" in shown
    said(app, "withdraw", MODEL)
    assert "source list" in said(app, "show", MODEL)
    assert "in force" in refused(app, "withdraw", MODEL)


def test_wrong_orders_are_told_in_one_line(app: GatewayApp) -> None:
    for arguments in (
        ("set", "gpt-4o-mini", "--input", "1", "--output", "1"),
        ("set", MODEL, "--input", "1,0", "--output", "1"),
        ("set", MODEL, "--input", "1", "--output", "1", "--from", "2020-01-01"),
        ("accept", MODEL.replace("mini", "unheard")),
        ("show", "unheard-of"),
    ):
        assert len(refused(app, *arguments).strip().splitlines()) == 1


def test_list_has_every_price_and_check_is_content(app: GatewayApp) -> None:
    lines = said(app, "list").splitlines()
    assert f"{MODEL}\tpriced\t0.15\t0.075\t0.60\tlist" in lines
    assert said(app, "list", "--unpriced") == ""
    assert said(app, "check").startswith("price book genai-prices-")


def test_refresh_is_tried_out_and_done(app: GatewayApp, feed: Feed) -> None:
    providers = release_list()
    model_of(providers, "openai", "gpt-4o")["prices"]["input_mtok"] = 3
    feed.body = json.dumps(providers).encode()
    assert "would be in force" in said(app, "refresh", "--dry-run")
    assert "input\t2.50" in said(app, "show", "openai/gpt-4o")
    assert "1 of them at another price" in said(app, "refresh")
    assert "input\t3.00" in said(app, "show", "openai/gpt-4o")
    feed.body = b"{}"
    assert "the last good list stays" in refused(app, "refresh")
    assert "input\t3.00" in said(app, "show", "openai/gpt-4o")


def test_refresh_is_off_unless_an_address_is_named(app: GatewayApp) -> None:
    with running_redis() as server, opened_app(server) as plain:
        assert "AI_GATEWAY_PRICES_REFRESH_URL" in refused(plain, "refresh")

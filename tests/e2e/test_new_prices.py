"""A price that is accepted in one worker is in force in all, and changes nothing that was before.

Two whole applications of this process, on one Valkey and one database.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.services.open_calls import USUAL_PACE
from ai_gateway.services.price_admin import PriceOrder
from ai_gateway.services.prices import Prices
from ai_gateway.stores.tables import LedgerEntry, db
from simulator.testing import running_simulator
from tests.gateway_app import GatewayApp, another_worker, opened_app
from tests.redis_servers import running_redis
from tests.running import wait_for

COST = "x-ai-gateway-cost-usd"


@pytest.fixture(scope="module")
def here() -> Iterator[GatewayApp]:
    with (
        running_redis() as server,
        running_simulator() as simulator,
        opened_app(server, simulator) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def there(here: GatewayApp) -> Iterator[GatewayApp]:
    with another_worker(here) as opened:
        yield opened


def cost(app: GatewayApp, key: str, model: str) -> Decimal:
    answer = app.call(key, model=model)
    assert answer.status_code == 200, answer.text
    return Decimal(answer.headers[COST])


def prices(app: GatewayApp) -> Prices:
    return app.services.prices


def rows(app: GatewayApp) -> list[Any]:
    with app.app.app_context():
        app.bookkeeper().book(block_ms=None)
        columns = (
            LedgerEntry.request_id,
            LedgerEntry.cost_nano_usd,
            LedgerEntry.price_row,
            LedgerEntry.price_book,
        )
        found = [
            tuple(row) for row in db.session.execute(select(*columns).order_by(LedgerEntry.id))
        ]
        db.session.rollback()
        return found


def test_new_price_is_in_force_in_every_worker_within_two_seconds(
    here: GatewayApp, there: GatewayApp
) -> None:
    key = here.make_key(daily="5")
    before = [cost(app, key, "gpt-4o-mini") for app in (here, there)]
    assert before[0] == before[1] > 0
    booked = rows(here)
    with here.app.app_context():
        changed = prices(here).admin.enter(
            PriceOrder("openai", "gpt-4o-mini", COMMAND_LINE), {"input": "1000", "output": "1000"}
        )
    assert changed.is_published
    # Each worker looks once a second by itself, so that one look has to do.
    assert USUAL_PACE.tick_seconds <= 1
    for app in (here, there):
        prices(app).live.look()
        assert cost(app, key, "gpt-4o-mini") > before[0]
    after = rows(here)
    assert after[: len(booked)] == booked
    row, book = after[-1][2:]
    assert row == f"entered/{changed.entry.entry_id}/openai/gpt-4o-mini"
    assert book != booked[0][3]
    assert book == there.services.parts_health._price_book()


def test_unpriced_model_can_be_called_once_a_price_is_entered(
    here: GatewayApp, there: GatewayApp
) -> None:
    key, model = here.make_key(daily="5"), "openai/gpt-4o-mini-2"
    refused = there.call(key, model=model)
    assert refused.status_code == 422
    with here.app.app_context():
        prices(here).admin.enter(
            PriceOrder("openai", "gpt-4o-mini-2", COMMAND_LINE), {"input": "0", "output": "0"}
        )
    # Nobody tells the other worker: its own thread finds out.
    wait_for(lambda: there.call(key, model=model).status_code == 200, "the price is known there")
    assert cost(there, key, model) == 0


def test_worker_that_begins_later_knows_the_prices_at_once(here: GatewayApp) -> None:
    with here.app.app_context():
        prices(here).admin.enter(
            PriceOrder("openai", "gpt-4o", COMMAND_LINE), {"input": "7", "output": "7"}
        )
    with another_worker(here) as late:
        row = late.services.prices.live._models.book.catalog.row(
            "openai", "gpt-4o", None, late.services.clock()
        )
        assert row is not None
        assert row.tiers[0].rates.input == 7_000_000

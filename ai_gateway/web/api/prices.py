"""What models cost, what a call would cost, and the acts of the page of prices. For staff."""

from datetime import datetime

from flask import request

from ai_gateway.domain.price_lines import PriceSelection
from ai_gateway.domain.usage import Usage
from ai_gateway.errors import InvalidRequest, ModelNotFound, ModelUnpriced
from ai_gateway.services.price_admin import PriceChange, PriceOrder, usd_per_million
from ai_gateway.services.price_table import PriceQuery
from ai_gateway.web.admin.staff import current_actor
from ai_gateway.web.api.caller import IDEMPOTENCY_HEADER, Access
from ai_gateway.web.api.cursors import read_cursor, write_cursor
from ai_gateway.web.api.endpoint import Asked, get, post
from ai_gateway.web.api.price_shapes import (
    CostAnswer,
    CostLineAnswer,
    CostQuery,
    PriceChangeAnswer,
    PricesAnswer,
    PricesQuery,
    SetPriceBody,
    WithdrawPriceBody,
    price_answer,
)
from ai_gateway.web.context import services

MAX_ID_CHARACTERS = 200


@get("/prices/", PricesQuery, PricesAnswer, Access.STAFF)
def prices(asked: Asked[PricesQuery]) -> PricesAnswer:
    """What models cost, whose price that is, and which were used without one."""
    query = asked.given
    cursors = (
        f"/prices/ {query.status} {query.source} {query.provider} {query.search} {query.limit}"
    )
    number = int(read_cursor(cursors, query.cursor)[0]) if query.cursor else 1
    selection = PriceSelection(query.status, query.source, query.provider, query.search)
    page = services().prices.table.page(PriceQuery(selection, page=number, page_size=query.limit))
    is_last = page.query.page >= page.pages
    return PricesAnswer(
        price_book=page.book_id,
        prices=[price_answer(shown) for shown in page.prices],
        next_cursor=None if is_last else write_cursor(cursors, [page.query.page + 1]),
    )


@get("/prices/cost/", CostQuery, CostAnswer, Access.STAFF)
def price_cost(asked: Asked[CostQuery]) -> CostAnswer:
    """What a call would cost now, line by line."""
    query = asked.given
    usage = Usage(
        input_tokens=query.input_tokens,
        cached_input_tokens=query.cached_input_tokens,
        cache_write_tokens=query.cache_write_tokens,
        output_tokens=query.output_tokens,
    )
    try:
        found = services().prices.calculator.calculate(
            query.model, usage, query.service_tier or None
        )
    except (ModelNotFound, ModelUnpriced) as error:
        raise InvalidRequest(
            "model: no price is known of a model of this name.", "model"
        ) from error
    return CostAnswer(
        provider=found.target.provider.name,
        model=found.target.model,
        price_row=found.row.row_id,
        price_book=found.book_id,
        lines=[
            CostLineAnswer(
                kind=line.kind,
                count=line.count,
                usd_per_million_tokens=usd_per_million(line.rate),
                exact_pico=line.pico_usd,
            )
            for line in found.cost.lines
        ],
        sum_pico=found.exact_pico_usd,
        cost_usd=found.cost.total,
        cost_nano_usd=found.cost.total,
        max_output_tokens=found.limits.max_output_tokens,
        context_tokens=found.limits.context_tokens,
    )


@post("/prices/set/", SetPriceBody, PriceChangeAnswer, Access.PRICES)
def set_price(asked: Asked[SetPriceBody]) -> PriceChangeAnswer:
    """Enter a price: an entry of its own, in force in all workers within two seconds.

    Nothing that was charged changes. A repeat with the same `Idempotency-Key` changes nothing and
    answers the same.
    """
    body = asked.given
    given = {
        "input": body.input,
        "output": body.output,
        "cached_input": body.cached_input or "",
        "cache_write": body.cache_write or "",
        "cache_write_long": body.cache_write_long or "",
    }
    order = _order(body.provider, body.model, body.reason, body.effective_from)
    return _changed(services().prices.admin.enter(order, given, is_confirmed=body.confirm))


@post("/prices/withdraw/", WithdrawPriceBody, PriceChangeAnswer, Access.PRICES)
def withdraw_price(asked: Asked[WithdrawPriceBody]) -> PriceChangeAnswer:
    """Take back a price that was entered: from now on, or altogether if it is still to come."""
    body = asked.given
    order = _order(body.provider, body.model, body.reason)
    return _changed(services().prices.admin.withdraw(order, body.entry_id))


def _order(
    provider: str, model: str, reason: str, effective_from: datetime | None = None
) -> PriceOrder:
    chosen = request.headers.get(IDEMPOTENCY_HEADER, "")
    if len(chosen) > MAX_ID_CHARACTERS:
        raise InvalidRequest(
            f"{IDEMPOTENCY_HEADER}: use at most {MAX_ID_CHARACTERS} characters.", IDEMPOTENCY_HEADER
        )
    order_id = f"api:{chosen}" if chosen else ""
    return PriceOrder(provider, model, current_actor(), effective_from, reason, order_id)


def _changed(done: PriceChange) -> PriceChangeAnswer:
    entry = done.entry
    return PriceChangeAnswer(
        entry_id=entry.entry_id,
        provider=entry.provider,
        model=entry.model,
        effective_from=entry.effective_from,
        is_published=done.is_published,
    )

"""Aliases and prices of the operator, in whole calls."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from ai_gateway.errors import ModelUnpriced
from ai_gateway.stores.operator_prices import operator_row
from tests.services.workbench import Options, Workbench, chat_answer

MakeBench = Callable[..., Workbench]
OWN = operator_row("lab", "own", {"input": Decimal(1), "output": Decimal(2)})
OWN_DATED = operator_row("lab", "own-2026-11-01", {"input": Decimal(5), "output": Decimal(5)})
COST = 10 * 1_000 + 5 * 2_000
"""Of 10 tokens in and 5 out at those prices, in nano-USD."""


@pytest.mark.parametrize("name", ["quick", "own", "lab/own"])
def test_provider_is_asked_for_its_own_name(make_bench: MakeBench, name: str) -> None:
    bench = make_bench(Options(aliases={"quick": "lab/own"}, prices=(OWN,)))
    answer = bench.call(bench.make_key(), chat_answer(model="own"), model=name)
    (sent,) = bench.transport.sent
    assert json.loads(sent.body)["model"] == "own"
    assert answer.headers["x-ai-gateway-cost-usd"] == "0.00002"
    words = bench.entry().words
    assert (words["model_requested"], words["model"]) == (name, "own")
    assert (words["price_row"], bench.entry().cost) == ("operator/lab/own", COST)


def test_alias_leads_to_a_model_without_a_price_too(make_bench: MakeBench) -> None:
    bench = make_bench(Options(aliases={"quick": "lab/a/b"}))
    with pytest.raises(ModelUnpriced) as caught:
        bench.call(bench.make_key(), model="quick")
    assert (caught.value.provider, caught.value.model) == ("lab", "a/b")


def test_dated_name_that_was_served_costs_what_the_operator_says(make_bench: MakeBench) -> None:
    bench = make_bench(Options(prices=(OWN,)))
    bench.call(bench.make_key(), chat_answer(model="own-2026-11-01"), model="own")
    assert bench.entry().cost == COST


def test_dated_name_that_the_operator_priced_apart_costs_that(make_bench: MakeBench) -> None:
    bench = make_bench(Options(prices=(OWN, OWN_DATED)))
    bench.call(bench.make_key(), chat_answer(model="own-2026-11-01"), model="own")
    assert bench.entry().words["price_row"] == "operator/lab/own-2026-11-01"


def test_another_model_that_was_served_costs_what_it_costs(make_bench: MakeBench) -> None:
    bench = make_bench(Options(prices=(OWN,)))
    bench.call(bench.make_key(), chat_answer(model="plain"), model="own")
    assert bench.entry().words["price_row"] == "test/lab/plain"


def test_name_of_the_book_on_the_entry_covers_the_operators_prices(make_bench: MakeBench) -> None:
    bench = make_bench(Options(prices=(OWN,)))
    bench.call(bench.make_key(), chat_answer(model="own"), model="own")
    assert bench.entry().words["price_book"] == bench.models.price_book
    assert "+" in bench.models.price_book

"""Entering, accepting and withdrawing prices; the list, the proposals and the calculator."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import select

from ai_gateway.domain.audit import Actor
from ai_gateway.domain.price_entries import EntryState
from ai_gateway.domain.price_lines import LineStatus, PriceSelection, PriceSort, PriceSource
from ai_gateway.domain.roles import Role
from ai_gateway.domain.usage import Usage
from ai_gateway.errors import InvalidRequest, ModelNotFound, ModelUnpriced
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import Registry, simulated
from ai_gateway.services.audit import Audit
from ai_gateway.services.models import ModelDirectory
from ai_gateway.services.price_admin import PriceAdmin, PriceOrder
from ai_gateway.services.price_book import PriceBooks, PriceRecords
from ai_gateway.services.price_calculator import PriceCalculator
from ai_gateway.services.price_table import PriceQuery, PriceTable, ShownPrice
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.catalog import Catalog, KnownLimits, Source
from ai_gateway.stores.operator_prices import operator_row
from ai_gateway.stores.price_entries import PriceEntryTable
from ai_gateway.stores.price_lists import PriceListTable
from ai_gateway.stores.price_use import PriceUse
from ai_gateway.stores.published_prices import PublishedPrices
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.refusal_tables import RefusalRow
from ai_gateway.stores.tables import AuditRow, db
from tests.seeding import NOW, add_usage, add_user
from tests.services.workbench import SetClock
from tests.sql_database import opened, sqlite_url

LAB = Provider("lab", "openai", "http://lab.test/v1", None)
ANN = Actor(7, "ann", Role.ADMIN)
FREE = {"input": "0", "output": "0"}
HOUR = timedelta(hours=1)


@dataclass
class Desk:
    """The services on one database."""

    admin: PriceAdmin
    table: PriceTable
    calculator: PriceCalculator
    records: PriceRecords
    clock: SetClock

    def order(self, model: str = "openai/gpt-4o-mini", /, **facts: Any) -> PriceOrder:
        provider, _, name = model.partition("/")
        return replace(PriceOrder(provider, name, ANN, reason="why"), **facts)

    def lines(self, **chosen: Any) -> list[ShownPrice]:
        page = self.table.page(PriceQuery(replace(PriceSelection(), **chosen), page_size=200))
        return list(page.prices)

    def of(self, model: str) -> list[ShownPrice]:
        """Every line of one model, superseded ones too."""
        found = [one for status in LineStatus for one in self.lines(status=status)]
        return [one for one in found if f"{one.line.provider}/{one.line.model}" == model]

    def input_rate(self, model: str) -> int | None:
        found = self.table.named(model)
        assert found is not None
        return found.row.tiers[0].rates.input if found.row else None


def desk_on(client: redis.Redis) -> Desk:
    clock = SetClock(NOW)
    registry = Registry([simulated("http://sim.test").get("openai") or LAB, LAB])
    sources = {name: Source(row.price_ids, row.name) for name, row in registry.vendors.items()}
    own = operator_row("lab", "our-model", {"input": Decimal(1), "output": Decimal(2)})
    catalog = Catalog(sources, [own], {("lab", "our-model"): KnownLimits(10, 20, 30)})
    models = ModelDirectory(registry, catalog, {"fast": "openai/gpt-4o-mini"})
    engine = db.engine
    records = PriceRecords(PriceEntryTable(engine), PriceListTable(engine), PublishedPrices(client))
    books = PriceBooks(records, models)
    audit = Audit(AuditTable(engine), clock)
    return Desk(
        PriceAdmin(records, books, audit=audit, clock=clock),
        PriceTable(books, records.lists, PriceUse(), clock),
        PriceCalculator(books, clock),
        records,
        clock,
    )


@pytest.fixture
def desk(tmp_path: Path, redis_client: redis.Redis) -> Iterator[Desk]:
    with opened(sqlite_url(tmp_path)):
        yield desk_on(redis_client)


# Entering


def test_entered_price_comes_before_the_file_and_the_list(desk: Desk) -> None:
    for model, before in (("openai/gpt-4o-mini", 150_000), ("lab/our-model", 1_000_000)):
        assert desk.input_rate(model) == before
        done = desk.admin.enter(desk.order(model), {"input": "0.000001", "output": "3"})
        assert done.is_published
        assert desk.input_rate(model) == 1
        found = {one.line.status: one.line for one in desk.of(model)}
        line, behind = found[LineStatus.PRICED], found[LineStatus.SUPERSEDED]
        assert (line.source, line.entry_id) == (PriceSource.ENTERED, done.entry.entry_id)
        assert behind.source is not PriceSource.ENTERED


def test_change_is_in_the_audit_with_what_was_before(desk: Desk) -> None:
    desk.admin.enter(desk.order(), {"input": "0", "output": "1.5"})
    row = db.session.scalars(select(AuditRow)).one()
    assert (row.action, row.actor_name, row.reason) == ("price_change", "ann", "why")
    assert (row.target_kind, row.target_id) == ("price", "openai/gpt-4o-mini")
    assert (row.before["input"], row.after["input"]) == ("0.15", "0.00")
    assert row.after["effective_from"] == NOW.isoformat()


@pytest.mark.parametrize(
    ("amounts", "facts", "param"),
    [
        ({"input": "1"}, {}, "output"),
        ({"input": "1,5", "output": "1"}, {}, "input"),
        ({"input": "-1", "output": "1"}, {}, "input"),
        ({"input": "1", "output": "0.0000001"}, {}, "output"),
        ({"input": "1", "output": "1001"}, {}, "output"),
        ({"input": "1", "output": "1", "cached_input": "x"}, {}, "cached_input"),
        (FREE, {"provider": "nobody"}, "provider"),
        (FREE, {"model": ""}, "model"),
        (FREE, {"model": "m" * 129}, "model"),
        (FREE, {"reason": "r" * 501}, "reason"),
        (FREE, {"effective_from": NOW - timedelta(microseconds=1)}, "effective_from"),
    ],
)
def test_order_that_makes_no_sense_is_refused(
    desk: Desk, amounts: dict[str, str], facts: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as told:
        desk.admin.enter(desk.order(**facts), amounts)
    assert told.value.param == param
    assert desk.records.entries.entries() == []


def test_dear_price_has_to_be_confirmed(desk: Desk) -> None:
    done = desk.admin.enter(desk.order(), {"input": "1", "output": "1001"}, is_confirmed=True)
    assert done.entry.row is not None


def test_overlapping_moments_of_a_model_are_refused(desk: Desk) -> None:
    later = desk.order(effective_from=NOW + HOUR)
    desk.admin.enter(later, FREE)
    with pytest.raises(InvalidRequest) as told:
        desk.admin.enter(later, {"input": "1", "output": "1"})
    assert told.value.param == "effective_from"
    desk.admin.enter(replace(later, model="gpt-4o"), FREE)


def test_form_that_is_sent_twice_acts_once(desk: Desk) -> None:
    order = desk.order(order_id="form")
    first = desk.admin.enter(order, FREE)
    desk.clock.now += timedelta(seconds=1)
    assert desk.admin.enter(order, FREE).entry == first.entry
    desk.admin.enter(replace(order, actor=replace(ANN, user_id=8)), FREE)
    assert len(desk.records.entries.entries()) == 2


def test_change_without_redis_is_published_later(desk: Desk) -> None:
    away = desk_on(connect("redis://127.0.0.1:1"))
    assert not away.admin.enter(away.order(), FREE).is_published
    assert desk.records.publish()
    assert not desk.records.publish()


# Withdrawing


def test_withdrawn_price_gives_way_and_stays_in_the_history(desk: Desk) -> None:
    entered = desk.admin.enter(desk.order(), FREE).entry
    desk.clock.now += HOUR
    desk.admin.withdraw(desk.order(), entered.entry_id)
    assert desk.input_rate("fast") == 150_000
    found = desk.table.named("fast")
    assert found is not None
    states = [(one.entry_id, state) for one, state in found.history]
    assert states == [(2, EntryState.IN_FORCE), (1, EntryState.SUPERSEDED)]
    with pytest.raises(InvalidRequest, match="not in force any more"):
        desk.admin.withdraw(desk.order(), entered.entry_id)


def test_price_to_come_is_taken_out_altogether(desk: Desk) -> None:
    desk.admin.enter(desk.order(), {"input": "1", "output": "1"})
    coming = desk.admin.enter(desk.order(effective_from=NOW + HOUR), FREE).entry
    assert [one.line.entry_id for one in desk.lines(status=LineStatus.SCHEDULED)] == [2]
    desk.admin.withdraw(desk.order(), coming.entry_id)
    assert desk.lines(status=LineStatus.SCHEDULED) == []
    desk.clock.now += 2 * HOUR
    assert desk.input_rate("fast") == 1_000_000


@pytest.mark.parametrize("entry_id", [0, 99])
def test_what_was_never_entered_cannot_be_withdrawn(desk: Desk, entry_id: int) -> None:
    with pytest.raises(InvalidRequest) as told:
        desk.admin.withdraw(desk.order(), entry_id)
    assert told.value.param == "entry_id"


# Models without a price, and what is proposed


def use(model: str, unpriced: int = 1, provider: str = "openai") -> None:
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    add_usage(hour, add_user(f"user of {model}"), provider, model=model, unpriced=unpriced)


def test_unpriced_models_come_first_by_how_much_they_are_wanted(desk: Desk) -> None:
    use("gpt-9-mini", 3)
    use("nobodys-model", 5)
    use("gpt-4o", 7)
    use("elsewhere", 9, "nobody")
    db.session.add(
        RefusalRow(
            at=NOW,
            outcome="client_error",
            reason="model_unpriced",
            operation="chat",
            request_id="req_1",
            user_id=1,
            key_id="k",
            model="lab/their-model",
        )
    )
    db.session.commit()
    wanted = [
        (one.line.provider, one.line.model, one.line.requests, one.line.refused)
        for one in desk.lines()[:3]
    ]
    assert wanted == [
        ("openai", "nobodys-model", 5, 0),
        ("openai", "gpt-9-mini", 3, 0),
        ("lab", "their-model", 0, 1),
    ]


def test_proposal_says_whose_price_it_is_and_can_be_accepted_once(desk: Desk) -> None:
    use("gpt-9-mini")
    (shown,) = desk.lines(status=LineStatus.UNPRICED)
    assert shown.proposal is not None
    assert shown.proposal.origin.startswith(
        "an older version at openai: gpt-5.4-mini, genai-prices"
    )
    done = desk.admin.accept(desk.order("openai/gpt-9-mini"))
    assert done.entry.origin == f"as {shown.proposal.origin}"
    row = done.entry.row
    assert row is not None
    assert row.tiers == shown.proposal.like.tiers
    assert desk.lines(status=LineStatus.UNPRICED) == []


@pytest.mark.parametrize(
    ("model", "origin"),
    [
        ("lab/claude-haiku-4-5", "the same model at anthropic: claude-haiku-4-5"),
        ("lab/Llama-3.3-70B-Instruct", "the same model at "),
        ("lab/our-model-9", None),
        ("openai/ft:gpt-4o-mini:acme::abc", None),
        ("openai/wholly-unheard-of-3", None),
    ],
)
def test_proposals_are_of_siblings_only(desk: Desk, model: str, origin: str | None) -> None:
    found = desk.table.model(*model.split("/", 1))
    assert found is not None
    said = found.proposal.origin if found.proposal else None
    assert said is None if origin is None else (said or "").startswith(origin)
    if origin is None:
        with pytest.raises(InvalidRequest, match="no proposal"):
            desk.admin.accept(desk.order(model))


# The list


def test_list_is_filtered_searched_and_cut_into_pages(desk: Desk) -> None:
    assert {one.line.model for one in desk.lines(provider="lab")} == {"our-model"}
    assert [one.line.model for one in desk.lines(search="FAST")] == ["gpt-4o-mini"]
    assert desk.lines(source=PriceSource.OPERATOR)[0].limits.max_output_tokens == 10
    whole = desk.table.page(PriceQuery(page_size=200))
    pages = [desk.table.page(PriceQuery(page=number, page_size=50)) for number in (1, 2, 3, 99)]
    assert pages[-1].query.page == pages[0].pages == whole.total // 50 + 1
    models = [shown.line.model for page in pages[:3] for shown in page.prices]
    assert models == [shown.line.model for shown in whole.prices]
    assert models == sorted(models, key=str.lower)
    assert (pages[0].first, pages[0].last, pages[-1].last) == (1, 50, whole.total)


def test_list_is_sorted_by_price(desk: Desk) -> None:
    page = desk.table.page(PriceQuery(sort=PriceSort.OUTPUT, is_descending=True))
    rates = [shown.line.row.tiers[0].rates.output for shown in page.prices if shown.line.row]
    assert rates == sorted(rates, reverse=True)


# The calculator


def test_calculator_settles_as_calls_are_settled(desk: Desk) -> None:
    usage = Usage(input_tokens=1003, cached_input_tokens=1000, output_tokens=77)
    found = desk.calculator.calculate("fast", usage)
    assert [(line.kind, line.count, line.rate) for line in found.cost.lines] == [
        ("input", 3, 150_000),
        ("cached_input", 1000, 75_000),
        ("output", 77, 600_000),
    ]
    assert found.exact_pico_usd == 450_000 + 75_000_000 + 46_200_000
    assert (found.cost.total, found.rounded_by) == (121_650, 0)
    assert (found.limits.max_output_tokens, found.row.row_id) == (16_384, "openai/gpt-4o-mini")


def test_calculator_rounds_once(desk: Desk) -> None:
    desk.admin.enter(desk.order(), {"input": "0.0005", "output": "0.000001"})
    found = desk.calculator.calculate("fast", Usage(input_tokens=3, output_tokens=1))
    assert (found.exact_pico_usd, found.cost.total, found.rounded_by) == (1501, 2, 499)


@pytest.mark.parametrize(
    ("model", "usage", "error"),
    [
        ("fast", Usage(input_tokens=1, cached_input_tokens=2), InvalidRequest),
        ("nothing-like-it", Usage(), ModelNotFound),
        ("lab/their-model", Usage(), ModelUnpriced),
    ],
)
def test_what_cannot_be_calculated_is_told(
    desk: Desk, model: str, usage: Usage, error: type[Exception]
) -> None:
    with pytest.raises(error):
        desk.calculator.calculate(model, usage)

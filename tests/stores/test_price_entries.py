"""What staff entered, in SQL: exact, once, never altered, together with its audit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import COMMAND_LINE, NO_CHANGE, Action, AuditEntry, Result
from ai_gateway.domain.pricing import PriceRow, Tier
from ai_gateway.stores.operator_prices import holds_in_tier, is_own
from ai_gateway.stores.price_entries import MomentTaken, NewPrice, PriceEntryTable
from ai_gateway.stores.price_lists import FetchState, KeptList, PriceListTable
from ai_gateway.stores.tables import AuditRow
from tests.domain.facts import flat_rates

NOW = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)
LIKE = PriceRow(
    "openai/gpt",
    "openai",
    "gpt",
    (Tier(-1, flat_rates(10**12, 1)), Tier(200_000, flat_rates(3, 4, cached_input=0))),
    web_search=10**10,
    has_output=False,
)
NEW = NewPrice("lab", "m", NOW, LIKE, "entered by hand", "why", NOW, "ann")
AUDIT = AuditEntry(NOW, Action.PRICE_CHANGE, COMMAND_LINE, None, NO_CHANGE, Result.OK)


def audited(engine: Engine) -> int:
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(AuditRow)) or 0


def test_entry_is_read_as_it_was_made(engine: Engine) -> None:
    table = PriceEntryTable(engine)
    made = table.add(NEW, AUDIT)
    withdrawn = table.add(replace(NEW, like=None, effective_from=NOW + timedelta(days=1)), AUDIT)
    assert table.entries() == [made, withdrawn]
    assert withdrawn.row is None
    row = made.row
    assert row is not None
    assert (row.tiers, row.web_search, row.has_output) == (LIKE.tiers, 10**10, False)
    assert (row.row_id, row.provider, row.model) == (f"entered/{made.entry_id}/lab/m", "lab", "m")
    assert made.effective_from == NOW
    assert (made.made_by, made.reason) == ("ann", "why")
    assert is_own(row)
    assert holds_in_tier(row, "priority")


def test_moment_of_a_model_is_taken_once(engine: Engine) -> None:
    table = PriceEntryTable(engine)
    table.add(NEW, AUDIT)
    with pytest.raises(MomentTaken):
        table.add(replace(NEW, reason="another"), AUDIT)
    assert audited(engine) == len(table.entries()) == 1
    table.add(replace(NEW, model="other"), AUDIT)
    table.add(replace(NEW, like=None), AUDIT)
    with pytest.raises(MomentTaken):
        table.add(replace(NEW, like=None), AUDIT)


def test_order_acts_once(engine: Engine) -> None:
    table = PriceEntryTable(engine)
    first = table.add(replace(NEW, order_id="one"), AUDIT)
    again = table.add(replace(NEW, order_id="one", effective_from=NOW + timedelta(1)), AUDIT)
    assert again == first
    assert audited(engine) == len(table.entries()) == 1


def test_last_good_list_outlives_a_fault(engine: Engine) -> None:
    table = PriceListTable(engine)
    assert (table.newest(), table.state()) == (None, FetchState())
    good = KeptList("abc", b"[" + b" " * 1000 + b"]", NOW)
    table.keep(good)
    later = NOW + timedelta(hours=1)
    table.note_fault("it is too large", later)
    assert table.newest() == good
    assert table.state() == FetchState(later, NOW, "it is too large")
    newer = KeptList("def", b"[]", later)
    table.keep(newer)
    table.keep(replace(good, fetched_at=later))
    assert table.newest() == replace(good, fetched_at=later)
    assert table.state() == FetchState(later, later, None)

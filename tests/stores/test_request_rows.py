"""The list of calls on every database that we serve, compared with a plain look at every entry."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ai_gateway.domain.money import Money
from ai_gateway.domain.request_list import (
    EVERY_CALL,
    CallSelection,
    OutcomeFilter,
    Place,
    Span,
    Whose,
)
from ai_gateway.stores.ledger_export import Row
from ai_gateway.stores.request_rows import RequestRows, Walk
from ai_gateway.stores.tables import LedgerEntry, VirtualKey, db
from tests.seeding import NOW, add_entry, add_user
from tests.sql_database import opened, sqlite_url

CALLS = 60
SINCE, UNTIL = NOW - timedelta(minutes=40), NOW - timedelta(minutes=2)
PAGE = 9
AT_ONCE = 30
"""So few that narrow lists need several looks."""


@dataclass(frozen=True)
class Seen:
    """A call as its entries make it."""

    place: Place
    request_id: str
    last: LedgerEntry
    cost: int
    latency: int


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """One for all tests of this module: they only read, or add calls outside of the span."""
    url = (
        sqlite_url(tmp_path_factory.mktemp("requests"))
        if request.param == "sqlite"
        else request.getfixturevalue("postgresql_url")
    )
    with opened(url):
        seed()
        yield


def seed() -> None:
    """Calls of some users, many in the same instant, some with corrections, some resets."""
    chance = random.Random(5)  # the same numbers every time, not secret ones
    users = [add_user(name) for name in ("ann", "bob", "cleo")]
    for number, user_id in enumerate(users):
        for turn in range(2):
            db.session.add(
                VirtualKey(
                    key_id=f"k{number}{turn}000000"[:8],
                    digest="0" * 64,
                    last4="abcd",
                    user_id=user_id,
                    created_at=NOW,
                )
            )
    entries = []
    for number in range(CALLS):
        owner = chance.randrange(3)
        call: dict[str, Any] = {
            "request_id": f"r{number}",
            "user_id": users[owner],
            "key_id": f"k{owner}{chance.randrange(2)}000000"[:8],
            "admitted_at": NOW - timedelta(minutes=chance.randrange(45)),
            "provider": chance.choice(["openai", "lab"]),
            "model": chance.choice(["mini", "maxi"]),
            "model_requested": chance.choice(["mini", "fast"]),
            "served_model": chance.choice(["mini-1", "maxi-1"]),
            "stream": chance.random() < 0.5,
        }
        numbers = range(1, 1 + chance.choice([1, 1, 1, 2, 3]))
        entries += [call | entry_no_facts(chance, entry_no) for entry_no in numbers]
    chance.shuffle(entries)
    entries.sort(key=lambda entry: entry["entry_no"])
    for number, entry in enumerate(entries):
        add_entry(entry.pop("request_id"), entry.pop("entry_no"), seq=number, **entry)
    add_entry("reset-1", kind="adjustment", requests=0, admitted_at=NOW - timedelta(minutes=9))


def entry_no_facts(chance: random.Random, entry_no: int) -> dict[str, Any]:
    return {
        "entry_no": entry_no,
        "outcome": chance.choice(["success", "cancelled", "upstream_error", "gateway_error"]),
        "price_status": chance.choice(["priced", "unpriced"]),
        "cost_nano_usd": chance.randrange(-20 if entry_no > 1 else 0, 100),
        "latency_ms": chance.randrange(50),
        "input_tokens": chance.randrange(9),
    }


def all_calls() -> list[Seen]:
    """Newest first."""
    entries = db.session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.kind == "call")
        .order_by(LedgerEntry.request_id, LedgerEntry.entry_no)
    )
    found = []
    for request_id, group in groupby(entries, key=attrgetter("request_id")):
        of_call = list(group)
        first, last = of_call[0], of_call[-1]
        cost = sum(entry.cost_nano_usd for entry in of_call)
        latency = sum(entry.latency_ms for entry in of_call)
        found.append(Seen(Place(first.admitted_at, first.id), request_id, last, cost, latency))
    return sorted(found, key=attrgetter("place"), reverse=True)


SELECTIONS: dict[str, tuple[CallSelection, Callable[[Seen], bool]]] = {
    "all": (EVERY_CALL, lambda _: True),
    "a user": (CallSelection(Whose(user_id=2)), lambda call: call.last.user_id == 2),
    "a name": (CallSelection(Whose(name="cleo")), lambda call: call.last.user_id == 3),
    "an address": (
        CallSelection(Whose(name="ann@example.com")),
        lambda call: call.last.user_id == 1,
    ),
    "nobody": (CallSelection(Whose(name="nobody")), lambda _: False),
    "a key": (
        CallSelection(Whose(key_id="k1100000")),
        lambda call: call.last.key_id == "k1100000",
    ),
    "a provider": (CallSelection(provider="lab"), lambda call: call.last.provider == "lab"),
    "asked for": (
        CallSelection(model="mini"),
        lambda call: "mini" in {call.last.model, call.last.model_requested},
    ),
    "served": (
        CallSelection(served="maxi-1"),
        lambda call: call.last.served_model == "maxi-1",
    ),
    "failed": (
        CallSelection(outcome=OutcomeFilter.FAILED),
        lambda call: call.last.outcome in {"upstream_error", "gateway_error"},
    ),
    "cancelled": (
        CallSelection(outcome=OutcomeFilter.CANCELLED),
        lambda call: call.last.outcome == "cancelled",
    ),
    "dear": (CallSelection(min_cost=Money(80)), lambda call: call.cost >= 80),
    "slow": (CallSelection(min_latency_ms=40), lambda call: call.latency >= 40),
    "streamed": (CallSelection(is_stream=True), lambda call: call.last.stream),
    "unpriced": (
        CallSelection(is_unpriced=True),
        lambda call: call.last.price_status == "unpriced",
    ),
    "much at once": (
        CallSelection(Whose(user_id=1), "lab", is_stream=False),
        lambda call: (call.last.user_id, call.last.provider, call.last.stream) == (1, "lab", False),
    ),
}


def walked(selection: CallSelection, way: Walk) -> list[str]:
    """Every call of a way, page by page."""
    rows, found = RequestRows(AT_ONCE), []
    while True:
        page = rows.walk(selection, way, PAGE)
        assert len(page.calls) <= PAGE
        found += [row["request_id"] for _, row in page.calls]
        if page.reached is None:
            return found
        way = Walk(way.span, page.reached, onward=way.onward)


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("name", SELECTIONS)
def test_every_call_of_a_selection_is_on_one_page_in_either_direction(name: str) -> None:
    selection, is_meant = SELECTIONS[name]
    span = Span(SINCE, UNTIL)
    wanted = [
        call.request_id
        for call in all_calls()
        if span.since <= call.place.at < UNTIL and is_meant(call)
    ]
    assert walked(selection, Walk(span)) == wanted
    assert walked(selection, Walk(span, onward=True)) == wanted[::-1]
    counted = RequestRows(AT_ONCE).count(selection, span)
    assert (counted.number, counted.is_exact) == (len(wanted), True)


@pytest.mark.usefixtures("ledger")
def test_a_call_is_the_sum_of_its_entries_with_the_last_words() -> None:
    rows: dict[str, Row] = {
        row["request_id"]: row
        for _, row in RequestRows()
        .walk(EVERY_CALL, Walk(Span(NOW - timedelta(hours=1))), 200)
        .calls
    }
    for call in all_calls():
        row = rows[call.request_id]
        assert (row["cost_nano_usd"], row["latency_ms"]) == (call.cost, call.latency)
        assert (row["outcome"], row["price_status"]) == (call.last.outcome, call.last.price_status)
        assert row["username"] in {"ann", "bob", "cleo"}


@pytest.mark.usefixtures("ledger")
def test_calls_that_come_in_meanwhile_move_no_page() -> None:
    span, rows = Span(SINCE), RequestRows(AT_ONCE)
    before = [call.request_id for call in all_calls() if call.place.at >= SINCE]
    seen: list[str] = []
    way = Walk(span)
    for number in range(100):
        page = rows.walk(EVERY_CALL, way, PAGE)
        seen += [row["request_id"] for _, row in page.calls]
        if page.reached is None:
            break
        way = Walk(span, page.reached)
        add_entry(f"new-{number}", admitted_at=NOW + timedelta(seconds=number + 1))
    assert seen == before
    back = rows.walk(EVERY_CALL, Walk(span, all_calls()[-1].place, onward=True), 1)
    assert back.calls
    for entry in db.session.scalars(
        select(LedgerEntry).where(LedgerEntry.request_id.like("new-%"))
    ):
        db.session.delete(entry)
    db.session.commit()


@pytest.mark.usefixtures("ledger")
def test_a_narrow_list_is_looked_for_piece_by_piece() -> None:
    page = RequestRows(AT_ONCE).walk(CallSelection(provider="nobody"), Walk(Span(SINCE)), PAGE)
    assert page.calls == ()
    assert page.reached is not None
    assert page.reached.at > SINCE
    few = RequestRows(2).count(CallSelection(provider="nobody"), Span(SINCE))
    assert (few.number, few.is_exact) == (0, False)


def test_an_empty_ledger_has_no_calls_and_no_beginning(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 2, tzinfo=NOW.tzinfo)
    with opened(sqlite_url(tmp_path)):
        rows = RequestRows()
        assert rows.walk(EVERY_CALL, Walk(Span(SINCE)), PAGE).calls == ()
        assert rows.kept().oldest is None
        add_entry("r1", admitted_at=moment)
        assert rows.kept().oldest == moment

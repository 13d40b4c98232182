"""Refused requests from the stream into SQL, on every database that we serve."""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.call import Outcome
from ai_gateway.domain.refusals import RefusedCall
from ai_gateway.errors import NeededHold, Refusal
from ai_gateway.services.refusal_keeping import RefusalKeeping
from ai_gateway.stores import refusals
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.refusal_tables import RefusalHour, RefusalRow
from ai_gateway.stores.refusals import RefusalStream, RefusalTable
from tests.money import UTC_ZONE
from tests.redis_servers import RedisServer

NOW = datetime(2026, 11, 25, 12, 10, tzinfo=UTC)
HOLD = NeededHold(12_000, 400, 20, 900, 5)
BUDGET = Refusal("user", "day", 100, 60, 30, 20, NOW + timedelta(hours=11, minutes=50), HOLD)
REFUSED = RefusedCall(
    at=NOW,
    outcome=Outcome.BUDGET_BLOCKED,
    reason="user_day",
    operation="chat",
    request_id="r1",
    user_id=7,
    key_id="k1",
    model="gpt-4o-mini",
    budget=BUDGET,
)
STRANGER = RefusedCall(NOW, Outcome.AUTH_ERROR, "invalid", "chat", count=5)


@pytest.fixture
def stream(valkey_server: RedisServer) -> Iterator[RefusalStream]:
    with connect(valkey_server.url) as client:
        client.flushall()
        yield RefusalStream(client)


@pytest.fixture
def keeping(stream: RefusalStream, engine: Engine) -> RefusalKeeping:
    return RefusalKeeping(stream, RefusalTable(engine, UTC_ZONE))


def _rows(engine: Engine) -> list[RefusalRow]:
    with Session(engine) as session:
        return list(session.scalars(select(RefusalRow).order_by(RefusalRow.id)))


def _hours(engine: Engine) -> dict[tuple[datetime, str, str], int]:
    with Session(engine) as session:
        found = session.scalars(select(RefusalHour))
        return {(row.hour, row.outcome, row.reason): row.count for row in found}


def test_a_refusal_keeps_the_figures_of_its_budget(
    stream: RefusalStream, keeping: RefusalKeeping, engine: Engine
) -> None:
    stream.write([REFUSED])
    assert keeping.move() == 1
    (row,) = _rows(engine)
    assert (row.at, row.request_id, row.user_id, row.model) == (NOW, "r1", 7, "gpt-4o-mini")
    assert (row.scope, row.window, row.resets_at) == ("user", "day", BUDGET.resets_at)
    figures = (row.limit_nano_usd, row.spent_nano_usd, row.held_nano_usd, row.needed_nano_usd)
    assert figures == (100, 60, 30, 20)
    assert NeededHold(*(getattr(row, field.name) for field in fields(NeededHold))) == HOLD


def test_strangers_are_counted_and_not_kept(
    stream: RefusalStream, keeping: RefusalKeeping, engine: Engine
) -> None:
    stream.write([STRANGER, REFUSED, STRANGER])
    keeping.move()
    assert len(_rows(engine)) == 1
    hour = NOW.replace(minute=0)
    assert _hours(engine) == {
        (hour, "auth_error", "invalid"): 10,
        (hour, "budget_blocked", "user_day"): 1,
    }


def test_what_was_moved_is_not_moved_again(
    stream: RefusalStream, keeping: RefusalKeeping, engine: Engine
) -> None:
    stream.write([REFUSED])
    assert [keeping.move(), keeping.move()] == [1, 0]
    stream.write([replace(REFUSED, request_id="r2")])
    assert keeping.move() == 1
    assert [row.request_id for row in _rows(engine)] == ["r1", "r2"]


def test_of_two_bookkeepers_one_writes(stream: RefusalStream, engine: Engine) -> None:
    stream.write([REFUSED])
    table = RefusalTable(engine, UTC_ZONE)
    position = table.position()
    entries = stream.read(position, 10)
    assert table.add(entries, after=position)
    assert not table.add(entries, after=position)
    assert len(_rows(engine)) == 1


def test_the_stream_is_capped(stream: RefusalStream) -> None:
    for _ in range(12):
        stream.write([STRANGER] * 1000)
    # Redis cuts whole nodes, so that a few more stay.
    assert len(stream.read("0-0", 20_000)) < refusals.MOST_IN_STREAM + 1000

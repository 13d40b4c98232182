"""`flask ledger export` and `rebuild`: what an accountant and an operator rely on."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from ai_gateway.domain.money import Money
from ai_gateway.stores import redis_keys
from ai_gateway.stores.ledger import Ledger, _entry_row
from ai_gateway.stores.tables import LedgerEntry, db
from tests.gateway_app import GatewayApp, opened_app
from tests.money import UTC_ZONE, admitted_call, finished_call, outbox_entry
from tests.redis_servers import RedisServer, running_redis

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAID = (
    "request_id, admitted_at, settled_at, user, key_prefix, provider, model_requested, model, "
    "operation, stream, outcome, confidence, price_status, cost_nano_usd, cost_usd, price_row, "
    "price_book, latency_ms, ttft_ms"
)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture
def gateway(server: RedisServer) -> Iterator[GatewayApp]:
    with opened_app(server) as opened:
        yield opened


def book(gateway: GatewayApp, *entries: Any) -> None:
    with gateway.app.app_context():
        ledger = Ledger(db.engine, UTC_ZONE)
        ledger.book(entries, after=ledger.position(), now=NOON)


def export(gateway: GatewayApp, *options: str) -> str:
    result = gateway.flask("ledger", "export", *options)
    assert result.exit_code == 0, result.output
    return result.stdout


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_call_is_one_line_with_its_entries_summed_and_the_last_words(gateway: GatewayApp) -> None:
    lapsed = outbox_entry(1, 60, admitted_at=NOON, outcome="gateway_error", confidence="estimated")
    late = outbox_entry(2, -20, admitted_at=NOON, request_id="req_1", entry_no=2)
    late = replace(late, tally=late.tally | {"requests": 0, "input_tokens": 3, "output_tokens": 1})
    book(gateway, lapsed, late)
    (call,) = lines(export(gateway, "--format", "jsonl"))
    assert (call["request_id"], call["cost_nano_usd"], call["cost_usd"]) == (
        "req_1",
        40,
        "0.00000004",
    )
    assert (call["outcome"], call["confidence"]) == ("success", "reported")
    assert (call["input_tokens"], call["output_tokens"]) == (10, 6)
    entries = lines(export(gateway, "--entries", "--format", "jsonl"))
    assert [(e["entry_no"], e["cost_nano_usd"]) for e in entries] == [(1, 60), (2, -20)]


def test_csv_has_every_column_that_was_promised_and_the_exact_sum(gateway: GatewayApp) -> None:
    book(gateway, *(outbox_entry(n, n, admitted_at=NOON) for n in range(1, 11)))
    rows = list(csv.DictReader(io.StringIO(export(gateway, "--format", "csv"))))
    assert set(SAID.split(", ")) <= rows[0].keys()
    assert sum(int(row["cost_nano_usd"]) for row in rows) == 55


def test_days_are_those_of_the_reporting_zone_and_the_last_is_in(gateway: GatewayApp) -> None:
    for day in range(4):
        entry = outbox_entry(day + 1, 1, admitted_at=NOON + timedelta(days=day))
        book(gateway, entry)
    found = lines(
        export(gateway, "--from", "2026-11-21", "--to", "2026-11-22", "--format", "jsonl")
    )
    assert [row["request_id"] for row in found] == ["req_2", "req_3"]


def test_text_of_a_client_is_no_formula_in_a_spreadsheet(gateway: GatewayApp) -> None:
    book(gateway, outbox_entry(1, -5, admitted_at=NOON, model_requested="=cmd()"))
    (row,) = csv.DictReader(io.StringIO(export(gateway, "--format", "csv")))
    assert (row["model_requested"], row["cost_nano_usd"]) == ("'=cmd()", "-5")


def test_a_line_end_within_a_text_begins_no_row(gateway: GatewayApp) -> None:
    """To a spreadsheet, a CR alone does, and the rest of the text would be a cell."""
    book(gateway, outbox_entry(1, 5, admitted_at=NOON, model_requested="m\r=cmd()"))
    assert '"m\r=cmd()"' in export(gateway, "--format", "csv")


def test_empty_ledger_is_no_error(gateway: GatewayApp) -> None:
    assert export(gateway, "--format", "csv") == ""


def test_format_and_days_are_checked(gateway: GatewayApp) -> None:
    for options in ((), ("--format", "xml"), ("--format", "csv", "--from", "yesterday")):
        assert gateway.flask("ledger", "export", *options).exit_code == 2


def test_large_ledger_is_written_whole(gateway: GatewayApp) -> None:
    count = 2_500
    with gateway.app.app_context(), Session(db.engine) as session:
        rows = [ledger_row(number) for number in range(count)]
        session.execute(insert(LedgerEntry), rows)
        session.commit()
    assert len(export(gateway, "--format", "jsonl").splitlines()) == count


def test_rebuild_writes_the_counters_as_the_ledger_has_them(gateway: GatewayApp) -> None:
    call = admitted_call("req_1")
    with gateway.app.app_context():
        gateway.store.open()
        gateway.store.reserve(call)
        gateway.store.meter.settle(call, finished_call(40))
    name = redis_keys.account(call.accounts[0])
    gateway.store.client.hset(name, "spent", "999")
    result = gateway.flask("ledger", "rebuild")
    assert result.exit_code == 0, result.output
    assert gateway.store.meter.counters(call.accounts)[0].spent == Money(40)
    assert gateway.flask("ledger", "verify").exit_code == 0


def ledger_row(number: int) -> dict[str, Any]:
    return _entry_row(outbox_entry(number + 1, 1, admitted_at=NOON))

"""Every metering case through a running gateway: what the client gets and what the ledger has.

Each stream is served in every way in which a network may deliver it, all of them at once.
"""

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from ai_gateway.domain.call import USAGE_FIELDS
from ai_gateway.providers.sse import MAX_EVENT_BYTES
from tests.e2e.caller import Caller
from tests.e2e.metering_corpus import (
    Booked,
    Corpus,
    Delivery,
    all_deliveries,
    dialect_of,
    running_corpus,
)
from tests.providers.cases import Case, cases_in_scope, events_of, shown_events

pytestmark = pytest.mark.long

DELIVERIES = all_deliveries()
WHOLE = [number for number, one in enumerate(DELIVERIES) if not one.is_cut]
CUT = [number for number, one in enumerate(DELIVERIES) if one.is_cut]
REPORTED = {"exact", "provider_cost", "anomaly"}
BROKEN_OFF = {"ant-stream-007", "oai-stream-018"}
"""Recorded when the provider, or the client, had gone away."""

FAILED = {"ant-stream-006", "oai-resp-007", "oai-resp-010", "oai-stream-017"}
"""The provider says itself that it failed."""

ERROR_EVENTS = {"openai": b'data: {"error":', "anthropic": b"event: error\n"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    with running_corpus(tmp_path_factory.mktemp("corpus")) as corpus:
        yield corpus


@pytest.fixture(scope="module")
def ran(corpus: Corpus) -> tuple[Caller, list[Booked]]:
    """All deliveries, served at once."""
    return corpus.run(DELIVERIES)


@pytest.fixture(scope="module")
def booked(ran: tuple[Caller, list[Booked]]) -> list[Booked]:
    return ran[1]


def ids(number: int) -> str:
    return f"{DELIVERIES[number].case.name} {DELIVERIES[number].name}"


def nano_usd(cost: Decimal) -> int:
    return int((cost * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))


def test_every_case_has_a_name_of_its_own_and_is_served() -> None:
    names = [case.name for case in cases_in_scope()]
    assert len(set(names)) == len(names)
    assert [one.case.name for one in DELIVERIES if one.name == "as recorded"] == names


@pytest.mark.parametrize("number", WHOLE, ids=ids)
def test_case_is_booked_to_the_last_digit(number: int, booked: list[Booked]) -> None:
    check_entry(DELIVERIES[number].case, booked[number])


@pytest.mark.parametrize("number", WHOLE, ids=ids)
def test_client_gets_the_bytes_of_the_provider(number: int, booked: list[Booked]) -> None:
    check_bytes(DELIVERIES[number], booked[number])


@pytest.mark.parametrize("number", CUT, ids=ids)
def test_stream_that_is_cut_is_never_reported_below_its_cost(
    number: int, booked: list[Booked]
) -> None:
    check_cut(DELIVERIES[number], booked[number])


def test_counters_and_ledger_have_the_sum_of_all_calls(
    ran: tuple[Caller, list[Booked]],
) -> None:
    caller, booked = ran
    total = sum(one.entry["cost_nano_usd"] for one in booked)
    for scope in ("user", "key"):
        assert caller.account(scope, "month") == (total, 0)
    caller.gateway.flask("ledger", "verify")


@pytest.mark.parametrize("name", ["oai-stream-001", "ant-stream-001", "oai-compl-001"])
def test_event_without_an_end_ends_the_stream_with_an_error_and_is_counted(
    name: str, corpus: Corpus
) -> None:
    case = next(case for case in cases_in_scope() if case.name == name)
    first = events_of(case.body)[0]
    writes = (first, b"data: ", *[b"x" * 2**20] * (MAX_EVENT_BYTES // 2**20 + 1))
    _, (booked,) = corpus.run([Delivery(case, "endless", writes)])
    assert booked.answer.body.startswith(first + ERROR_EVENTS[dialect_of(case)])
    assert len(booked.answer.body) < 10_000
    assert (booked.entry["outcome"], booked.entry["confidence"]) == ("upstream_error", "counted")
    assert booked.entry["cost_nano_usd"] > 0


def check_entry(case: Case, booked: Booked) -> None:
    entry = booked.entry
    assert entry["usage_status"] == case.status
    is_failed = case.name in FAILED | BROKEN_OFF
    assert entry["outcome"] == ("upstream_error" if is_failed else "success")
    is_stated = case.status == "provider_cost"
    assert entry["price_status"] == ("provider_stated" if is_stated else "priced")
    if case.status in REPORTED:
        assert entry["confidence"] == "reported"
        assert case.usage is not None
        assert case.cost is not None
        assert {name: entry[name] for name in USAGE_FIELDS} == counts_of(case)
        assert entry["cost_nano_usd"] == nano_usd(case.cost)
        return
    assert entry["confidence"] == "counted"
    assert entry["cost_nano_usd"] > 0
    if case.cost is not None:
        # The input is exact; the output is raised to what was relayed, where that is more.
        told = counts_of(case)
        assert entry["input_tokens"] == told["input_tokens"]
        assert entry["output_tokens"] >= told["output_tokens"]
        assert entry["cost_nano_usd"] >= nano_usd(case.cost)


def counts_of(case: Case) -> dict[str, int]:
    return {name: getattr(case.usage, name) for name in USAGE_FIELDS}


def check_bytes(delivery: Delivery, booked: Booked) -> None:
    case, answer = delivery.case, booked.answer
    assert answer.status == 200
    if not case.is_stream:
        assert answer.body == delivery.body
        return
    shown = b"".join(shown_events(case, delivery.body))
    assert answer.body.startswith(shown)
    added = answer.body.removeprefix(shown)
    if case.name in BROKEN_OFF:
        assert added.startswith(ERROR_EVENTS[dialect_of(case)])
    else:
        assert added == b""


def check_cut(delivery: Delivery, booked: Booked) -> None:
    case, entry = delivery.case, booked.entry
    assert case.cost is not None
    full = nano_usd(case.cost)
    if entry["usage_status"] in REPORTED or entry["confidence"] == "reported":
        assert entry["cost_nano_usd"] == full
    assert entry["cost_nano_usd"] > 0
    assert booked.answer.status == 200
    # What came is what the provider sent, then at most the gateway's own error.
    shown, added = came_through(list(shown_events(case, delivery.body)), booked.answer.body)
    # A reset may overtake what was sent before it.
    assert shown == b"".join(shown_events(case, delivery.body)) or delivery.is_reset
    assert added == b"" or added.startswith(ERROR_EVENTS[dialect_of(case)])
    has_failed = ERROR_EVENTS[dialect_of(case)] in shown
    assert (added == b"") == (entry["outcome"] == "success" or has_failed)


def came_through(sent: list[bytes], body: bytes) -> tuple[bytes, bytes]:
    """The events of a body that the provider sent, from the first on, and what comes after them."""
    position = 0
    for event in sent:
        if not body.startswith(event, position):
            break
        position += len(event)
    return body[:position], body[position:]

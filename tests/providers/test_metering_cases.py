"""Every metering case in the shapes that we speak, whole and cut at awkward places."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from ai_gateway.domain.usage import Reading, UsageStatus
from tests.providers.cases import (
    LEFT_OUT,
    NOT_RUN,
    Case,
    cases_in_scope,
    events_of,
    load_cases,
    read_cases,
    reads_of,
    shown_events,
    with_line_ends,
)

CASES = cases_in_scope()
STREAMS = [case for case in CASES if case.is_stream]
LINE_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def ids(case: Case) -> str:
    return case.case_id


def is_as_expected(case: Case, reading: Reading) -> bool:
    is_right_cost = case.cost is None or case.cost_of(reading) == case.cost
    is_right_usage = case.usage is None or reading.total_usage == case.usage
    return reading.status == case.status and is_right_usage and is_right_cost


def test_every_case_is_run_or_left_out_for_a_reason() -> None:
    run = {case.case_id for case in CASES}
    assert {row["id"] for row in load_cases()} - run == LEFT_OUT
    assert sum(map(len, NOT_RUN.values())) == len(LEFT_OUT)


@pytest.mark.parametrize(
    "case", [case for case in read_cases() if case.case_id in LEFT_OUT], ids=ids
)
def test_case_in_our_shapes_is_left_out_only_while_it_is_beyond_us(case: Case) -> None:
    assert not is_as_expected(case, case.read())


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_case_is_read_with_every_count_and_priced_to_the_last_digit(case: Case) -> None:
    reading = case.read()
    assert reading.status == case.status
    if case.usage is not None:
        assert reading.total_usage == case.usage
    if case.cost is not None:
        assert case.cost_of(reading) == case.cost


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_usage_that_is_read_is_consistent(case: Case) -> None:
    assert case.read().total_usage.is_consistent


@pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10**6])
@pytest.mark.parametrize("case", STREAMS, ids=ids)
def test_stream_tells_the_same_whatever_its_reads_and_line_ends(
    case: Case, size: int, line_end: bytes
) -> None:
    reading = case.read(reads_of(with_line_ends(case, line_end), size))
    assert is_as_expected(case, reading)


@pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS)
@pytest.mark.parametrize("size", [1, 7, 10**6])
@pytest.mark.parametrize("case", STREAMS, ids=ids)
def test_client_gets_the_bytes_of_the_stream_but_for_usage_that_it_did_not_ask_for(
    case: Case, size: int, line_end: bytes
) -> None:
    body, reader = with_line_ends(case, line_end), case.reader()
    relayed = b"".join(map(reader.feed, reads_of(body, size))) + reader.rest()
    assert relayed == b"".join(shown_events(case, body))


def cut_streams() -> Iterator[tuple[str, Case, bytes]]:
    """Each stream of reported cost, cut after each of its events but the last."""
    for case in STREAMS:
        if case.cost is not None:
            events = events_of(case.body.replace(b"\r\n", b"\n"))
            for number in range(len(events)):
                yield f"{case.case_id} after {number}", case, b"".join(events[:number])


CUTS = list(cut_streams())


@pytest.mark.parametrize(
    ("case", "body"), [cut[1:] for cut in CUTS], ids=[name for name, *_ in CUTS]
)
def test_stream_that_is_cut_is_never_exact_with_less_than_its_cost(case: Case, body: bytes) -> None:
    reading = case.read([body])
    known = {UsageStatus.EXACT, UsageStatus.ANOMALY, UsageStatus.PROVIDER_COST}
    assert reading.status not in known or case.cost_of(reading) == case.cost


@pytest.mark.parametrize(
    ("case", "body"), [cut[1:] for cut in CUTS], ids=[name for name, *_ in CUTS]
)
def test_stream_that_is_cut_reports_no_more_than_its_cost(case: Case, body: bytes) -> None:
    assert case.cost is not None
    assert case.cost_of(case.read([body])) <= max(case.cost, gross_cost(case))


def gross_cost(case: Case) -> Decimal:
    """A relay may tell the whole input at the start and its cached part only at the end."""
    assert case.usage is not None
    cached = case.usage.cached_input_tokens * case.price.tiers[0].rates.input
    return (case.cost or Decimal(0)) + Decimal(cached).scaleb(-12)


@pytest.mark.parametrize("case", STREAMS, ids=ids)
def test_stream_that_is_cut_within_an_event_raises_nothing(case: Case) -> None:
    body = case.body
    for end in range(0, len(body), 17):
        assert case.read([body[:end]]).usage.is_consistent


@pytest.mark.parametrize("case", STREAMS, ids=ids)
def test_whole_stream_is_complete_unless_it_was_aborted(case: Case) -> None:
    reader = case.reader()
    reader.feed(case.body)
    ends = (b"[DONE]\n", b"[DONE]\r", b"message_stop", b"event: response.failed")
    assert reader.is_complete is any(end in case.body for end in ends)


def test_statuses_of_the_cases_are_ours() -> None:
    assert {case.status for case in CASES} == set(UsageStatus) - {UsageStatus.NOT_BILLED}

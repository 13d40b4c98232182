"""Every metering case in the shapes that we speak, whole and cut at awkward places."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from ai_gateway.domain.usage import Reading, UsageStatus
from tests.providers.cases import Case, events_of, load_cases, read_cases, reads_of

NOT_RUN = {
    "Anthropic's price for a place or for an advisor has no field yet": {
        "ant-009-geo-us",
        "ant-014-advisor-iteration",
    },
    "the uplift of a regional address is no part of the answer": {
        "oai-tier-004-eu-residency-uplift"
    },
    "DeepInfra is no provider of the table": {"di-001-estimated-cost-tier"},
    "there is no cache of answers yet": {"gw-002-cache-hit-by-gateway"},
    "another operation of OpenAI": {
        "oai-batch-001-output-line",
        "oai-batch-002-error-line",
        "oai-img-001-token-image",
        "oai-img-002-stream",
        "oai-img-003-per-image",
        "oai-realtime-001-response-done",
        "oai-resp-008-retrieve-again",
        "oai-stt-003-stream-done",
        "oai-stt-004-text-format",
        "oai-tts-001-characters",
    },
    "Anthropic's batches": {"ant-007-batch", "ant-008-batch-expired"},
    "another wire format": {
        "bed-002-cache-disjoint",
        "bed-003-arn-profile",
        "bed-stream-001-metadata",
        "bed-stream-002-exception",
        "cohere-chat-001-billed-vs-tokens",
        "cohere-rerank-001",
        "gem-001-thoughts-outside",
        "gem-003-tier-200k",
        "gem-005-audio-input",
        "gem-007-blocked-prompt",
        "gem-009-traffic-type-flex",
        "gem-stream-002-early-zero",
        "gem-stream-003-last-without-usage",
        "groq-stt-001-minimum-10s",
        "mistral-ocr-001-pages",
    },
    "no call is sent twice": {"gw-003-retry-two-attempts", "gw-004-fallback-both-billed"},
}
LEFT_OUT = set().union(*NOT_RUN.values())
CASES = [case for case in read_cases() if case.case_id not in LEFT_OUT]
STREAMS = [case for case in CASES if case.is_stream]
LINE_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def ids(case: Case) -> str:
    return case.case_id


def is_as_expected(case: Case, reading: Reading) -> bool:
    is_right_cost = case.cost is None or case.cost_of(reading) == case.cost
    is_right_usage = case.usage is None or reading.usage == case.usage
    return reading.status == case.status and is_right_usage and is_right_cost


def with_line_ends(case: Case, line_end: bytes) -> bytes:
    """The body with other line ends, where its own are all LF."""
    body = case.body
    return body if b"\r" in body else body.replace(b"\n", line_end)


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
        assert reading.usage == case.usage
    if case.cost is not None:
        assert case.cost_of(reading) == case.cost


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_usage_that_is_read_is_consistent(case: Case) -> None:
    assert case.read().usage.is_consistent


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
    assert relayed == b"".join(shown_events(case, body, line_end))


def shown_events(case: Case, body: bytes, line_end: bytes) -> Iterator[bytes]:
    """The events but for chunks of usage alone, found in the simplest way."""
    blank = b"\r\n\r\n" if b"\r\n" in body else line_end * 2
    *events, rest = body.split(blank)
    for event in [event + blank for event in events] + ([rest] if rest else []):
        is_usage = b'"choices":[]' in event and b'"usage":{' in event
        if case.asks_for_usage or not is_usage:
            yield event


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

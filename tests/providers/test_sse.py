"""Server-sent events as bytes: nothing is lost, and nothing is held back longer than needed."""

import re
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.providers.sse import MAX_EVENT_BYTES, EventSplitter, EventTooLong, event_data

LINE_END = re.compile(rb"\r\n|\n|\r")
BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?:\r\n|\n|\r)")
PIECES = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"data:", b"data: x", b": note", b"event: e", b"\xff"]
)
STREAMS = st.lists(PIECES, max_size=30).map(b"".join) | st.binary(max_size=60)


def cut(body: bytes, lengths: list[int]) -> list[bytes]:
    """The body in reads of the given lengths; what is left comes last."""
    ends = [min(end, len(body)) for end in accumulate(lengths)]
    bounds = [0, *ends, len(body)]
    return [body[start:end] for start, end in pairwise(bounds)]


def split(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    splitter = EventSplitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    return events, splitter.rest()


def data_lines(body: bytes) -> list[bytes]:
    """All data of a stream, line by line."""
    lines = [line for line in LINE_END.split(body) if line.startswith(b"data:")]
    return [line.removeprefix(b"data:").removeprefix(b" ") for line in lines]


def naive_events(body: bytes) -> list[bytes | None]:
    """The data of each event, line by line, dispatched at a blank line and at the end."""
    events: list[bytes | None] = []
    data: list[bytes] = []
    for line in [*LINE_END.split(body), b""]:
        if line:
            data += data_lines(line)
        else:
            events.append(b"\n".join(data) if data else None)
            data = []
    return events


@given(STREAMS, st.lists(st.integers(0, 9), max_size=20))
def test_events_and_rest_are_the_input_however_it_is_cut(body: bytes, lengths: list[int]) -> None:
    events, rest = split(cut(body, lengths))
    assert b"".join(events) + rest == body


@given(STREAMS, st.lists(st.integers(0, 9), max_size=20))
def test_each_event_ends_with_a_blank_line_and_holds_no_other(
    body: bytes, lengths: list[int]
) -> None:
    events, rest = split(cut(body, lengths))
    for event in events:
        blank = BLANK_LINE.search(event)
        assert blank is not None
        assert blank.end() == len(event)
    # A CR that came last may still be half of a CRLF.
    assert not BLANK_LINE.search(rest.removesuffix(b"\r"))


@given(STREAMS, st.lists(st.integers(0, 9), max_size=20))
def test_data_of_the_events_is_that_of_a_naive_reader(body: bytes, lengths: list[int]) -> None:
    events, rest = split(cut(body, lengths))
    told = [data for event in [*events, rest] if (data := event_data(event)) is not None]
    assert told == [data for data in naive_events(body) if data is not None]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_event_is_given_out_with_the_byte_that_ends_it(line_end: bytes) -> None:
    splitter = EventSplitter()
    event = b"data: a" + line_end * 2
    assert [splitter.feed(event[at : at + 1]) for at in range(len(event) - 1)] == [[]] * (
        len(event) - 1
    )
    assert splitter.feed(event[-1:]) == [event]


def test_crlf_that_is_cut_in_two_is_one_line_end() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\r") == []
    assert splitter.feed(b"\ndata: b\r") == []
    assert splitter.feed(b"\n\r") == []
    assert splitter.feed(b"\ndata: c\r\n\r\n") == [
        b"data: a\r\ndata: b\r\n\r\n",
        b"data: c\r\n\r\n",
    ]
    assert splitter.rest() == b""


def test_event_that_ends_in_cr_is_given_out_with_the_next_byte_or_at_the_end() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\r\r") == []
    assert splitter.feed(b"d") == [b"data: a\r\r"]
    assert splitter.feed(b"ata: b\r\r") == []
    assert splitter.rest() == b"data: b\r\r"


def test_rest_is_given_out_once() -> None:
    splitter = EventSplitter()
    splitter.feed(b"data: a\n\ndata: b")
    assert splitter.rest() == b"data: b"
    assert splitter.rest() == b""


def test_long_event_in_small_reads_is_searched_once() -> None:
    splitter = EventSplitter()
    chunk = b"x" * 1000
    assert all(splitter.feed(chunk) == [] for _ in range(5_000))
    assert len(splitter.feed(b"\n\n")[0]) == 5_000_002


MEBIBYTE = b"x" * 2**20


def test_longest_event_passes() -> None:
    splitter = EventSplitter()
    longest = MAX_EVENT_BYTES // len(MEBIBYTE)
    assert all(splitter.feed(MEBIBYTE) == [] for _ in range(longest))
    assert [len(event) for event in splitter.feed(b"\n\n")] == [MAX_EVENT_BYTES + 2]


def test_event_that_does_not_end_is_given_up_and_forgotten() -> None:
    splitter = EventSplitter()
    for _ in range(MAX_EVENT_BYTES // len(MEBIBYTE)):
        splitter.feed(MEBIBYTE)
    with pytest.raises(EventTooLong):
        splitter.feed(b"x")
    assert splitter.rest() == b""


def test_short_events_have_no_bound_together() -> None:
    splitter = EventSplitter()
    event = MEBIBYTE + b"\n\n"
    assert all(splitter.feed(event) == [event] for _ in range(MAX_EVENT_BYTES // 2**20 + 2))


@pytest.mark.parametrize(
    ("event", "data"),
    [
        pytest.param(b"data: a\n\n", b"a", id="one line"),
        pytest.param(b"data:a\n\n", b"a", id="no blank"),
        pytest.param(b"data:  a\n\n", b" a", id="one blank is taken"),
        pytest.param(b"data: a\ndata: b\n\n", b"a\nb", id="two lines"),
        pytest.param(b"event: e\nid: 1\ndata: a\n\n", b"a", id="other fields"),
        pytest.param(b": keep-alive\n\n", None, id="comment"),
        pytest.param(b"event: ping\n\n", None, id="no data"),
        pytest.param(b"data:\n\n", b"", id="empty data"),
        pytest.param(b"database: a\n\n", None, id="another field"),
        pytest.param(b" data: a\n\n", None, id="indented"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", b"a", id="byte order mark"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_data_of_an_event(event: bytes, data: bytes | None) -> None:
    assert event_data(event) == data

"""An answer is the same however the network cuts it, and what has arrived is read at once."""

import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_gateway.providers.http_answer import BrokenOff, HttpAnswer, NoHttp
from tests.providers.upstream import LAST_CHUNK, chunk, chunked_head, whole

OK = b"HTTP/1.1 200 OK\r\n"
LONG = 70_000


Answering = Callable[..., HttpAnswer]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        yield ours, theirs


@pytest.fixture
def answer_to(pair: tuple[socket.socket, socket.socket]) -> Answering:
    """Reads the answer that a provider sends in parts; whatever it is, it is there at once."""
    ours, theirs = pair

    def answer(*parts: bytes) -> HttpAnswer:
        theirs.sendall(b"".join(parts))
        theirs.shutdown(socket.SHUT_WR)
        return HttpAnswer(ours)

    return answer


def body_of(answer: HttpAnswer) -> bytes:
    return b"".join(iter(answer.read_some, b""))


@settings(max_examples=60, deadline=None)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    cuts=st.lists(st.integers(1, 30), max_size=30),
    trailer=st.sampled_from([b"", b"x-sum: 1\r\n", b"a: b\r\nc: d\r\n"]),
)
def test_chunks_are_the_same_however_they_are_cut(
    chunks: list[bytes], cuts: list[int], trailer: bytes
) -> None:
    sent = chunked_head() + b"".join(map(chunk, chunks)) + b"0\r\n" + trailer + b"\r\n"
    with _Cut(sent, cuts) as connection:
        answer = HttpAnswer(connection)
        assert body_of(answer) == b"".join(chunks)
        assert answer.may_be_followed


class _Cut(socket.socket):
    """A connection whose reads give the pieces of what was sent, one each."""

    def __init__(self, sent: bytes, cuts: list[int]) -> None:
        super().__init__()
        self._sent = sent
        self._cuts = [*cuts, len(sent)]

    def recv(self, bufsize: int, _flags: int = 0, /) -> bytes:
        size = min(self._cuts.pop(0), bufsize)
        piece, self._sent = self._sent[:size], self._sent[size:]
        return piece


def test_all_chunks_that_have_arrived_are_one_read(answer_to: Answering) -> None:
    answer = answer_to(chunked_head(), *(chunk(b"data: %d\n\n" % n) for n in range(9)), LAST_CHUNK)
    assert answer.read_some() == b"".join(b"data: %d\n\n" % n for n in range(9))
    assert answer.is_read


def test_part_of_a_chunk_is_read_before_the_rest_has_come(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.sendall(chunked_head() + b"a\r\nhello")
    answer = HttpAnswer(ours)
    assert answer.read_some() == b"hello"
    theirs.sendall(b"world\r\n0\r\n\r\n")
    assert answer.read_some() == b"world"
    assert answer.read_some() == b""


def test_headers_are_found_by_names_in_lower_case(answer_to: Answering) -> None:
    answer = answer_to(OK, b"Content-Type:text/plain\r\nX-Empty:\r\nContent-LENGTH: 2 \r\n\r\nhi")
    assert answer.headers == {"content-type": "text/plain", "x-empty": "", "content-length": "2"}
    assert body_of(answer) == b"hi"


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_lines_end_as_servers_end_them(answer_to: Answering, line_end: bytes) -> None:
    answer = answer_to(line_end.join([b"HTTP/1.1 200", b"content-length: 2", b"", b"hi"]))
    assert (answer.status, body_of(answer)) == (200, b"hi")


def test_an_answer_that_is_still_to_come_is_waited_for(answer_to: Answering) -> None:
    first = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    answer = answer_to(first, whole(b"{}"))
    assert (answer.status, body_of(answer)) == (200, b"{}")
    assert "link" not in answer.headers


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_answers_have_no_body(answer_to: Answering, status: bytes) -> None:
    answer = answer_to(b"HTTP/1.1 ", status, b"\r\n\r\n")
    assert body_of(answer) == b""
    assert answer.may_be_followed


@pytest.mark.parametrize(
    ("head", "is_kept"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", True, id="1.1"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: Close\r\n", False),
        pytest.param(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n", False, id="1.0"),
        pytest.param(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: Keep-Alive\r\n", True),
        pytest.param(b"HTTP/1.1 200 OK\r\n", False, id="ends with the connection"),
    ],
)
def test_connection_is_good_for_another_request(
    answer_to: Answering, head: bytes, *, is_kept: bool
) -> None:
    answer = answer_to(head, b"\r\nhi")
    assert not answer.may_be_followed
    assert body_of(answer) == b"hi"
    assert answer.may_be_followed is is_kept


@pytest.mark.parametrize("body", [whole(b"{}"), chunked_head() + chunk(b"{}") + LAST_CHUNK])
def test_connection_on_which_more_came_than_was_due_is_not_used_again(
    answer_to: Answering, body: bytes
) -> None:
    answer = answer_to(body, b"HTTP/1.1 200 OK\r\n\r\n")
    assert body_of(answer) == b"{}"
    assert not answer.may_be_followed


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/2 200\r\n\r\n", id="version"),
        pytest.param(b"HTTP/1.1 20\r\n\r\n", id="status"),
        pytest.param(OK + b"content-length: -1\r\n\r\n", id="negative"),
        pytest.param(OK + b"content-length: 1e3\r\n\r\n", id="no number"),
        pytest.param(OK + b"transfer-encoding: gzip, chunked\r\n\r\n", id="coding"),
        pytest.param(OK + b"x: " + b"x" * LONG, id="without end"),
        pytest.param(OK + b"content-length", id="broken off"),
    ],
)
def test_what_is_no_answer_is_told(answer_to: Answering, head: bytes) -> None:
    with pytest.raises(NoHttp):
        answer_to(head)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\n", id="no number"),
        pytest.param(b"-1\r\n", id="negative"),
        pytest.param(b"1" * LONG, id="line without end"),
        pytest.param(b"2\r\nhi\r\n\r\n", id="no chunk"),
        pytest.param(b"0\r\nx: " + b"x" * LONG, id="trailer without end"),
    ],
)
def test_chunk_without_a_length_is_told(answer_to: Answering, body: bytes) -> None:
    answer = answer_to(chunked_head(), body)
    with pytest.raises(NoHttp):
        body_of(answer)


@pytest.mark.parametrize("rest", [b"", b"3", b"3\r\nab", b"3\r\nabc", b"3\r\nabc\r\n"])
def test_stream_that_breaks_off_is_told(answer_to: Answering, rest: bytes) -> None:
    answer = answer_to(chunked_head(), rest)
    with pytest.raises(BrokenOff):
        body_of(answer)


def test_connection_that_closes_without_a_word_is_told(answer_to: Answering) -> None:
    with pytest.raises(BrokenOff):
        answer_to(b"")

"""The end of an HTTP answer is found, wherever the bytes are cut."""

import pytest

from bench.answers import Answer, read_answer

WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = (
    b"HTTP/1.1 429 No\r\ntransfer-encoding: Chunked\r\n\r\n2;x=y\r\n\r\n\r\n1\r\n}\r\n0\r\n\r\n"
)
BOTH = pytest.mark.parametrize(
    ("raw", "status"), [(WITH_LENGTH, 200), (CHUNKED, 429)], ids=["length", "chunked"]
)


@BOTH
def test_answer_is_complete_with_its_last_byte(raw: bytes, status: int) -> None:
    assert read_answer(raw) == Answer(status, len(raw))


@BOTH
def test_answer_is_incomplete_before_its_last_byte(raw: bytes, status: int) -> None:
    assert all(read_answer(raw[:size]) is None for size in range(len(raw)))


@BOTH
def test_what_follows_is_not_counted(raw: bytes, status: int) -> None:
    answer = read_answer(bytearray(raw + raw))
    assert answer is not None
    assert answer.size == len(raw)


def test_answer_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="without a length"):
        read_answer(b"HTTP/1.1 200 OK\r\n\r\n{}")

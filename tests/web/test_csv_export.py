"""CSV for download: what a cell becomes, and that it comes bit by bit."""

import csv
import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ai_gateway.web import csv_export
from ai_gateway.web.csv_export import Cell, Row, csv_response, usd


def lines(*rows: Row) -> list[list[str]]:
    text = csv_response("x.csv", ("Name", "Number"), [rows]).get_data(as_text=True)
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("ann", "ann"),
        ("", ""),
        ("=1+1", "'=1+1"),
        ("+49", "'+49"),
        ("-1", "'-1"),
        ("@sum", "'@sum"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\n=x", "'\n=x"),
        ("＝x", "'＝x"),
        ("a\r=x", "a\r=x"),
        ("a=b", "a=b"),
        ('say "hi", twice', 'say "hi", twice'),
        ("two\nlines", "two\nlines"),
        (-1, "-1"),
        (Decimal("-0.000000001"), "-0.000000001"),
        (usd(1), "0.000000001"),
        (usd(10**18), "1000000000.000000000"),
        (None, ""),
        (datetime(2026, 11, 23, 7, 10, tzinfo=UTC), "2026-11-23T07:10:00+00:00"),
    ],
)
def test_text_is_harmless_and_numbers_are_untouched(cell: Cell, shown: str) -> None:
    assert lines((cell, 1))[1] == [shown, "1"]


def test_the_answer_is_a_file_of_that_name() -> None:
    response = csv_response("spend.csv", ("Name",), [])
    assert response.mimetype == "text/csv"
    assert response.headers["Content-Disposition"] == 'attachment; filename="spend.csv"'
    assert response.get_data(as_text=True) == "Name\r\n"


def test_what_cannot_be_read_at_all_is_known_before_the_answer_begins() -> None:
    def broken() -> Iterator[list[Row]]:
        yield from ()
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        csv_response("x.csv", ("Name",), broken())


def test_batches_are_read_only_when_they_are_sent() -> None:
    read = []

    def batches() -> Iterator[list[Row]]:
        for number in range(4):
            read.append(number)
            yield [(number,)]

    parts = iter(csv_response("x.csv", ("Number",), batches()).response)
    assert read == [0]
    assert [next(parts), next(parts)] == ["Number\r\n", "0\r\n"]
    assert read == [0]
    assert next(parts) == "1\r\n"
    assert read == [0, 1]


def test_a_file_ends_at_the_most_rows() -> None:
    half = csv_export.MAX_ROWS // 2 + 1

    def batches() -> Iterator[list[Row]]:
        for _ in range(3):
            yield [(1,)] * half

    text = csv_response("x.csv", ("Number",), batches()).response
    assert sum(str(part).count("\r\n") for part in text) == csv_export.MAX_ROWS + 1


def test_memory_does_not_grow_with_the_file() -> None:
    def batches() -> Iterator[list[Row]]:
        for number in range(40):
            yield [(f"user{number}-{place}", usd(place), "x" * 200) for place in range(1000)]

    response = csv_response("x.csv", ("Name", "Spend", "Rest"), batches())
    tracemalloc.start()
    sent = sum(len(part) for part in response.response)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 8_000_000
    assert peak < 3_000_000

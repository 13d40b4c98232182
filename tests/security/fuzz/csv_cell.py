"""The writers of CSV: no cell is a formula to a spreadsheet, and each comes back as it was."""

import csv
import re
from collections.abc import Callable
from decimal import Decimal
from io import StringIO

from ai_gateway.cli.ledger import write_csv
from ai_gateway.web.csv_export import Cell, csv_text
from tests.security.fuzz.target import Tape, Target

_FORMULA = re.compile(r"[=+\-@＝＋－＠\t\r\n]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_LINE_END = re.compile(r"\r\n|\r|\n")
_QUOTED = re.compile(r'"(?:[^"]|"")*"', re.DOTALL)


def check(data: bytes) -> None:
    """Any texts and numbers, three in a row."""
    tape = Tape(data)
    numbers: list[Cell] = [tape.byte() - 128, Decimal(tape.byte() - 128).scaleb(-2), None]
    texts = tape.rest().decode(errors="replace").split("\x1f")
    cells: list[Cell] = [*texts, *numbers]
    cells += [None] * (-len(cells) % 3)
    rows = [cells[at : at + 3] for at in range(0, len(cells), 3)]
    for write in WRITERS:
        hold(rows, write(rows))


def seeds() -> list[bytes]:
    texts = ["=1+1", "a\r=1", "\n=1", 'a"b', "a,b", "-1.5", "--5", "@x", "'=1", "+\t", "é\x00", ""]
    return [b"\x10\x90" + "\x1f".join(texts[at:]).encode() for at in range(len(texts))]


def hold(rows: list[list[Cell]], text: str) -> None:
    """What a writer made of the rows."""
    # A line end that is not quoted begins a row, whichever it is.
    assert len(_LINE_END.findall(_QUOTED.sub("", text))) == len(rows) + 1
    _, *found = csv.reader(StringIO(text, newline=""))
    assert len(found) == len(rows)
    for row, shown in zip(rows, found, strict=True):
        for cell, told in zip(row, shown, strict=True):
            _hold_cell(cell, told)


def _hold_cell(cell: Cell, told: str) -> None:
    if isinstance(cell, str):
        is_harmless = not _FORMULA.match(told) or _NUMBER.fullmatch(told)
        assert is_harmless, f"a formula: {told!r}"
        assert told in {cell, f"'{cell}"}, f"{cell!r} became {told!r}"
        assert told == cell or _FORMULA.match(cell), "changed for nothing"
    elif cell is None:
        assert told == ""
    else:
        assert isinstance(cell, int | Decimal)
        assert Decimal(told) == cell


def _of_pages(rows: list[list[Cell]]) -> str:
    return "".join(csv_text(["a", "b", "c"], [rows]))


def _of_the_command(rows: list[list[Cell]]) -> str:
    out = StringIO()
    write_csv(out, (dict(zip("abc", row, strict=True)) for row in rows))
    return out.getvalue()


WRITERS: tuple[Callable[[list[list[Cell]]], str], ...] = (_of_pages, _of_the_command)
TARGET = Target("csv", check, seeds, (b"=", b"\r", b"\n", b'"', b"\x1f", b"-1", b",", b"\t"))

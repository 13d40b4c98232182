"""CSV for download: streamed bit by bit, exact, and harmless to a spreadsheet that opens it."""

import csv
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from io import StringIO
from itertools import chain, islice

from flask import Response

from ai_gateway.domain.spreadsheet import harmless

MAX_ROWS = 1_000_000

Cell = str | int | Decimal | datetime | None
Row = Sequence[Cell]


def csv_response(name: str, header: Sequence[str], batches: Iterable[Sequence[Row]]) -> Response:
    """Stream batches of rows as the file `name`; at most a million rows.

    The first batch is read here, so that what cannot be read at all becomes an error page.
    """
    parts = iter(batches)
    first = list(islice(parts, 1))
    response = Response(csv_text(header, chain(first, parts)), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def usd(nano_usd: int) -> Decimal:
    """An amount as a plain number with all its digits."""
    return Decimal(nano_usd).scaleb(-9)


def csv_text(header: Sequence[str], batches: Iterable[Sequence[Row]]) -> Iterator[str]:
    """The file, batch by batch."""
    yield _lines([header])
    left = MAX_ROWS
    for batch in batches:
        yield _lines(batch[:left])
        left -= len(batch)
        if left <= 0:
            return
        # Other greenlets of this worker run between two batches.
        time.sleep(0)


def _lines(rows: Sequence[Row]) -> str:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([_shown(cell) for cell in row] for row in rows)
    return out.getvalue()


def _shown(cell: Cell) -> str | int:
    if isinstance(cell, str):
        return harmless(cell)
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, datetime):
        return cell.isoformat()
    return "" if cell is None else cell

"""`flask ledger`: proofs, export, and the rebuilding of the counters."""

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from time import sleep
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup

from ai_gateway.cli.explain import explain_command
from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.domain.money import Money, usd_text
from ai_gateway.domain.spreadsheet import harmless
from ai_gateway.services.export_rows import readable
from ai_gateway.services.verification import Difference

DAY = click.DateTime(["%Y-%m-%d"])
LOOK_AGAIN_SECONDS = 0.2
STEPS = "docs/operating.md, when `ledger verify` fails"
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def ledger_group(commands: Commands) -> AppGroup:
    """`flask ledger`."""
    group = AppGroup("ledger", help="The ledger: proof, explanations, export.")
    for make in (_verify, explain_command, _export, _rebuild):
        group.add_command(with_context(make(commands)))
    return group


def _verify(commands: Commands) -> click.Command:
    @click.command("verify", help="Compare the counters with the ledger; exit 1 on a difference.")
    def verify() -> None:
        with one_line_errors():
            differences = commands.verification.differences()
        for found in differences:
            click.echo(_told(found))
        if differences:
            raise click.ClickException(
                f"{len(differences)} accounts differ. {_advice(differences)}"
            )
        click.echo("Counters and ledger agree to the last nano-dollar.")

    return verify


def _told(found: Difference) -> str:
    missing = Money(found.counter - found.booked)
    word = "above" if missing > 0 else "below"
    return (
        f"{found.account.name}: counter {usd_text(found.counter)} USD, ledger with outbox "
        f"{usd_text(found.booked)} USD; {usd_text(Money(abs(missing)))} USD {word}"
    )


def _advice(differences: Sequence[Difference]) -> str:
    """Which way to look first, by the side that has more."""
    above = sum(found.counter > found.booked for found in differences)
    if above == len(differences):
        reason = "The ledger lacks what was counted: an older copy of it, or entries set aside."
    elif above == 0:
        reason = "The counters lack what was booked: Redis went back, or somebody wrote to it."
    else:
        reason = "Counters are above and below: somebody wrote to Redis or to the ledger."
    return f"{reason} Before `flask ledger rebuild` read {STEPS}."


def _export(commands: Commands) -> click.Command:
    @click.command("export", help="Write calls (or entries) to standard output, oldest first.")
    @click.option("--from", "first", type=DAY, help="First day, in the reporting zone.")
    @click.option("--to", "last", type=DAY, help="Last day, inclusive.")
    @click.option("--entries", is_flag=True, help="One line for each entry, with adjustments.")
    @click.option("--format", "style", type=click.Choice(["csv", "jsonl"]), required=True)
    def export(first: datetime | None, last: datetime | None, style: str, *, entries: bool) -> None:
        start = _day_start(first, commands.timezone)
        end = _day_start(last and last + timedelta(days=1), commands.timezone)
        read = commands.export.entries if entries else commands.export.calls
        write = write_csv if style == "csv" else _write_jsonl
        with one_line_errors():
            write(sys.stdout, (readable(row, commands.timezone) for row in read(start, end)))

    return export


def _rebuild(commands: Commands) -> click.Command:
    @click.command("rebuild", help="Write the counters in Redis anew, as the ledger has them.")
    def rebuild() -> None:
        with one_line_errors():
            bookkeeper = commands.make_bookkeeper()
            bookkeeper.distrust()
            while not (bookkeeper.restore() or bookkeeper.is_trusted()):
                # Another bookkeeper is at it.
                sleep(LOOK_AGAIN_SECONDS)
        click.echo("The counters are what the ledger says.")

    return rebuild


def write_csv(out: TextIO, rows: Iterable[Mapping[str, Any]]) -> None:
    """A line for each row, below one with their names; nothing where there is none."""
    for number, row in enumerate(rows):
        if number == 0:
            out.write(_csv_line(row))
        out.write(_csv_line(map(_cell, row.values())))


def _csv_line(cells: Iterable[object]) -> str:
    text = StringIO()
    # It quotes what is in its own line end, and to a spreadsheet each of these begins a row.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _write_jsonl(out: TextIO, rows: Iterable[Mapping[str, Any]]) -> None:
    out.writelines(json.dumps(row) + "\n" for row in rows)


def _cell(value: object) -> object:
    """Texts come from clients, and amounts are texts as well."""
    return harmless(value) if isinstance(value, str) and not _NUMBER.fullmatch(value) else value


def _day_start(day: datetime | None, zone: ZoneInfo) -> datetime | None:
    return None if day is None else day.replace(tzinfo=zone).astimezone(UTC)

"""`flask ledger`: proofs, export, and the rebuilding of the counters."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup

from ai_gateway.cli.explain import explain_command
from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.domain.money import usd_text
from ai_gateway.services.export_rows import readable

DAY = click.DateTime(["%Y-%m-%d"])
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins so; model names come from clients."""


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
            click.echo(
                f"{found.account.name}: counter {usd_text(found.counter)} USD, "
                f"ledger with outbox {usd_text(found.booked)} USD"
            )
        if differences:
            raise click.ClickException(f"{len(differences)} accounts differ")
        click.echo("Counters and ledger agree to the last nano-dollar.")

    return verify


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
        write = _write_csv if style == "csv" else _write_jsonl
        with one_line_errors():
            write(sys.stdout, (readable(row, commands.timezone) for row in read(start, end)))

    return export


def _rebuild(commands: Commands) -> click.Command:
    @click.command("rebuild", help="Write the counters in Redis anew, as the ledger has them.")
    def rebuild() -> None:
        with one_line_errors():
            bookkeeper = commands.make_bookkeeper()
            bookkeeper.distrust()
            while not bookkeeper.restore():
                if bookkeeper.is_trusted():
                    break
        click.echo("The counters are what the ledger says.")

    return rebuild


def _write_csv(out: TextIO, rows: Iterable[Mapping[str, Any]]) -> None:
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(out, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _write_jsonl(out: TextIO, rows: Iterable[Mapping[str, Any]]) -> None:
    out.writelines(json.dumps(row) + "\n" for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}" if not _is_number(value) else value
    return value


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def _day_start(day: datetime | None, zone: ZoneInfo) -> datetime | None:
    return None if day is None else day.replace(tzinfo=zone).astimezone(UTC)

"""`flask audit`: look at what was done, by whom, and with what result."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, islice
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup

from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.domain.audit import Action, Fact, Result
from ai_gateway.domain.audit_list import AuditLine, AuditSelection
from ai_gateway.services.audit_report import AuditQuery

ACTIONS = [action.value for action in Action]
RESULTS = [result.value for result in Result]


def audit_group(commands: Commands) -> AppGroup:
    group = AppGroup("audit", help="The audit: every change and every log-in.")
    group.add_command(with_context(_audit_list(commands)))
    return group


def _audit_list(commands: Commands) -> click.Command:
    @click.command("list", help="The last entries, newest first.")
    @click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="From this day on.")
    @click.option("--actor", default="", help="Only what this name did.")
    @click.option("--target", default="", help="Only what is about this name, or user:12, key:ID.")
    @click.option("--action", type=click.Choice(ACTIONS), help="Only this.")
    @click.option("--result", type=click.Choice(RESULTS), help="Only what ended so.")
    @click.option("--count", type=click.IntRange(1), default=100, show_default=True)
    @click.option("--json", "as_json", is_flag=True, help="One object in each line, every field.")
    def list_entries(*, count: int, as_json: bool, **chosen: object) -> None:
        written = _object if as_json else _columns
        with one_line_errors():
            query = AuditQuery(_selection(chosen, commands.timezone))
            entries = chain.from_iterable(commands.audit_report.all(query))
            for line in islice(entries, count):
                click.echo(written(line, commands.timezone))

    return list_entries


def _selection(chosen: Mapping[str, object], zone: ZoneInfo) -> AuditSelection:
    since, action, result = chosen["since"], chosen["action"], chosen["result"]
    return AuditSelection(
        actor=str(chosen["actor"]),
        target=str(chosen["target"]),
        action=Action(str(action)) if action else None,
        result=Result(str(result)) if result else None,
        since=since.replace(tzinfo=zone).astimezone(UTC) if isinstance(since, datetime) else None,
    )


def _columns(line: AuditLine, zone: ZoneInfo) -> str:
    kind = f"{line.target_kind}:{line.target_id}" if line.target_kind else "-"
    return "\t".join(
        (
            line.at.astimezone(zone).isoformat(timespec="seconds"),
            line.actor or "-",
            line.address or "-",
            line.action,
            kind,
            line.target_name or "-",
            line.result,
            "; ".join(_changes(line)) or "-",
            _one_line(line.reason) or "-",
        )
    )


def _changes(line: AuditLine) -> Iterator[str]:
    for field in line.fields:
        sides = (facts[field] for facts in (line.before, line.after) if field in facts)
        yield f"{field}: {' -> '.join(map(_word, sides))}"


def _word(fact: Fact) -> str:
    return "nothing" if fact is None else _one_line(str(fact))


def _one_line(text: str) -> str:
    """What people typed must not look like another line or column, nor steer a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _object(line: AuditLine, _zone: ZoneInfo) -> str:
    facts: Mapping[str, object] = {
        "entry": line.position.number,
        "at": line.at.isoformat(),
        "actor_id": line.actor_id,
        "actor": line.actor,
        "role": line.role,
        "address": line.address,
        "action": line.action,
        "target_kind": line.target_kind,
        "target_id": line.target_id,
        "target": line.target_name,
        "before": dict(line.before),
        "after": dict(line.after),
        "reason": line.reason,
        "request_id": line.request_id,
        "result": line.result,
    }
    return json.dumps(facts)

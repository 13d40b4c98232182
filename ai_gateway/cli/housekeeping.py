"""`flask housekeeping`: the tasks on a clock, and doing one now."""

from datetime import datetime

import click
from flask.cli import AppGroup

from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.domain.audit import COMMAND_LINE, Action, Change, Target, TargetKind
from ai_gateway.domain.limits import INSTALLATION_ID
from ai_gateway.domain.tasks import RunOutcome, TaskName
from ai_gateway.services.task_clock import TaskTaken
from ai_gateway.services.task_report import TaskRow


def housekeeping_group(commands: Commands) -> AppGroup:
    """`flask housekeeping`."""
    group = AppGroup("housekeeping", help="What the bookkeeper does on a clock.")
    for command in (_list(commands), _run(commands)):
        group.add_command(with_context(command))
    return group


def _list(commands: Commands) -> click.Command:
    @click.command("list", help="Tell of each task when it is due, and how its last run went.")
    def list_tasks() -> None:
        with one_line_errors():
            rows = commands.task_report.rows()
        for row in rows:
            click.echo(_line(row, commands))

    return list_tasks


def _run(commands: Commands) -> click.Command:
    @click.command("run", help="Do a task now, due or not.")
    @click.argument("name", type=click.Choice([name.value for name in TaskName]))
    @click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
    def run(name: str, *, dry_run: bool) -> None:
        do = _tell if dry_run else _do
        with one_line_errors():
            do(TaskName(name), commands)

    return run


def _tell(name: TaskName, commands: Commands) -> None:
    click.echo(commands.make_task_clock().plan(name))


def _do(name: TaskName, commands: Commands) -> None:
    try:
        ended = commands.make_task_clock().run(name)
    except TaskTaken as error:
        raise click.ClickException(f"a bookkeeper does {name} just now") from error
    commands.audit.record(
        Action.HOUSEKEEPING,
        COMMAND_LINE,
        Target(TargetKind.INSTALLATION, str(INSTALLATION_ID), name),
        Change(after={"outcome": ended.outcome, "detail": ended.detail}),
    )
    if ended.outcome is not RunOutcome.OK:
        raise click.ClickException(f"{name} {ended.outcome}: {ended.detail}")
    click.echo(ended.detail)


def _line(row: TaskRow, commands: Commands) -> str:
    state = row.state
    if state.due_at is None:
        return f"{row.task.name}: {row.task.schedule}; no bookkeeper has started yet"
    due = "late, due" if row.is_late else "due"
    parts = [f"{row.task.name}: {row.task.schedule}", f"{due} {_moment(state.due_at, commands)}"]
    if state.running_since is not None:
        parts.append(f"running since {_moment(state.running_since, commands)}")
    if state.last_run_at is not None:
        took = "" if state.last_took is None else f" in {state.last_took.total_seconds():.1f} s"
        ended = f"{state.last_outcome}{took}"
        detail = f" ({state.last_detail})" if state.last_detail else ""
        parts.append(f"last run {_moment(state.last_run_at, commands)}, {ended}{detail}")
    return "; ".join(parts)


def _moment(value: datetime, commands: Commands) -> str:
    return value.astimezone(commands.timezone).isoformat(sep=" ", timespec="seconds")

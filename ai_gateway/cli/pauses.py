"""`flask pause`: stop the calls of a user, those to a provider, or all; and let them go on."""

import click
from flask.cli import AppGroup

from ai_gateway.cli.options import Commands, one_line_errors, tell_force, with_context
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.domain.house_rules import (
    EVERYTHING,
    Pause,
    PauseScope,
    PauseTarget,
    provider_pause,
    user_pause,
)

USER = click.option("--user", "user", help="The calls of this user.")
PROVIDER = click.option("--provider", "provider", help="The calls to this provider.")
ALL = click.option("--everything", is_flag=True, help="All calls.")


def pause_group(commands: Commands) -> AppGroup:
    group = AppGroup("pause", help="Stop calls from the next one on, and let them go on again.")
    for command in (_pause_set(commands), _pause_lift(commands), _pause_list(commands)):
        group.add_command(with_context(command))
    return group


def _pause_set(commands: Commands) -> click.Command:
    @click.command("set", help="Pause; running calls go on. Whoever calls reads the reason.")
    @USER
    @PROVIDER
    @ALL
    @click.option("--reason", required=True, help="Told to whoever calls.")
    def pause(reason: str, **chosen: str | bool | None) -> None:
        with one_line_errors():
            target = _target(commands, chosen)
            done = commands.budgets.pauses.set(target, reason, COMMAND_LINE)
        click.echo(f"Paused: {words(done.pause)}.", err=True)
        tell_force(is_in_force=done.is_in_force)

    return pause


def _pause_lift(commands: Commands) -> click.Command:
    @click.command("lift", help="Let calls go on again.")
    @USER
    @PROVIDER
    @ALL
    def lift(**chosen: str | bool | None) -> None:
        with one_line_errors():
            done = commands.budgets.pauses.lift(_target(commands, chosen), COMMAND_LINE)
        if done is None:
            raise click.ClickException("that is not paused; see: flask pause list")
        click.echo(f"Going on: {words(done.pause)}.", err=True)
        tell_force(is_in_force=done.is_in_force)

    return lift


def _pause_list(commands: Commands) -> click.Command:
    @click.command("list", help="List what is paused, since when, by whom, and why.")
    def list_pauses() -> None:
        with one_line_errors():
            pauses = commands.budgets.pauses.all()
        for pause in pauses:
            since = pause.since.astimezone(commands.timezone).isoformat(timespec="seconds")
            click.echo("\t".join((words(pause), since, pause.by, pause.reason)))

    return list_pauses


def words(pause: Pause) -> str:
    """What is paused, in words."""
    return {
        PauseScope.EVERYTHING: "all calls",
        PauseScope.PROVIDER: f"calls to {pause.name}",
        PauseScope.USER: f"calls of {pause.name}",
    }[pause.target.scope]


def _target(commands: Commands, chosen: dict[str, str | bool | None]) -> PauseTarget:
    named = [word for word, value in chosen.items() if value]
    if len(named) != 1:
        raise click.UsageError("name one: --user, --provider or --everything")
    if chosen["user"]:
        return user_pause(commands.users.user_id(str(chosen["user"])))
    return provider_pause(str(chosen["provider"])) if chosen["provider"] else EVERYTHING

"""`flask alert`: see alerts and attempts to tell of them, choose rules, send a test."""

import click
from flask.cli import AppGroup

from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.domain.alerts import SPECS, AlertKind, Rule
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.errors import ChangedMeanwhile
from ai_gateway.services.alert_admin import SHOWN_ATTEMPTS, RuleValues
from ai_gateway.stores.alert_deliveries import Attempt
from ai_gateway.stores.alerts import Alert

KINDS = [kind.value for kind in AlertKind]


def alert_group(commands: Commands) -> AppGroup:
    """`flask alert`."""
    group = AppGroup("alert", help="Alerts: list, rules, set, test, deliveries.")
    for command in (
        _list(commands),
        _rules(commands),
        _set(commands),
        _test(commands),
        _deliveries(commands),
    ):
        group.add_command(with_context(command))
    return group


def _list(commands: Commands) -> click.Command:
    @click.command("list", help="Open alerts, then those that were closed in the last week.")
    def list_alerts() -> None:
        with one_line_errors():
            for alert in commands.alerts.alerts():
                click.echo("\t".join(_alert(alert)))

    return list_alerts


def _rules(commands: Commands) -> click.Command:
    @click.command("rules", help="Every rule: its name, on or off, threshold, cool-down.")
    def rules() -> None:
        with one_line_errors():
            for rule in commands.alerts.rules().values():
                click.echo("\t".join(_rule(rule)))

    return rules


def _set(commands: Commands) -> click.Command:
    @click.command("set", help="Change a rule; what is not named stays. `rules` names them.")
    @click.argument("kind", type=click.Choice(KINDS))
    @click.option("--on/--off", "is_on", default=None, help="Whether it is looked at.")
    @click.option("--threshold", type=int, help="In the unit that `rules` names.")
    @click.option("--cool-down", type=int, metavar="MINUTES", help="Not told again for so long.")
    def set_rule(
        kind: str, *, is_on: bool | None, threshold: int | None, cool_down: int | None
    ) -> None:
        name = AlertKind(kind)
        with one_line_errors():
            old = commands.alerts.rules()[name]
            values = RuleValues(
                old.is_on if is_on is None else is_on,
                old.threshold if threshold is None else threshold,
                _minutes(old) if cool_down is None else cool_down,
                old.version,
            )
            try:
                new = commands.alerts.change(name, values, COMMAND_LINE)
            except ChangedMeanwhile as error:
                raise click.ClickException(
                    "somebody else changed it just now; look again"
                ) from error
        click.echo("\t".join(_rule(new)), err=True)

    return set_rule


def _test(commands: Commands) -> click.Command:
    @click.command("test", help="Send a message to every channel; exit 1 where one did not arrive.")
    def test() -> None:
        with one_line_errors():
            targets = {one.name: one.target for one in commands.alerts.channels}
            results = commands.alerts.send_test(COMMAND_LINE, token="")
        for one in results:
            told = f"failed: {one.failure}" if one.failure else f"arrived {one.note}".rstrip()
            click.echo(f"{one.channel}\t{targets[one.channel]}\t{told}")
        if any(one.failure for one in results):
            raise click.exceptions.Exit(1)

    return test


def _deliveries(commands: Commands) -> click.Command:
    @click.command("deliveries", help="The last attempts to send a message, newest first.")
    @click.option("--count", type=click.IntRange(1, 1000), default=SHOWN_ATTEMPTS)
    def deliveries(count: int) -> None:
        with one_line_errors():
            for attempt in commands.alerts.attempts(count):
                click.echo("\t".join(_attempt(attempt)))

    return deliveries


def _alert(alert: Alert) -> tuple[str, ...]:
    closed = alert.resolved_at
    return (
        alert.opened_at.isoformat(timespec="seconds"),
        alert.kind.value,
        f"closed {closed.isoformat(timespec='seconds')}" if closed else "open",
        alert.name,
        alert.words,
        "told" if alert.is_told else "kept back by the cool-down",
    )


def _rule(rule: Rule) -> tuple[str, ...]:
    return (
        rule.kind.value,
        "on" if rule.is_on else "off",
        f"{rule.threshold} {SPECS[rule.kind].unit}",
        f"cool-down {_minutes(rule)} minutes",
    )


def _attempt(attempt: Attempt) -> tuple[str, ...]:
    if attempt.ended_at is None:
        told = "no end is known"
    else:
        told = "arrived" if attempt.is_sent else "failed"
    return (
        attempt.started_at.isoformat(timespec="seconds"),
        attempt.channel,
        attempt.title,
        f"attempt {attempt.number}",
        f"{told}: {attempt.note}" if attempt.note else told,
    )


def _minutes(rule: Rule) -> int:
    return int(rule.cool_down.total_seconds()) // 60

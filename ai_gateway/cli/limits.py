"""`flask limit`: show and set limits of the installation, all users, one user or one key."""

from collections.abc import Iterator

import click
from flask.cli import AppGroup

from ai_gateway.cli.options import (
    Commands,
    Usd,
    limit_changes,
    one_line_errors,
    tell_force,
    with_context,
)
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.domain.limit_choices import (
    INSTALLATION,
    USER_DEFAULTS,
    LimitChoice,
    LimitSource,
    LimitSubject,
    choice_word,
)
from ai_gateway.domain.limits import Limit, LimitKind, Scope, Window
from ai_gateway.domain.money import usd_text
from ai_gateway.domain.virtual_key import key_id_of
from ai_gateway.services.limit_admin import LimitOrder, LimitStanding

COMMON = {"installation": INSTALLATION, "users": USER_DEFAULTS}
OF_ONE = ("user", "key")

SUBJECT = click.argument("subject", type=click.Choice([*COMMON, *OF_ONE]))
NAME = click.argument("name", required=False)


def limit_group(commands: Commands) -> AppGroup:
    group = AppGroup("limit", help="Limits: of the installation, all users, a user, a key.")
    for command in (_limit_show(commands), _limit_set(commands)):
        group.add_command(with_context(command))
    return group


def _limit_show(commands: Commands) -> click.Command:
    @click.command(
        "show", help="Show limits, where they come from, and what is spent: user NAME, key PREFIX."
    )
    @SUBJECT
    @NAME
    def show(subject: str, name: str | None) -> None:
        with one_line_errors():
            found = commands.budgets.limits.standing(_subject(commands, subject, name))
        for line in _lines(found):
            click.echo(line)

    return show


def _limit_set(commands: Commands) -> click.Command:
    choice = Usd("none", "inherit")

    @click.command("set", help="Set limits; in force on the next call: user NAME, key PREFIX.")
    @SUBJECT
    @NAME
    @click.option("--daily", type=choice, help="USD, none (no limit) or inherit. 0 blocks.")
    @click.option("--monthly", type=choice, help="Likewise.")
    @click.option("--warn-only", is_flag=True, help="Let calls go on above the amounts.")
    @click.option("--reason", default="", help="Kept in the audit.")
    def set_limits(subject: str, name: str | None, *, warn_only: bool, **given: object) -> None:
        chosen = _subject(commands, subject, name)
        daily, monthly = (_kind(given[word], warn_only) for word in ("daily", "monthly"))
        changes = limit_changes(chosen.scope, daily, monthly)
        if not changes:
            raise click.UsageError("name a limit: --daily or --monthly")
        if not changes.keys() <= set(chosen.budgets):
            raise click.UsageError("the installation has a monthly limit alone")
        order = LimitOrder(COMMAND_LINE, changes, reason=str(given["reason"]))
        with one_line_errors():
            done = commands.budgets.limits.change(chosen, order)
        click.echo("Limits set.", err=True)
        tell_force(is_in_force=done.is_in_force)

    return set_limits


def _kind(choice: object, is_warning: bool) -> object:  # noqa: FBT001 - of one option
    if isinstance(choice, Limit) and is_warning:
        return Limit(LimitKind.WARN, choice.amount)
    return choice


def _subject(commands: Commands, word: str, name: str | None) -> LimitSubject:
    if word in COMMON:
        if name is not None:
            raise click.UsageError(f"{word} takes no name")
        return COMMON[word]
    if name is None:
        raise click.UsageError(f"whose limits? name the {word}")
    with one_line_errors():
        if word == "key":
            return commands.budgets.limits.key(key_id_of(name))
        return LimitSubject(Scope.USER, commands.users.user_id(name))


def _lines(found: LimitStanding) -> Iterator[str]:
    for choice in found.limits.choices:
        standing = found.of(choice.budget)
        parts = [f"{choice.budget.window}", choice_word(choice.in_force), _source(choice)]
        if standing is not None:
            parts.append(f"{usd_text(standing.spent)} spent")
        yield "\t".join(parts)
    tightest = found.tightest
    if tightest is not None:
        window = {Window.DAY: "daily", Window.MONTH: "monthly"}[tightest.budget.window]
        yield (
            f"The {window} limit of the {tightest.budget.scope} decides: "
            f"{usd_text(tightest.room)} left."
        )


def _source(choice: LimitChoice) -> str:
    if choice.own is not None:
        return "set here"
    return {
        LimitSource.STAFF: "inherited from the default of users",
        LimitSource.ENVIRONMENT: "inherited from the environment",
        LimitSource.NOBODY: "nothing set",
    }[choice.source]

"""`flask key`: make, rotate, revoke and list virtual keys."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup

from ai_gateway.cli.options import Commands, Usd, limit_changes, one_line_errors, with_context
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.domain.key_list import KeyFilter, KeySelection
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.money import usd_text
from ai_gateway.domain.virtual_key import Grace, key_id_of
from ai_gateway.services.key_admin import KeyRequest, Revocation
from ai_gateway.services.key_list import KeyRow
from ai_gateway.services.key_rules import MAX_LABEL_CHARACTERS, KeyOptions

BY_COMMAND = KeyRequest(COMMAND_LINE, owner_id=None)
GRACES = [grace.value for grace in Grace]


def key_group(commands: Commands) -> AppGroup:
    group = AppGroup("key", help="Virtual keys: make, rotate, revoke, list.")
    for command in (
        _key_create(commands),
        _key_rotate(commands),
        _key_revoke(commands),
        _key_list(commands),
    ):
        group.add_command(with_context(command))
    return group


def _key_create(commands: Commands) -> click.Command:
    @click.command("create", help="Make a key for a user; prints it alone, and only this once.")
    @click.argument("name")
    @click.option("--label", default="", callback=_short, help="What it is for.")
    @click.option("--daily", type=Usd(), help="Limit of this key, in USD.")
    @click.option("--monthly", type=Usd(), help="Limit of this key, in USD.")
    @click.option("--model", "models", multiple=True, help="Allow only this model; repeatable.")
    @click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="First day of no use.")
    def create(name: str, label: str, models: tuple[str, ...], **options: object) -> None:
        expires = options["expires"]
        limits = limit_changes(Scope.KEY, options["daily"], options["monthly"])
        with one_line_errors():
            issued = commands.keys.create(
                commands.users.user_id(name),
                KeyOptions(
                    label=label,
                    allowed_models=models,
                    expires_at=_day_start(expires, commands.timezone),
                    limits=limits,
                ),
                BY_COMMAND,
            )
        click.echo(issued.text)

    return create


def _key_rotate(commands: Commands) -> click.Command:
    @click.command(
        "rotate", help="Give a key another secret; prints the key alone, and only this once."
    )
    @click.argument("prefix")
    @click.option(
        "--grace",
        type=click.Choice(GRACES),
        required=True,
        help="How long the secret before it still works. One from an earlier rotation ends now.",
    )
    def rotate(prefix: str, grace: str) -> None:
        with one_line_errors():
            issued = commands.keys.rotate(key_id_of(prefix), Grace(grace), BY_COMMAND)
        click.echo(issued.text)
        until = issued.key.previous_until
        if grace != Grace.NONE and until is not None:
            moment = until.astimezone(commands.timezone).isoformat(timespec="seconds")
            click.echo(f"The secret before it works until {moment}.", err=True)
        if not issued.is_published:
            click.echo("Redis does not answer: it is in force once Redis is back.", err=True)

    return rotate


def _key_revoke(commands: Commands) -> click.Command:
    @click.command("revoke", help="Revoke a key for good, by its 8-character id (prefix).")
    @click.argument("prefix")
    def revoke(prefix: str) -> None:
        with one_line_errors():
            done = commands.keys.revoke(key_id_of(prefix), BY_COMMAND)
        if not done.is_in_force:
            raise click.ClickException(
                f"key {done.key_id} is revoked in the database, but Redis does not answer: it is "
                "in force at the latest 30 s after Redis is back"
            )
        click.echo(_told(done), err=True)

    return revoke


def _told(done: Revocation) -> str:
    said = f"Key {done.key_id} is revoked, from the next call on."
    if not done.is_recorded:
        said += " The database does not answer; it hears of it when it is back."
    return said


def _key_list(commands: Commands) -> click.Command:
    @click.command("list", help="List keys: id, owner, label, state, last use, spend.")
    @click.option("--owner", help="Only those of this user.")
    @click.option("--state", type=click.Choice([word.value for word in KeyFilter]), default="all")
    def list_keys(owner: str | None, state: str) -> None:
        with one_line_errors():
            owner_id = commands.users.user_id(owner) if owner else None
            selection = KeySelection(KeyFilter(state), owner_id=owner_id)
            for row in commands.key_list.all(selection):
                click.echo("\t".join(_columns(row)))

    return list_keys


def _columns(row: KeyRow) -> tuple[str, ...]:
    entry = row.entry
    used = entry.last_used_at
    return (
        f"agw_{entry.key_id}...{entry.last4}",
        entry.username,
        entry.label,
        entry.state.value,
        used.isoformat(timespec="seconds") if used else "never",
        f"{usd_text(row.daily.spent)} today",
        f"{usd_text(row.monthly.spent)} this month",
    )


def _short(_context: click.Context, _option: click.Parameter, label: str) -> str:
    # PostgreSQL would refuse it with an error of its own.
    if len(label) > MAX_LABEL_CHARACTERS:
        raise click.BadParameter(f"at most {MAX_LABEL_CHARACTERS} characters")
    return label


def _day_start(day: object, zone: ZoneInfo) -> datetime | None:
    return day.replace(tzinfo=zone).astimezone(UTC) if isinstance(day, datetime) else None

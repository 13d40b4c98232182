"""`flask key`: make, revoke and list virtual keys."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup

from ai_gateway.cli.options import Commands, Usd, limit_changes, one_line_errors, with_context
from ai_gateway.domain.limits import Scope
from ai_gateway.services.key_admin import KeyOptions

MAX_LABEL_CHARACTERS = 100


def key_group(commands: Commands) -> AppGroup:
    group = AppGroup("key", help="Virtual keys: make, revoke, list.")
    for command in (_key_create(commands), _key_revoke(commands), _key_list(commands)):
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
            key = commands.keys.create_key(
                commands.users.user_id(name),
                KeyOptions(
                    label=label,
                    allowed_models=models,
                    expires_at=_day_start(expires, commands.timezone),
                    limits=limits,
                ),
            )
        click.echo(key)

    return create


def _key_revoke(commands: Commands) -> click.Command:
    @click.command("revoke", help="Revoke a key for good, by its 8-character id (prefix).")
    @click.argument("prefix")
    def revoke(prefix: str) -> None:
        key_id = prefix.removeprefix("agw_")[:8]
        with one_line_errors():
            if not commands.keys.revoke_key(key_id):
                raise click.ClickException(f"there is no key {key_id}; see: flask key list")
        click.echo(f"Key {key_id} is revoked, from the next call on.", err=True)

    return revoke


def _key_list(commands: Commands) -> click.Command:
    @click.command("list", help="List keys: id, owner, label, state.")
    def list_keys() -> None:
        with one_line_errors():
            rows = commands.key_table.rows(commands.clock())
        for row in rows:
            click.echo(f"agw_{row.key_id}...{row.last4}\t{row.username}\t{row.label}\t{row.state}")

    return list_keys


def _short(_context: click.Context, _option: click.Parameter, label: str) -> str:
    # PostgreSQL would refuse it with an error of its own.
    if len(label) > MAX_LABEL_CHARACTERS:
        raise click.BadParameter(f"at most {MAX_LABEL_CHARACTERS} characters")
    return label


def _day_start(day: object, zone: ZoneInfo) -> datetime | None:
    return day.replace(tzinfo=zone).astimezone(UTC) if isinstance(day, datetime) else None

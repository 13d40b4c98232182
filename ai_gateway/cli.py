"""The commands `flask user`, `key`, `ledger`, `prices`, `bookkeeper` and `setup`.

What a command is asked for goes to standard output alone, so that scripts can take it; the rest
goes to standard error.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import NO_LIMIT, Budget, Limit, LimitKind, Scope, Window
from ai_gateway.domain.money import from_usd
from ai_gateway.domain.roles import Role
from ai_gateway.errors import GatewayError
from ai_gateway.services.bookkeeping import Bookkeeper
from ai_gateway.services.key_admin import KeyAdmin, KeyOptions
from ai_gateway.services.user_admin import NewUser, UserAdmin, UserAdminError
from ai_gateway.stores.virtual_keys import KeyTable

ROLES = [role.value for role in Role if role is not Role.NONE]


@dataclass(frozen=True, slots=True)
class Commands:
    """What the commands work with; put together by the factory."""

    users: UserAdmin
    keys: KeyAdmin
    key_table: KeyTable
    make_bookkeeper: Callable[[], Bookkeeper]
    timezone: ZoneInfo
    clock: Clock


class Usd(click.ParamType[Limit | str]):
    """An amount in USD, or one of some words."""

    name = "usd"

    def __init__(self, *words: str) -> None:
        self._words = words

    def convert(
        self,
        value: object,
        param: click.Parameter | None,  # noqa: ARG002  # click calls it so
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Limit | str:
        if isinstance(value, Limit):
            return value
        if value in self._words:
            return str(value)
        try:
            amount = Decimal(str(value))
            if not 0 <= amount <= 9_000_000:
                raise InvalidOperation
            return Limit(LimitKind.AMOUNT, from_usd(amount))
        except (InvalidOperation, ValueError):
            words = "".join(f", or {word}" for word in self._words)
            self.fail(f"{value!r} is no amount in USD such as 12.50 (0 to 9,000,000){words}")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Tell what went wrong in one line, without a traceback."""
    try:
        yield
    except UserAdminError as error:
        raise click.ClickException(str(error)) from error
    except GatewayError as error:
        raise click.ClickException(
            "the database or Redis does not answer; is the gateway running, and was it started "
            f"once? ({type(error).__name__})"
        ) from error


def init_app(app: Flask, commands: Commands) -> None:
    """Put the commands on the application."""
    app.cli.add_command(_user_group(commands))
    app.cli.add_command(_key_group(commands))
    app.cli.add_command(_bookkeeper_command(commands))
    app.cli.add_command(_setup_command(commands))


def _bookkeeper_command(commands: Commands) -> click.Command:
    @click.command("bookkeeper", help="Move what is settled into the ledger, until stopped.")
    def bookkeeper() -> None:
        worker = commands.make_bookkeeper()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        with one_line_errors():
            worker.run()

    return _with_context(bookkeeper)


def _setup_command(commands: Commands) -> click.Command:
    @click.command("setup", help="Migrate the database; at the first start make a staff user.")
    def setup() -> None:
        with one_line_errors():
            upgrade()
            _check_timezone(commands)
            first = commands.users.make_first_staff()
            if first is None:
                return
            user_id, password = first
            key = commands.keys.create_key(user_id, KeyOptions(label="first key"))
        click.echo(f"Log in as admin with the password {password} (shown only this once).")
        click.echo(f"The first virtual key, of admin, is {key}")

    return _with_context(setup)


def _check_timezone(commands: Commands) -> None:
    fixed = commands.users.fix_timezone(commands.timezone.key)
    if fixed != commands.timezone.key:
        raise click.ClickException(
            f"AI_GATEWAY_TIMEZONE={commands.timezone.key} differs from {fixed}, which was fixed "
            "at the first start: all windows and sums of this database follow it"
        )


def _user_group(commands: Commands) -> AppGroup:
    group = AppGroup("user", help="Users: make, promote, limit, list.")
    for command in (
        _user_create(commands),
        _user_promote(commands),
        _user_password(commands),
        _user_limit(commands),
        _user_list(commands),
    ):
        group.add_command(_with_context(command))
    return group


def _user_create(commands: Commands) -> click.Command:
    @click.command("create", help="Make a user. Without a password nobody can log in as it.")
    @click.argument("name")
    @click.option("--email", required=True)
    @click.option("--staff", is_flag=True, help="May see the staff pages (role viewer).")
    @click.option("--superuser", is_flag=True, help="May do everything (role admin).")
    @click.option("--role", type=click.Choice(ROLES))
    @click.option("--password", help="Seen by others on this machine; better --password-stdin.")
    @click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
    def create(name: str, email: str, **options: str | bool | None) -> None:
        role = _role(options) or Role.NONE
        password = options["password"]
        if options["password_stdin"]:
            password = sys.stdin.readline().rstrip("\n")
        with one_line_errors():
            commands.users.create(
                NewUser(name, email, str(password) if password is not None else None, role)
            )
        click.echo(f"User {name} made, role {role}.", err=True)

    return create


def _user_promote(commands: Commands) -> click.Command:
    @click.command("promote", help="Give a user a staff role.")
    @click.argument("name")
    @click.option("--staff", is_flag=True)
    @click.option("--superuser", is_flag=True)
    @click.option("--role", type=click.Choice([Role.NONE.value, *ROLES]))
    def promote(name: str, **options: str | bool | None) -> None:
        role = _role(options)
        if role is None:
            raise click.UsageError("name a role: --staff, --superuser or --role")
        with one_line_errors():
            commands.users.set_role(name, role)
        click.echo(f"User {name} has the role {role}.", err=True)

    return promote


def _user_password(commands: Commands) -> click.Command:
    @click.command("password", help="Set a user's password.")
    @click.argument("name")
    @click.option("--password-stdin", is_flag=True, help="Read it from standard input.")
    def password(name: str, *, password_stdin: bool) -> None:
        if password_stdin:
            new = sys.stdin.readline().rstrip("\n")
        else:
            new = click.prompt("New password", hide_input=True, confirmation_prompt=True)
        with one_line_errors():
            commands.users.set_password(name, new)
        click.echo(f"Password of {name} set.", err=True)

    return password


def _user_limit(commands: Commands) -> click.Command:
    choice = Usd("none", "inherit")

    @click.command("limit", help="Set a user's limits; in force on the next call.")
    @click.argument("name")
    @click.option("--daily", type=choice, help="USD, none (no limit) or inherit (the default).")
    @click.option("--monthly", type=choice, help="Likewise.")
    def limit(name: str, daily: Limit | str | None, monthly: Limit | str | None) -> None:
        if daily is None and monthly is None:
            raise click.UsageError("name a limit: --daily or --monthly")
        changes = _limit_changes(Scope.USER, daily, monthly)
        with one_line_errors():
            commands.keys.set_user_limits(commands.users.user_id(name), changes)
        click.echo(f"Limits of {name} set.", err=True)

    return limit


def _user_list(commands: Commands) -> click.Command:
    @click.command("list", help="List users with role and number of active keys.")
    def list_users() -> None:
        with one_line_errors():
            rows = commands.users.users()
        for row in rows:
            click.echo(f"{row.username}\t{row.email}\t{row.role}\t{row.keys} keys")

    return list_users


def _key_group(commands: Commands) -> AppGroup:
    group = AppGroup("key", help="Virtual keys: make, revoke, list.")
    for command in (_key_create(commands), _key_revoke(commands), _key_list(commands)):
        group.add_command(_with_context(command))
    return group


def _key_create(commands: Commands) -> click.Command:
    @click.command("create", help="Make a key for a user; prints it alone, and only this once.")
    @click.argument("name")
    @click.option("--label", default="", help="What it is for.")
    @click.option("--daily", type=Usd(), help="Limit of this key, in USD.")
    @click.option("--monthly", type=Usd(), help="Limit of this key, in USD.")
    @click.option("--model", "models", multiple=True, help="Allow only this model; repeatable.")
    @click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="First day of no use.")
    def create(name: str, label: str, models: tuple[str, ...], **options: object) -> None:
        expires = options["expires"]
        limits = _limit_changes(Scope.KEY, options["daily"], options["monthly"])
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


def _role(options: dict[str, str | bool | None]) -> Role | None:
    if options.get("role"):
        return Role(str(options["role"]))
    if options.get("superuser"):
        return Role.ADMIN
    return Role.VIEWER if options.get("staff") else None


def _limit_changes(scope: Scope, daily: object, monthly: object) -> dict[Budget, Limit | None]:
    given = {Window.DAY: daily, Window.MONTH: monthly}
    return {Budget(scope, window): _limit(choice) for window, choice in given.items() if choice}


def _limit(choice: object) -> Limit | None:
    if isinstance(choice, Limit):
        return choice
    return NO_LIMIT if choice == "none" else None


def _day_start(day: object, zone: ZoneInfo) -> datetime | None:
    return day.replace(tzinfo=zone).astimezone(UTC) if isinstance(day, datetime) else None


def _with_context(command: click.Command) -> click.Command:
    """Run a command inside the application's context, as Flask's own decorator would."""
    if command.callback is not None:
        command.callback = with_appcontext(command.callback)
    return command

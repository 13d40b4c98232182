"""`flask user`: make, promote, limit and list users."""

import sys

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
from ai_gateway.domain.limit_choices import LimitSubject
from ai_gateway.domain.limits import Limit, Scope
from ai_gateway.domain.roles import Role
from ai_gateway.services.limit_admin import LimitOrder
from ai_gateway.services.user_admin import NewUser

ROLES = [role.value for role in Role if role is not Role.NONE]


def user_group(commands: Commands) -> AppGroup:
    group = AppGroup("user", help="Users: make, promote, limit, list.")
    for command in (
        _user_create(commands),
        _user_promote(commands),
        _user_password(commands),
        _user_limit(commands),
        _user_list(commands),
    ):
        group.add_command(with_context(command))
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
                NewUser(name, email, str(password) if password is not None else None, role),
                COMMAND_LINE,
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
            commands.users.set_role(name, role, COMMAND_LINE)
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
            commands.users.set_password(name, new, COMMAND_LINE)
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
        changes = limit_changes(Scope.USER, daily, monthly)
        with one_line_errors():
            subject = LimitSubject(Scope.USER, commands.users.user_id(name))
            done = commands.budgets.limits.change(subject, LimitOrder(COMMAND_LINE, changes))
        click.echo(f"Limits of {name} set.", err=True)
        tell_force(is_in_force=done.is_in_force)

    return limit


def _user_list(commands: Commands) -> click.Command:
    @click.command("list", help="List users with role and number of active keys.")
    def list_users() -> None:
        with one_line_errors():
            rows = commands.users.users()
        for row in rows:
            click.echo(f"{row.username}\t{row.email}\t{row.role}\t{row.keys} keys")

    return list_users


def _role(options: dict[str, str | bool | None]) -> Role | None:
    if options.get("role"):
        return Role(str(options["role"]))
    if options.get("superuser"):
        return Role.ADMIN
    return Role.VIEWER if options.get("staff") else None

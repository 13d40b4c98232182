"""`flask setup`, `flask bookkeeper` and `flask ledger`: what runs and proves the installation."""

import signal

import click
from flask.cli import AppGroup
from flask_migrate import upgrade

from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.domain.money import usd_text
from ai_gateway.services.key_admin import KeyOptions
from ai_gateway.stores.sql import translated_errors


def bookkeeper_command(commands: Commands) -> click.Command:
    @click.command("bookkeeper", help="Move what is settled into the ledger, until stopped.")
    def bookkeeper() -> None:
        worker = commands.make_bookkeeper()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        with one_line_errors():
            worker.run()

    return with_context(bookkeeper)


def setup_command(commands: Commands) -> click.Command:
    @click.command("setup", help="Migrate the database; at the first start make a staff user.")
    def setup() -> None:
        with one_line_errors():
            with translated_errors():
                upgrade()
            _check_timezone(commands)
            first = commands.users.make_first_staff()
            if first is None:
                return
            user_id, password = first
            key = commands.keys.create_key(user_id, KeyOptions(label="first key"))
        click.echo(f"Log in as admin with the password {password} (shown only this once).")
        click.echo(f"The first virtual key, of admin, is {key}")

    return with_context(setup)


def _check_timezone(commands: Commands) -> None:
    fixed = commands.users.fix_timezone(commands.timezone.key)
    if fixed != commands.timezone.key:
        raise click.ClickException(
            f"AI_GATEWAY_TIMEZONE={commands.timezone.key} differs from {fixed}, which was fixed "
            "at the first start: all windows and sums of this database follow it"
        )


def ledger_group(commands: Commands) -> AppGroup:
    """`flask ledger`."""

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

    group = AppGroup("ledger", help="The ledger: proofs.")
    group.add_command(with_context(verify))
    return group

"""`flask setup` and `flask bookkeeper`: what an installation runs on."""

import signal
from contextlib import suppress

import click
from flask_migrate import upgrade

from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.serve.collector import spare_what_is_loaded
from ai_gateway.services.bookkeeping import Bookkeeper
from ai_gateway.services.key_admin import KeyRequest
from ai_gateway.services.key_rules import KeyOptions
from ai_gateway.stores.redis_facts import SAFE_POLICY
from ai_gateway.stores.sql import translated_errors


def bookkeeper_command(commands: Commands) -> click.Command:
    @click.command("bookkeeper", help="Move what is settled into the ledger, until stopped.")
    def bookkeeper() -> None:
        worker = commands.make_bookkeeper()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        _check_policy(worker)
        spare_what_is_loaded()
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
            asked = KeyRequest(COMMAND_LINE, owner_id=None)
            first_key = commands.keys.create(user_id, KeyOptions(label="first key"), asked)
        click.echo(f"Log in as admin with the password {password} (shown only this once).")
        click.echo(f"The first virtual key, of admin, is {first_key.text}")

    return with_context(setup)


def _check_policy(worker: Bookkeeper) -> None:
    """Refuse to start; while Redis is away there is nothing to ask, and `run` waits for it."""
    with suppress(GatewayUnavailable):
        if policy := worker.unsafe_policy():
            raise click.ClickException(
                f"maxmemory-policy of Redis is {policy}: when full it would throw away what was "
                f"spent, and no budget would hold; set it to {SAFE_POLICY}"
            )


def _check_timezone(commands: Commands) -> None:
    fixed = commands.users.fix_timezone(commands.timezone.key)
    if fixed != commands.timezone.key:
        raise click.ClickException(
            f"AI_GATEWAY_TIMEZONE={commands.timezone.key} differs from {fixed}, which was fixed "
            "at the first start: all windows and sums of this database follow it"
        )

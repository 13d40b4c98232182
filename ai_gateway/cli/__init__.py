"""The commands of `flask`: `user`, `key`, `limit`, `pause`, `ledger`, `bookkeeper` and others.

What a command is asked for goes to standard output alone, so that scripts can take it; the rest
goes to standard error.
"""

from flask import Flask

from ai_gateway.cli.alerts import alert_group
from ai_gateway.cli.audit import audit_group
from ai_gateway.cli.backup import backup_command
from ai_gateway.cli.demo import demo_command
from ai_gateway.cli.doctor import doctor_command
from ai_gateway.cli.housekeeping import housekeeping_group
from ai_gateway.cli.keys import key_group
from ai_gateway.cli.ledger import ledger_group
from ai_gateway.cli.limits import limit_group
from ai_gateway.cli.options import Commands
from ai_gateway.cli.pauses import pause_group
from ai_gateway.cli.prices import prices_group
from ai_gateway.cli.service import bookkeeper_command, setup_command
from ai_gateway.cli.users import user_group

__all__ = ["Commands", "init_app"]


def init_app(app: Flask, commands: Commands) -> None:
    """Put the commands on the application."""
    for make in (
        user_group,
        key_group,
        limit_group,
        pause_group,
        ledger_group,
        prices_group,
        alert_group,
        audit_group,
        housekeeping_group,
        bookkeeper_command,
        setup_command,
        backup_command,
        doctor_command,
        demo_command,
    ):
        app.cli.add_command(make(commands))

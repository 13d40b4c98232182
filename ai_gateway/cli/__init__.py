"""The commands `flask user`, `key`, `ledger`, `bookkeeper`, `setup`, `doctor` and `demo-data`.

What a command is asked for goes to standard output alone, so that scripts can take it; the rest
goes to standard error.
"""

from flask import Flask

from ai_gateway.cli.demo import demo_command
from ai_gateway.cli.doctor import doctor_command
from ai_gateway.cli.keys import key_group
from ai_gateway.cli.ledger import ledger_group
from ai_gateway.cli.options import Commands
from ai_gateway.cli.service import bookkeeper_command, setup_command
from ai_gateway.cli.users import user_group

__all__ = ["Commands", "init_app"]


def init_app(app: Flask, commands: Commands) -> None:
    """Put the commands on the application."""
    for make in (
        user_group,
        key_group,
        ledger_group,
        bookkeeper_command,
        setup_command,
        doctor_command,
        demo_command,
    ):
        app.cli.add_command(make(commands))

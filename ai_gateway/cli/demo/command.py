"""`flask demo-data`: from an empty installation to one that is worth looking at."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click

from ai_gateway.cli.demo.cast import BLOCKED, CAST, NEAR, OVER
from ai_gateway.cli.demo.ending import settle_limits
from ai_gateway.cli.demo.plan import DAYS, last_calls, plan
from ai_gateway.cli.demo.progress import progress
from ai_gateway.cli.demo.stage import DemoClock, Stage
from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.services.bookkeeping import Bookkeeper

BOOK_EVERY_STEPS = 500
LABEL = f"Making {DAYS} days of demo data"


def demo_command(commands: Commands) -> click.Command:
    """`flask demo-data`."""

    @click.command("demo-data", help="Fill an empty installation with made-up users and calls.")
    def demo_data() -> None:
        with one_line_errors():
            _refuse_unless_harmless(commands)
            now = commands.clock()
            clock = DemoClock(now)
            stage = Stage(commands.make_app(clock), clock)
            with _only_errors_logged():
                _make(commands, stage, now)
        click.echo(_summary(stage))

    return with_context(demo_data)


def _refuse_unless_harmless(commands: Commands) -> None:
    if not commands.is_simulated:
        raise click.ClickException(
            "made-up calls are for the simulator alone: set AI_GATEWAY_SIMULATOR=on"
        )
    # The first one is of the staff, made by the set-up.
    if len(commands.users.users()) > 1:
        raise click.ClickException(
            "there are users already, and demo data are made in an empty data folder only; "
            "if an earlier try was broken off, remove that folder and start again"
        )


@contextmanager
def _only_errors_logged() -> Iterator[None]:
    """Thousands of lines about made-up calls would hide the progress."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _make(commands: Commands, stage: Stage, now: datetime) -> None:
    bookkeeper = commands.make_bookkeeper()
    bookkeeper.restore()
    with progress(plan(now, commands.timezone), LABEL) as steps:
        for number, step in enumerate(steps):
            stage.play(step)
            if number % BOOK_EVERY_STEPS == 0:
                _book(bookkeeper)
    for call in last_calls(now):
        stage.play(call)
    _book(bookkeeper)
    settle_limits(commands, stage)
    bookkeeper.mirror_refusals()


def _book(bookkeeper: Bookkeeper) -> None:
    while bookkeeper.book(block_ms=None):
        pass


def _summary(stage: Stage) -> str:
    return "\n".join(
        (
            f"The demo has {len(CAST)} users and {stage.calls:,} calls of {DAYS} days. Look for",
            f"  {NEAR:<16}close to the limits",
            f"  {OVER:<16}above the limits",
            f"  {BLOCKED:<16}blocked by a limit of 0",
        )
    )

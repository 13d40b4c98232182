"""Where the story ends: limits such that each state of a budget is to be seen on the pages."""

import click

from ai_gateway.cli.demo.cast import BLOCKED, CAST, MODELS_BY_NAME, NEAR, OVER, PROMPTS
from ai_gateway.cli.demo.plan import Call
from ai_gateway.cli.demo.stage import REFUSED, Stage
from ai_gateway.cli.options import Commands
from ai_gateway.domain.limits import Budget, Scope, Window
from ai_gateway.domain.money import Money, usd_text

NEAR_PERCENT, OVER_PERCENT = 87, 112
ROOM_PERCENT = 70
"""Whoever else has used more than this of a limit gets a higher one."""

MORE_ROOM = 3


def settle_limits(commands: Commands, stage: Stage) -> None:
    """Set the limits of those that the demo is about, give the others room, and refuse once."""
    for person in CAST:
        name = person.username
        user_id = commands.users.user_id(name)
        limits = commands.key_table.limits({Scope.USER: user_id})
        for window in Window:
            spent = commands.verification.spent(Scope.USER, user_id, window)
            limit = limits[Budget(Scope.USER, window)]
            if name in {NEAR, OVER}:
                percent = NEAR_PERCENT if name == NEAR else OVER_PERCENT
                _set(stage, name, window, spent * 100 // percent)
            elif name != BLOCKED and limit.is_amount and _is_short(spent, limit.amount):
                _set(stage, name, window, spent * MORE_ROOM)
    for name in (OVER, BLOCKED):
        _be_refused(stage, name)


def two_digits(amount: int) -> Money:
    """Round to two significant digits, as somebody would who sets a limit."""
    unit = 10 ** max(0, len(str(amount)) - 2)
    return Money(max(1, round(amount / unit) * unit))


def _is_short(spent: Money, limit: Money) -> bool:
    return spent * 100 > limit * ROOM_PERCENT


def _set(stage: Stage, name: str, window: Window, amount: int) -> None:
    option = "--daily" if window is Window.DAY else "--monthly"
    stage.operate("user", "limit", name, option, usd_text(two_digits(amount)))


def _be_refused(stage: Stage, name: str) -> None:
    call = Call(stage.clock.now, name, MODELS_BY_NAME["gpt-6-luna"], PROMPTS[0])
    status = stage.call(call)
    if status != REFUSED:
        raise click.ClickException(f"{name} has nothing left, but was answered {status}")

"""`flask demo-data`: 30 days of made-up calls, sent through the whole application.

The history is made in this process with a clock of its own, so that the workers' metrics do not
know it; the calls themselves are real ones, to the simulator.
"""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import click
from flask.testing import FlaskClient

from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.domain.limits import Budget, Limit, LimitKind, Scope, Window
from ai_gateway.domain.money import Money
from ai_gateway.domain.roles import Role
from ai_gateway.services.key_admin import KeyOptions
from ai_gateway.services.user_admin import NewUser

DAYS = 30
SEED = 20_261_125
PEOPLE = (
    "ada", "grace", "alan", "edsger", "barbara", "donald", "margaret", "ken", "radia", "tim",
    "frances", "leslie",
)  # fmt: skip
MODELS = (
    ("gpt-6-luna", 8),
    ("gpt-4o-mini", 6),
    ("claude-haiku-5-5", 6),
    ("gpt-6-sol", 3),
    ("claude-sonnet-5-5", 3),
    ("claude-opus-5-5", 1),
)
FAULTS = ("[[status=500]]", "[[status=429]]", "[[status=400]]")
FAULT_SHARE = 0.02
STREAM_SHARE = 0.5
BUSY_CALLS_A_DAY = 9
WEEKEND_SHARE = 0.25


@dataclass(slots=True)
class DemoClock:
    """A clock that is set by hand."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A made-up person; `weight` tells how much of the work is theirs."""

    user_id: int
    key: str
    weight: float


def demo_command(commands: Commands) -> click.Command:
    """`flask demo-data`."""

    @click.command("demo-data", help="Fill an empty installation with made-up users and calls.")
    def demo_data() -> None:
        dice = random.Random(SEED)  # noqa: S311  # the same demo each time, no secret
        now = commands.clock()
        clock = DemoClock(now - timedelta(days=DAYS))
        client = commands.make_app(clock).test_client()
        with one_line_errors():
            bookkeeper = commands.make_bookkeeper()
            bookkeeper.restore()
            people = [_make_user(commands, name, dice) for name in PEOPLE]
            with click.progressbar(
                list(_moments(now, dice)),
                label="Calls of 30 days",
                file=sys.stderr,
            ) as moments:
                for moment in moments:
                    clock.now = moment
                    user = dice.choices(people, [p.weight for p in people])[0]
                    _call(client, user, dice)
            while bookkeeper.book(block_ms=None):
                pass
            _tighten_limits(commands, people)

    return with_context(demo_data)


def _make_user(commands: Commands, name: str, dice: random.Random) -> DemoUser:
    user_id = commands.users.create(NewUser(name, f"{name}@example.com", None, Role.NONE))
    key = commands.keys.create_key(user_id, KeyOptions(label="laptop"))
    return DemoUser(user_id, key, dice.paretovariate(1.2))


def _moments(now: datetime, dice: random.Random) -> Iterator[datetime]:
    """When calls were made: office hours mostly, few at weekends, the last within the hour."""
    moments = []
    for day in range(DAYS + 1):
        start = (now - timedelta(days=day)).replace(hour=0, minute=0, second=0, microsecond=0)
        share = WEEKEND_SHARE if start.weekday() >= 5 else 1.0
        for _ in range(round(BUSY_CALLS_A_DAY * len(PEOPLE) * share * dice.uniform(0.4, 0.7))):
            hour = min(23.9, max(0.0, dice.gauss(13, 3)))
            moments.append(start + timedelta(hours=hour))
    moments += [now - timedelta(minutes=dice.uniform(0, 50)) for _ in range(20)]
    return iter(sorted(moment for moment in moments if moment < now))


def _call(client: FlaskClient, user: DemoUser, dice: random.Random) -> None:
    model = dice.choices([m for m, _ in MODELS], [w for _, w in MODELS])[0]
    tokens_in = round(dice.lognormvariate(10.5, 0.9))
    cached = round(tokens_in * dice.choice((0, 0, 0.5, 0.8)))
    markers = f"[[input={tokens_in}]] [[cached={cached}]] [[tokens={dice.randint(20, 600)}]]"
    if dice.random() < FAULT_SHARE:
        markers += dice.choice(FAULTS)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"A made-up question. {markers}"}],
        "stream": dice.random() < STREAM_SHARE,
    }
    path = "/v1/chat/completions"
    if model.startswith("claude"):
        path = "/v1/messages"
        body["max_tokens"] = 1000
    answer = client.post(path, json=body, headers={"authorization": f"Bearer {user.key}"})
    # A stream is settled when it is read to its end.
    answer.get_data()
    answer.close()


def _tighten_limits(commands: Commands, people: list[DemoUser]) -> None:
    """Give three people limits near what they spent, so that every badge is to be seen."""
    spenders = sorted(people, key=lambda person: -person.weight)
    for person, percent in zip(spenders[:3], (100, 88, 60), strict=True):
        spent = commands.verification.spent(Scope.USER, person.user_id, Window.MONTH)
        amount = Money(max(1, spent * 100 // percent))
        budget = Budget(Scope.USER, Window.MONTH)
        commands.keys.set_user_limits(person.user_id, {budget: Limit(LimitKind.AMOUNT, amount)})

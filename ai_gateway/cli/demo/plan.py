"""What happens when in the 30 days of the demo: the same for the same moment, and no I/O."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from ai_gateway.cli.demo.cast import (
    BLOCKED,
    CAST,
    EMBEDDINGS,
    FAULTS,
    LOST_KEY,
    MODELS,
    MODELS_BY_NAME,
    NEAR,
    OVER,
    PROMPTS,
    Model,
    Person,
    Rhythm,
)

DAYS = 30
SEED = 20_261_125
WEEKEND_SHARE = 0.12
GROWTH = 0.5
"""By how much a day has more calls at the end than at the beginning."""

FAULT_SHARE, OUTAGE_SHARE = 0.02, 0.6
STREAM_SHARE, LEAVE_SHARE, SLOW_SHARE = 0.55, 0.05, 0.015
OUTAGE_PROVIDER, OUTAGE_DAYS_AGO = "anthropic", 5
OUTAGE_HOURS = range(13, 16)
BLOCK_DAYS_AGO, LOSS_DAYS_AGO = 6, 12


@dataclass(frozen=True, slots=True)
class Join:
    """A user is made, with a first key, which is of no use from the day on that the user leaves."""

    moment: datetime
    person: Person
    leaves_on: date | None = None


@dataclass(frozen=True, slots=True)
class ReplaceKey:
    """A user's key is revoked and another one made."""

    moment: datetime
    username: str
    label: str


@dataclass(frozen=True, slots=True)
class Block:
    """A user's limits become 0: every call from now on is refused."""

    moment: datetime
    username: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call; whoever leaves early reads no more than the beginning of a stream."""

    moment: datetime
    username: str
    model: Model
    prompt: str
    stream: bool = False
    leaves_early: bool = False


Step = Join | ReplaceKey | Block | Call


def plan(now: datetime, zone: ZoneInfo) -> list[Step]:
    """Everything in its order, all of it before `now`; days are those of the reporting zone."""
    steps: list[Step] = [
        ReplaceKey(now - timedelta(days=LOSS_DAYS_AGO), LOST_KEY, "laptop"),
        Block(now - timedelta(days=BLOCK_DAYS_AGO), BLOCKED),
    ]
    local = now.astimezone(zone)
    outage = _outage_day(local)
    for number, person in enumerate(CAST):
        dice = random.Random(f"{SEED} {person.username}")  # noqa: S311  # no secret
        joined = now - timedelta(days=person.joined, seconds=len(CAST) - number)
        leaves = _day_start(local, person.left) if person.left else None
        steps.append(Join(joined, person, leaves.date() if leaves else None))
        for moment in _moments(person, local, dice):
            if joined < moment <= (leaves or now):
                is_out = moment.date() == outage.date() and moment.hour in OUTAGE_HOURS
                steps.append(_call(person, moment.astimezone(UTC), dice, is_outage=is_out))
    return sorted(steps, key=lambda step: step.moment)


def last_calls(now: datetime) -> list[Call]:
    """What makes sure that those near and over their limits have spent today, whenever that is."""
    prompt = f"{PROMPTS[0]} [[input=180000]] [[tokens=120]]"
    return [Call(now, name, MODELS_BY_NAME["gpt-6-sol"], prompt) for name in (NEAR, OVER)]


def _moments(person: Person, now: datetime, dice: random.Random) -> Iterator[datetime]:
    """When a person calls, in local time."""
    for ago in range(DAYS, -1, -1):
        day = _day_start(now, ago)
        is_weekend = day.weekday() >= 5 and person.rhythm is Rhythm.OFFICE
        share = WEEKEND_SHARE if is_weekend else 1.0
        growth = 1 + GROWTH * (DAYS - ago) / DAYS
        for _ in range(round(person.calls_a_day * share * growth * dice.uniform(0.4, 1.1))):
            yield day + timedelta(hours=_hour(person.rhythm, dice))
    if person.rhythm is not Rhythm.NIGHT:
        yield now - timedelta(minutes=dice.uniform(1, 50))


def _day_start(now: datetime, days_ago: int) -> datetime:
    day = now - timedelta(days=days_ago)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def _hour(rhythm: Rhythm, dice: random.Random) -> float:
    match rhythm:
        case Rhythm.OFFICE:
            return min(22.0, max(6.5, dice.gauss(13.5, 2.6)))
        case Rhythm.NIGHT:
            return dice.uniform(1, 4)
        case Rhythm.ALWAYS:
            return dice.uniform(0, 24)


def _outage_day(now: datetime) -> datetime:
    """The last weekday that is some days ago: a provider had a bad afternoon then."""
    day = now - timedelta(days=OUTAGE_DAYS_AGO)
    return day - timedelta(days=max(0, day.weekday() - 4))


def _call(person: Person, moment: datetime, dice: random.Random, *, is_outage: bool) -> Call:
    model = _model(person, dice)
    # Drawn for every call, so that an outage changes nothing of what comes after it.
    fault, kind, slow = dice.random(), dice.choice(FAULTS), dice.random()
    stream = dice.random() < STREAM_SHARE and model.path != EMBEDDINGS
    leaves = dice.random() < LEAVE_SHARE
    words = [dice.choice(PROMPTS), _amounts(dice)]
    if slow < SLOW_SHARE:
        words.append(f"[[delay={dice.randint(20, 90)}]]")
    if is_outage and model.provider == OUTAGE_PROVIDER and fault < OUTAGE_SHARE:
        words.append("[[status=503]]")
    elif fault < FAULT_SHARE and model.path != EMBEDDINGS:
        words.append(kind)
    return Call(moment, person.username, model, " ".join(words), stream, leaves and stream)


def _model(person: Person, dice: random.Random) -> Model:
    if person.models:
        return MODELS_BY_NAME[dice.choice(person.models)]
    return dice.choices(MODELS, [model.weight for model in MODELS])[0]


def _amounts(dice: random.Random) -> str:
    tokens = round(dice.lognormvariate(10.2, 0.9))
    cached = round(tokens * dice.choice((0, 0, 0.5, 0.8)))
    return f"[[input={tokens}]] [[cached={cached}]] [[tokens={dice.randint(15, 160)}]]"

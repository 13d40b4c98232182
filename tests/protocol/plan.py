"""What a seed stands for: sizes, losses and faults of one run. Only the kernel's turns differ."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """What is done to the installation while calls run."""

    KILL_REDIS = "kill_redis"
    KILL_WORKER = "kill_worker"
    FREEZE_WORKER = "freeze_worker"
    KILL_BOOKKEEPER = "kill_bookkeeper"
    RESET = "reset"
    CHANGE_LIMIT = "change_limit"
    REVOKE_KEY = "revoke_key"
    FLUSH_SCRIPTS = "flush_scripts"


WEIGHTS = {
    Fault.KILL_REDIS: 3,
    Fault.KILL_WORKER: 4,
    Fault.FREEZE_WORKER: 4,
    Fault.KILL_BOOKKEEPER: 3,
    Fault.RESET: 4,
    Fault.CHANGE_LIMIT: 6,
    Fault.REVOKE_KEY: 1,
    Fault.FLUSH_SCRIPTS: 1,
}


WIDE = (None, 20_000, 100_000, 400_000, 400_000, 2_000_000)
TIGHT = (20_000, 30_000, 40_000, 60_000)
"""Limits in nano-USD to choose from; a call holds up to 22,000."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fault, `at` so many seconds after the start."""

    at: float
    fault: Fault


@dataclass(frozen=True, slots=True)
class Losses:
    """How likely each fate of one exchange with Redis is."""

    request_lost: float = 0.0
    reply_lost: float = 0.0
    comes_late: float = 0.0
    comes_twice: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run; each process draws its own choices from `seed` and its name."""

    seed: int
    seconds: float
    workers: int
    callers: int
    bookkeepers: int
    limits: tuple[int | None, ...]
    losses: Losses
    commit_deaths: float
    events: tuple[Event, ...]


def plan_of(seed: int, seconds: float) -> Plan:
    """The plan of a seed; longer runs have more faults."""
    random = Random(seed)
    faults = random.choices(
        list(WEIGHTS), list(WEIGHTS.values()), k=round(random.uniform(4, 7) * seconds)
    )
    moments = sorted(random.uniform(0.1, 0.95) * seconds for _ in faults)
    return Plan(
        seed=seed,
        seconds=seconds,
        workers=random.randint(2, 3),
        callers=random.randint(3, 8),
        bookkeepers=random.randint(1, 2),
        limits=random.choice((WIDE, TIGHT)),
        losses=_losses(random),
        commit_deaths=random.choice((0.0, 0.02, 0.05)),
        events=tuple(map(Event, moments, faults)),
    )


def _losses(random: Random) -> Losses:
    """One run in four has a line that loses nothing."""
    if random.random() < 0.25:
        return Losses()
    shares = (0.0, 0.01, 0.03)
    return Losses(
        request_lost=random.choice(shares),
        reply_lost=random.choice(shares),
        comes_late=random.choice(shares),
        comes_twice=0.1,
    )

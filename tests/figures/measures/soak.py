"""6. Random faults for a long while: do counters and ledger ever differ?"""

import signal
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from sqlalchemy.exc import SQLAlchemyError

from ai_gateway.errors import GatewayUnavailable
from tests.e2e import processes
from tests.faults.databases import PostgreSQL
from tests.faults.rig import Choice, Rig, started_rig
from tests.figures.figure import Figure, Measured, Trial
from tests.figures.load import under_load
from tests.figures.resting import (
    fresh_clients,
    opened_proof,
    sequence_gaps,
    verdict_at_rest,
    worst_difference,
)

LONGEST_PAUSE_SECONDS = 8.0
LONGEST_FAULT_SECONDS = 3.0


def measure(trial: Trial) -> Measured:
    """So many seconds of calls and faults, compared after each fault while calls go on."""
    random = Random(trial.seed)
    trial.record.scenario = "soak"
    seen: Counter[str] = Counter()
    worst = 0
    with started_rig(Choice("valkey", "postgresql", trial.seed), trial.record) as rig:
        clients = fresh_clients(rig)
        begin = time.monotonic()
        with under_load(clients, f"{trial.seed}"):
            while (passed := time.monotonic() - begin) < trial.amount:
                fault = random.choice(FAULTS)
                fault(rig, random.uniform(0, LONGEST_FAULT_SECONDS))
                seen[fault.__name__.replace("_", " ")] += 1
                difference = _difference(rig)
                worst = max(worst, difference or 0)
                seen["comparisons"] += difference is not None
                trial.record.event("fault", kind=fault.__name__, difference=difference)
                trial.has_done(round(passed))
                time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
        verdict = verdict_at_rest(rig, trial.record, clients)
        with opened_proof(rig) as proof:
            worst = max(worst, worst_difference(proof))
        gaps = sequence_gaps(rig)
    return Measured(
        f"{worst} nano-USD; {gaps} gaps",
        worst == 0 and gaps == 0 and verdict.is_right and seen["comparisons"] > 0,
        {**verdict.counts(), **dict(sorted(seen.items())), "gaps in the sequence": gaps},
        verdict.complaints,
    )


def _difference(rig: Rig) -> int | None:
    """What `flask ledger verify` says now; nothing where a store is not back yet."""
    try:
        with opened_proof(rig) as proof:
            return worst_difference(proof)
    except (GatewayUnavailable, SQLAlchemyError):
        return None


def worker_killed(rig: Rig, _seconds: float) -> None:
    processes.kill(rig.workers[0])


def worker_stands_still(rig: Rig, seconds: float) -> None:
    victim = rig.workers[-1]
    processes.kill(victim, signal.SIGSTOP)
    time.sleep(seconds)
    processes.kill(victim, signal.SIGCONT)


def bookkeeper_killed(rig: Rig, _seconds: float) -> None:
    for victim in rig._bookkeepers():
        processes.kill(victim)


def redis_killed(rig: Rig, seconds: float) -> None:
    rig.redis.kill()
    time.sleep(seconds)
    rig.redis.start()


def redis_hangs(rig: Rig, seconds: float) -> None:
    process = rig.redis._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)


def scripts_flushed(rig: Rig, _seconds: float) -> None:
    with rig.gateway.store() as store:
        store.script_flush()


def sql_away(rig: Rig, seconds: float) -> None:
    assert isinstance(rig.sql, PostgreSQL)
    with rig.sql.away():
        time.sleep(seconds)


def ledger_locked(rig: Rig, seconds: float) -> None:
    with rig.sql.locked():
        time.sleep(seconds)


FAULTS: tuple[Callable[[Rig, float], None], ...] = (
    worker_killed,
    worker_stands_still,
    bookkeeper_killed,
    redis_killed,
    redis_hangs,
    scripts_flushed,
    sql_away,
    ledger_locked,
)
FIGURE = Figure(
    6,
    "Worst difference of counters and ledger over a soak of 24 hours with random faults",
    "0 nano-USD, 0 gaps in the sequence",
    "Calls as in 2, with PostgreSQL; every few seconds a fault that the seed chooses: a worker "
    "killed or stopped, the bookkeeper killed, Redis killed or stopped, its scripts flushed, SQL "
    "away, the ledger locked. After each, counters are compared with ledger and outbox, every "
    "account, while calls go on; in the end all calls are judged as in 2. An emptied Redis "
    "is figure 5.",
    "seconds",
    240,
    86_400,
    measure,
)

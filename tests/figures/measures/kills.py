"""2 and 3. `kill -9` of workers, of Redis and of the bookkeeper, beside calls: what gets lost?"""

import time
from random import Random

from tests.e2e import processes
from tests.faults.rig import Choice, Rig, started_rig
from tests.figures.figure import Figure, Measured, Trial
from tests.figures.judging import Verdict
from tests.figures.load import under_load
from tests.figures.record import Record
from tests.figures.resting import fresh_clients, sequence_gaps, verdict_at_rest
from tests.running import wait_for

CALLS_BETWEEN_KILLS = 20
LONGEST_PAUSE_SECONDS = 1.0
LONGEST_OUTAGE_SECONDS = 0.5
KILLS_OF_ONE_LIFE = 3
"""The supervisor lets a bookkeeper that dies again and again wait longer each time; so it is
started anew as well."""


def kill_workers(trial: Trial) -> Measured:
    """One worker after another, at any moment of what it does."""
    random = Random(trial.seed)
    trial.record.scenario = "workers"
    with started_rig(Choice(seed=trial.seed), trial.record) as rig:
        clients = fresh_clients(rig)
        with under_load(clients, f"{trial.seed}"):
            for number in range(trial.amount):
                _wait_for_calls(trial.record)
                time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
                _kill_busiest_worker(rig)
                trial.record.event("kill", of="worker")
                trial.has_done(number + 1)
        verdict = verdict_at_rest(rig, trial.record, clients)
        return _measured(verdict, {"kills": trial.amount}, sequence_gaps(rig))


def _wait_for_calls(record: Record) -> None:
    """Until some more were answered: whoever is killed has to have something to lose."""
    enough = record.answered + CALLS_BETWEEN_KILLS
    wait_for(lambda: record.answered >= enough, "calls are answered")


def _kill_busiest_worker(rig: Rig) -> None:
    workers = rig.workers
    victim = max(workers, key=processes.connections)
    processes.kill(victim)
    wait_for(
        lambda: victim not in rig.workers and len(rig.workers) == len(workers),
        "there is a new worker",
    )


def kill_stores(trial: Trial) -> Measured:
    """The bookkeeper and Redis in turns; without a pause for the one while the other is away."""
    random = Random(trial.seed)
    trial.record.scenario = "stores"
    done = 0
    with started_rig(Choice(seed=trial.seed), trial.record) as rig:
        clients = fresh_clients(rig)
        while done < trial.amount:
            if done:
                rig.gateway.stop()
                rig.gateway.start()
            with under_load(clients, f"{trial.seed}:{done}"):
                for _ in range(min(KILLS_OF_ONE_LIFE, trial.amount - done)):
                    _wait_for_calls(trial.record)
                    _kill_both(rig, random)
                    trial.record.event("kill", of="bookkeeper and Redis")
                    done += 1
                    trial.has_done(done)
        verdict = verdict_at_rest(rig, trial.record, clients)
        kills = {"kills of Redis": done, "kills of the bookkeeper": done}
        return _measured(verdict, kills, sequence_gaps(rig))


def _kill_both(rig: Rig, random: Random) -> None:
    victim = rig.bookkeeper
    time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
    processes.kill(victim)
    time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
    rig.redis.kill()
    time.sleep(random.uniform(0, LONGEST_OUTAGE_SECONDS))
    rig.redis.start()
    wait_for(lambda: rig._bookkeepers() not in ([], [victim]), "there is a new bookkeeper")


def _measured(verdict: Verdict, kills: dict[str, int], gaps: int) -> Measured:
    return Measured(
        f"{verdict.lost} lost, {verdict.doubled} double-billed",
        verdict.is_right and not gaps,
        {**kills, **verdict.counts(), "gaps in the sequence": gaps},
        verdict.complaints,
    )


OF_WORKERS = Figure(
    2,
    "Calls lost over 100 `kill -9` of workers under load",
    "0 lost, 0 double-billed",
    "16 threads of 8 users call without end, whole and streamed, some leave; the busier of two "
    "workers is killed at a random moment, again once 20 more calls were answered. In the end "
    "leases run out as they do in life. Lost is a call that a client saw answered, or that the "
    "provider served, and that the ledger does not have; double-billed one that counts more than "
    "once, or that nobody asked for.",
    "kills",
    30,
    100,
    kill_workers,
)
OF_STORES = Figure(
    3,
    "Calls lost over 100 `kill -9` of Redis and 100 of the bookkeeper",
    "0 lost, 0 double-billed",
    "The same calls; the bookkeeper is killed and, before it is back, so is Redis, which is away "
    "for up to half a second. Judged as in 2; the sequence of the ledger may have no gap.",
    "kills of each",
    18,
    100,
    kill_stores,
)

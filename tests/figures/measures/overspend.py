"""1. Many calls at once at a limit: by how much is it overspent?"""

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random

from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.stores import redis_keys
from tests.e2e.caller import DIALECTS, usd
from tests.faults.checker import come_to_rest
from tests.faults.client import Client
from tests.faults.rig import Choice, Rig, started_rig
from tests.figures.figure import Figure, Measured, Trial
from tests.figures.judging import Verdict, judge, overspent, total
from tests.figures.load import CAP, follow, whole
from tests.figures.record import Record
from tests.figures.resting import booked_rows
from tests.redis_servers import Kind

AT_ONCE = 500
STORES: tuple[Kind, ...] = ("valkey", "redis")
DEAREST_CALL = CAP * 600
"""What the output of the larger of both models may cost, in nano-USD."""


def measure(trial: Trial) -> Measured:
    """So many runs with each store; each has a fresh user with a fresh limit."""
    random = Random(trial.seed)
    beyond, verdicts, refused = 0, [], 0
    for number, store in enumerate(STORES):
        with (
            started_rig(Choice(store, "sqlite", trial.seed), trial.record) as rig,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):
            for run in range(trial.amount):
                trial.record.scenario = f"{store} {run}"
                over, verdict = _run(rig, trial.record, pool, random)
                beyond += over
                verdicts.append(verdict)
                refused += verdict.calls - verdict.answered
                trial.has_done((number * trial.amount + run + 1) // len(STORES))
                rig.gateway.simulator.clear_calls()
    all_of_them = total(verdicts)
    return Measured(
        f"${usd(beyond)} beyond the limit",
        beyond == 0 and all_of_them.is_right,
        all_of_them.counts() | {"refused": refused, "runs of each store": trial.amount},
        all_of_them.complaints,
    )


def _run(rig: Rig, record: Record, pool: Executor, random: Random) -> tuple[int, Verdict]:
    limit = random.randint(20, 60) * DEAREST_CALL + random.randint(0, DEAREST_CALL)
    client = rig.client(daily=usd(limit))
    kinds = [random.randrange(4) for _ in range(AT_ONCE)]
    words = [f"[[delay=200]] [[tokens={random.randint(1, CAP)}]]" for _ in range(AT_ONCE)]
    with _watching(client) as seen:
        list(pool.map(_call, [client] * AT_ONCE, kinds, words))
    come_to_rest(rig, [client])
    rows = booked_rows(rig.gateway, client.caller.key_id)
    told = list(record.of(record.scenario))
    spent = sum(row["cost_nano_usd"] for row in rows)
    over = overspent(limit, spent, seen)
    most = max(map(sum, seen), default=0)
    record.event("run", limit=limit, spent=spent, most=most)
    return over, judge(told, rows, len(client.caller.simulated()))


def _call(client: Client, kind: int, words: str) -> None:
    dialect = DIALECTS[kind % 2]
    if kind < 2:
        whole(client, dialect, words)
    else:
        follow(client, dialect, words)


@contextmanager
def _watching(client: Client) -> Iterator[list[tuple[int, int]]]:
    """What is spent and held of the day's budget, again and again."""
    seen: list[tuple[int, int]] = []
    has_ended = threading.Event()
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    name = redis_keys.account(Account(Scope.USER, client.caller.user_id, Window.DAY, day))

    def watch() -> None:
        with client.caller.gateway.store() as store:
            while not has_ended.wait(0.01):
                spent, held = (int(value or 0) for value in store.hmget(name, "spent", "held"))
                seen.append((spent, held))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        has_ended.set()
        watcher.join()


FIGURE = Figure(
    1,
    "Overspend beyond the bound, 500 calls at once at the limit",
    "$0.000000000 over 100 runs, with Redis and with Valkey",
    "One user, a fresh limit of 20 to 60 calls, 500 calls at once: whole and streamed, both "
    "dialects, of 1 to 60 tokens. The account is read a hundred times a second meanwhile: spent "
    "and held may at no moment be above the limit, nor may what the ledger has in the end. Each "
    "call is judged as in 2.",
    "runs of each store",
    15,
    100,
    measure,
)

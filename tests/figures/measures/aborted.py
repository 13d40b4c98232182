"""7. Clients leave their streams: is each in the ledger, and how far off is what was counted?"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.e2e.caller import DIALECTS, Dialect, price_of
from tests.faults.client import Client
from tests.faults.rig import Choice, Rig, started_rig
from tests.figures.figure import Figure, Measured, Trial
from tests.figures.judging import Verdict, median_error, total
from tests.figures.load import CAP, follow
from tests.figures.resting import booked_rows, fresh_clients, verdict_at_rest

AT_ONCE = 20
BATCH = 1000
"""The simulator remembers 10,000 calls; it is asked for the truth before it forgets."""


@dataclass(frozen=True, slots=True)
class Abort:
    """One stream to be left after so many events; `name` is in its prompt."""

    name: str
    client: Client
    dialect: Dialect
    words: str
    events: int

    def run(self) -> str | None:
        return follow(self.client, self.dialect, f"{self.words} {self.name}", self.events)


def measure(trial: Trial) -> Measured:
    """So many streams, half of them of a provider that tells no usage."""
    random = Random(trial.seed)
    verdicts: list[Verdict] = []
    errors: dict[str, list[tuple[int, int]]] = {"silent": [], "telling": []}
    with started_rig(Choice(seed=trial.seed), trial.record) as rig:
        for start in range(0, trial.amount, BATCH):
            trial.record.scenario = f"batch {start}"
            clients = fresh_clients(rig)
            count = min(BATCH, trial.amount - start)
            aborts = [_abort(random, clients, f"(call {start + n})") for n in range(count)]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                names = list(pool.map(Abort.run, aborts))
            verdicts.append(verdict_at_rest(rig, trial.record, clients))
            _compare(rig, aborts, names, errors)
            rig.gateway.simulator.clear_calls()
            trial.has_done(start + count)
    return _measured(total(verdicts), errors)


def _abort(random: Random, clients: Sequence[Client], name: str) -> Abort:
    usage = random.choice(("", "[[usage=off]]"))
    words = f"[[tokens={random.randint(10, CAP)}]] [[pace=5]] {usage}"
    client, dialect = random.choice(clients), random.choice(DIALECTS)
    return Abort(name, client, dialect, words, random.randint(1, 40))


def _compare(
    rig: Rig,
    aborts: Sequence[Abort],
    names: Sequence[str | None],
    errors: dict[str, list[tuple[int, int]]],
) -> None:
    """Put the cost of the ledger beside what the provider says that it was."""
    costs: dict[str, int] = {}
    for key_id in {abort.client.caller.key_id for abort in aborts}:
        for row in booked_rows(rig.gateway, key_id):
            costs[row["request_id"]] = costs.get(row["request_id"], 0) + row["cost_nano_usd"]
    billed = {
        _prompt(call["request_body"]).partition("(call ")[2].partition(")")[0]: price_of(call)
        for call in rig.gateway.simulator.calls()
    }
    for abort, name in zip(aborts, names, strict=True):
        true = billed.get(abort.name[6:-1], 0)
        if name in costs and true:
            kind = "silent" if "usage=off" in abort.words else "telling"
            errors[kind].append((costs[name], true))


def _prompt(body: Any) -> str:
    return str(body["messages"][-1]["content"])


def _measured(verdict: Verdict, errors: dict[str, list[tuple[int, int]]]) -> Measured:
    silent, telling = median_error(errors["silent"]), median_error(errors["telling"])
    return Measured(
        f"{verdict.lost} without a row; {silent:.1%}",
        verdict.is_right,
        verdict.counts()
        | {
            "with the usage of the provider": len(errors["telling"]),
            "without it": len(errors["silent"]),
            "median error with usage, %": round(100 * telling, 2),
            "median error without it, %": round(100 * silent, 2),
        },
        verdict.complaints,
    )


FIGURE = Figure(
    7,
    "Streams aborted by clients: calls without a row in the ledger; median error of the cost where "
    "the provider tells no usage",
    "0 of 10,000; the error is shown, no promise",
    "Streams of both dialects, 10 to 60 tokens long; each client leaves after 1 to 40 events. Half "
    "of the answers come without usage; what the gateway counted is compared, call by call, with "
    "what the simulator says that it would have billed. Judged as in 2.",
    "streams",
    1000,
    10_000,
    measure,
)

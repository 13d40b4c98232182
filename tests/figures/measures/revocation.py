"""8. A key is revoked while it is used at two hosts: what is admitted after that was confirmed?"""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.e2e.caller import Caller
from tests.faults.client import Client
from tests.faults.databases import PostgreSQL
from tests.faults.rig import SECRETS, Choice, Gateway, Rig, started_rig
from tests.figures.figure import Figure, Measured, Trial
from tests.figures.judging import admitted_late, total
from tests.figures.load import whole
from tests.figures.resting import verdict_at_rest

BATCH = 5
THREADS_OF_ONE_KEY = 4
MOST_SECONDS = 10.0
SOON_SECONDS = 1.0
LONG = "[[tokens=5000]] [[pace=50]]"


def measure(trial: Trial) -> Measured:
    """So many keys, each with calls and a running stream at both hosts while it is revoked."""
    late, sent, cuts, verdicts = 0, 0, [], []
    choice = Choice("valkey", "postgresql", trial.seed)
    with started_rig(choice, trial.record) as rig, _second_host(rig) as second:
        for start in range(0, trial.amount, BATCH):
            trial.record.scenario = f"batch {start}"
            count = min(BATCH, trial.amount - start)
            keys = [Key(rig.client(daily="1000"), second) for _ in range(count)]
            for key in keys:
                key.open_streams()
            for number, key in enumerate(keys):
                found, tried = key.revoke()
                late, sent = late + found, sent + tried
                trial.has_done(start + number + 1)
            cuts += [seconds for key in keys for seconds in key.cuts()]
            verdicts.append(verdict_at_rest(rig, trial.record, [key.hosts[0] for key in keys]))
    verdict = total(verdicts)
    return Measured(
        f"{late} admitted; streams cut within {max(cuts):.1f} s",
        late == 0 and max(cuts) <= MOST_SECONDS and verdict.is_right and sent > 0,
        verdict.counts()
        | {
            "keys revoked": trial.amount,
            "calls sent after it was confirmed": sent,
            "of them admitted": late,
            "streams cut": len(cuts),
            "slowest cut, s": round(max(cuts), 2),
        },
        verdict.complaints,
    )


@contextmanager
def _second_host(rig: Rig) -> Iterator[Gateway]:
    """Another gateway with two workers on the same stores."""
    folder = Path(tempfile.mkdtemp(prefix="host2"))
    assert isinstance(rig.sql, PostgreSQL)
    variables = {**rig.sql.variables, "REDIS_URL": rig.redis.url, **SECRETS}
    gateway = Gateway(folder, variables, rig.redis.url, rig.sql)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.end()
        shutil.rmtree(folder)


class Key:
    """A key that is used at two hosts at once."""

    def __init__(self, client: Client, second: Gateway) -> None:
        self.hosts = (client, replace(client, caller=Caller(second, client.caller.key)))
        self._confirmed_at = 0.0
        self._readers = ThreadPoolExecutor(len(self.hosts))
        self._ends: list[Future[float]] = []

    def open_streams(self) -> None:
        """One at each host; they run until they are cut."""
        streams = [host.open(LONG, max_tokens=5000) for host in self.hosts]

        def ended(number: int) -> float:
            streams[number].read()
            return time.monotonic()

        self._ends = [self._readers.submit(ended, number) for number in range(len(streams))]

    def revoke(self) -> tuple[int, int]:
        """Revoke it beside calls; how many sent later were admitted, and how many were sent."""
        calls: list[tuple[float, int]] = []
        has_ended = threading.Event()

        def call_on(number: int) -> None:
            while not has_ended.is_set():
                sent_at = time.monotonic()
                status = whole(self.hosts[number % len(self.hosts)], "openai", "[[tokens=1]]")
                calls.append((sent_at, status))

        callers = [threading.Thread(target=call_on, args=(n,)) for n in range(THREADS_OF_ONE_KEY)]
        for caller in callers:
            caller.start()
        gateway = self.hosts[0].caller.gateway
        gateway.flask("key", "revoke", self.hosts[0].caller.key_id)
        self._confirmed_at = time.monotonic()
        time.sleep(SOON_SECONDS)
        has_ended.set()
        for caller in callers:
            caller.join()
        return admitted_late(calls, self._confirmed_at), sum(
            sent_at > self._confirmed_at for sent_at, _ in calls
        )

    def cuts(self) -> list[float]:
        """How long after the confirmation each stream had ended."""
        ended = [end.result() - self._confirmed_at for end in self._ends]
        self._readers.shutdown()
        return ended


FIGURE = Figure(
    8,
    "Key revocation: calls admitted after it was confirmed, 4 workers on 2 hosts",
    "0; a running stream is cut within 10 s",
    "Two gateways of two workers each on one Valkey and one PostgreSQL. Four threads call with one "
    "key, two at each host, while `flask key revoke` is given; a call counts that was sent after "
    "the command had returned, for a second. One stream of the key runs at each host.",
    "keys",
    25,
    100,
    measure,
)

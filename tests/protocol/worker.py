"""A worker without HTTP: our own admission, meter, settlement, open calls and recovery.

Its callers make calls one after another, each in a thread, as a worker's greenlets do.
"""

from dataclasses import dataclass, field
from itertools import count
from random import Random
from threading import Event, Thread
from time import monotonic, perf_counter, sleep

import redis
from sqlalchemy import Engine

from ai_gateway.domain.call import AdmittedCall, AskedCall, FinishedCall, Operation, Outcome
from ai_gateway.domain.exchange import IncomingCall
from ai_gateway.domain.idempotency import FirstCall
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.errors import BudgetExhausted, BudgetUnavailable, InvalidKey
from ai_gateway.services.admission import Admission, AdmissionRules, Admitted
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.key_ring import KeyRing
from ai_gateway.services.open_calls import EndReason, OpenCall, OpenCalls, Pace
from ai_gateway.services.recovery import Recovery
from ai_gateway.services.settlement import NOTHING_BILLED, NOTHING_TOLD, Settlement, Timing
from ai_gateway.stores.lost_records import LostRecords
from ai_gateway.stores.meter import Denied, Granted, Meter, ReserveRequest, Stale
from ai_gateway.stores.sql import WORKER_BUSY_MS
from ai_gateway.stores.virtual_keys import KeyCopies
from ai_gateway.telemetry.observer import Observers
from tests.money import UTC_ZONE
from tests.protocol.history import History
from tests.protocol.site import (
    LEASE_MS,
    MODEL,
    PEPPER,
    UNCAPPED_TOKENS,
    Site,
    clock,
    connected,
    log_to,
    make_engine,
    models,
)

PACE = Pace(tick_seconds=0.05, beat_seconds=LEASE_MS / 4000)
STEP_SECONDS = 0.05
CALL_STEPS = (0, 0, 1, 2, 6, 20)
"""A provider goes on where a frozen worker left it, so that the worker has to hold again."""

CLEAN_UP_SECONDS = 20
SHORT_WAIT_SECONDS = 0.02


class NotingMeter(Meter):
    """Writes down what is asked of Redis before it goes out, and what was answered."""

    def __init__(self, client: redis.Redis, history: History) -> None:
        super().__init__(client, lease_ms=LEASE_MS)
        self._history = history
        self.doubtful: set[str] = set()
        self.unbooked: dict[str, int] = {}

    def reserve(self, asked: ReserveRequest) -> Granted | Denied | Stale | FirstCall:
        name = asked.call.request_id
        self._history.note("asked", name, asked.call.held)
        try:
            answer = super().reserve(asked)
        except BudgetUnavailable:
            self.doubtful.add(name)
            self._history.note("unavailable", name)
            raise
        match answer:
            case Granted(granted):
                self._history.note("granted", name, granted)
            case Denied():
                self._history.note("denied", name)
        return answer

    def settle(self, call: AdmittedCall, finished: FinishedCall) -> bool:
        name = call.request_id
        if name not in self.unbooked:
            self.unbooked[name] = finished.cost
            self._history.note("ended", name, finished.cost)
        is_known = super().settle(call, finished)
        if is_known:
            self._closed(name)
        return is_known

    def withdraw(self, call: AdmittedCall, *, in_ledger: FinishedCall | None = None) -> bool:
        is_closed = super().withdraw(call, in_ledger=in_ledger)
        if is_closed:
            self._closed(call.request_id)
        return is_closed

    def _closed(self, name: str) -> None:
        if name in self.unbooked:
            self._history.note("booked", name, self.unbooked.pop(name))
        if name in self.doubtful:
            self.doubtful.discard(name)
            self._history.note("taken_back", name)


@dataclass(slots=True)
class Answering:
    """A provider that answers with so many bytes a second until it is done or stopped."""

    bytes_per_second: float
    started: float = field(default_factory=monotonic)
    stopped: Event = field(default_factory=Event)

    def text_bytes(self) -> int:
        return int((monotonic() - self.started) * self.bytes_per_second)

    def end(self, _reason: EndReason) -> None:
        self.stopped.set()


class Worker:
    """One worker process."""

    def __init__(self, site: Site, name: str, client: "redis.Redis", engine: Engine) -> None:
        self._site = site
        self._name = name
        self.meter = NotingMeter(client, History(site.history, name))
        directory, counter = models(), TokenCounter()
        self._keys = KeyRing(KeyCopies(client), self.meter, PEPPER, clock)
        self._admission = Admission(
            self._keys,
            directory,
            meter=self.meter,
            counter=counter,
            rules=AdmissionRules(UTC_ZONE, UNCAPPED_TOKENS, is_enforced=True),
        )
        self._settlement = Settlement(
            self.meter, counter=counter, observers=Observers(()), clock=clock
        )
        recovery = Recovery(
            self.meter, LostRecords(client, engine), self._settlement.memory, UTC_ZONE
        )
        self._open_calls = OpenCalls(
            self.meter, self._admission, self._settlement, recovery, pace=PACE
        )

    def run(self) -> None:
        """Make calls until the run ends, then wait until nothing is owed."""
        self._open_calls.start()
        callers = [
            Thread(target=self._call_on_and_on, args=(number,))
            for number in range(self._site.plan.callers)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        give_up_at = monotonic() + CLEAN_UP_SECONDS
        while (self.meter.doubtful or self.meter.unbooked) and monotonic() < give_up_at:
            sleep(SHORT_WAIT_SECONDS)

    def _call_on_and_on(self, caller: int) -> None:
        random = Random(f"{self._site.plan.seed}:{self._name}:{caller}")
        for number in count(1):
            if monotonic() > self._site.ends_at:
                return
            try:
                admitted = self._admit(f"req_{self._name}_{caller}_{number}", random)
            except (BudgetExhausted, BudgetUnavailable, InvalidKey):
                sleep(SHORT_WAIT_SECONDS)
            else:
                self._run_call(admitted, random)

    def _admit(self, request_id: str, random: Random) -> Admitted:
        credential = random.choice(self._site.credentials)
        asked = AskedCall(
            operation=Operation.CHAT,
            body={},
            model=MODEL,
            stream=True,
            output_cap=random.choice((None, random.randint(0, 400), random.randint(0, 2_000))),
            choices=1,
            input_bytes=random.randint(0, 2_000),
            media_parts=0,
            service_tier=None,
            wants_usage=True,
            is_self_contained=True,
        )
        incoming = IncomingCall(
            request_id, clock(), "openai", Operation.CHAT, credential, b"{}", headers={}
        )
        key = self._keys.identify(incoming.credential)
        return self._admission.admit(key, incoming, asked)

    def _run_call(self, admitted: Admitted, random: Random) -> None:
        answering = Answering(bytes_per_second=random.choice((0, 500, 20_000)))
        self._open_calls.enter(OpenCall(admitted, answering.text_bytes, answering.end))
        timing = Timing(perf_counter())
        for _ in range(random.choice(CALL_STEPS)):
            if answering.stopped.wait(STEP_SECONDS) or monotonic() > self._site.ends_at:
                break
        reading = _reading(random, answering.text_bytes())
        outcome = random.choice((Outcome.SUCCESS, Outcome.CANCELLED, Outcome.UPSTREAM_ERROR))
        self._settlement.settle(admitted, reading, outcome=outcome, timing=timing)
        self._open_calls.leave(admitted.call.request_id)


def _reading(random: Random, text_bytes: int) -> Reading:
    """What a provider may tell: all, too much, a part, or nothing; or it never began."""
    usage = Usage(input_tokens=random.randint(0, 800), output_tokens=random.randint(0, 300))
    overrun = Usage(input_tokens=3_000, output_tokens=random.randint(1_000, 3_000))
    kinds = (
        Reading(UsageStatus.EXACT, usage, text_bytes=text_bytes),
        Reading(UsageStatus.EXACT, overrun),
        Reading(UsageStatus.PARTIAL, usage, text_bytes=text_bytes),
        NOTHING_TOLD,
        NOTHING_BILLED,
    )
    (chosen,) = random.choices(kinds, (12, 1, 3, 2, 2))
    return chosen


def run_worker(site: Site, name: str) -> None:
    """A process of its own."""
    log_to(site.log)
    engine = make_engine(site.database_url, busy_ms=WORKER_BUSY_MS)
    with connected(site) as client:
        Worker(site, name, client, engine).run()

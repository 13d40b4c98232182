"""Compares all that is known of a run: what Redis did, what the ledger has, what clients heard.

It only reads, and returns every complaint; a run without one kept all promises.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ai_gateway.stores import redis_keys
from tests.money import facts_of, numbers
from tests.protocol.aof import Step
from tests.protocol.history import Told
from tests.protocol.replay import ACCOUNT, Replay, Row


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """An entry as SQL has it."""

    request_id: str
    entry_no: int
    kind: str
    seq: int
    cost: int
    total: int
    confidence: str
    tally: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a run left behind, after all was drained."""

    steps: tuple[Step, ...]
    hashes: dict[str, Row]
    leases: frozenset[str]
    rows: tuple[LedgerRow, ...]
    set_aside: int
    account_totals: dict[str, int]
    rolled_up: tuple[int, int]
    """Requests and cost of the hours."""
    told: tuple[Told, ...]
    killed: frozenset[str]
    differences: tuple[str, ...]
    """What `flask ledger verify` would say."""
    problems: tuple[str, ...] = ()
    """Processes that ended badly, and errors that were logged."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, and how much was looked at."""

    complaints: tuple[str, ...]
    seen: Counter[str]


def judge(evidence: Evidence) -> Verdict:
    """All complaints about a run."""
    replay = Replay()
    replay.follow(evidence.steps)
    complaints = [
        *replay.complaints,
        *_of_the_end(evidence, replay),
        *_of_the_ledger(evidence, replay),
        *_of_the_sums(evidence, replay),
        *_of_the_clients(evidence, replay),
        *evidence.problems,
    ]
    replay.seen.update(told.word for told in evidence.told if told.word == "unavailable")
    replay.seen["denied"] = sum(told.word == "denied" for told in evidence.told)
    return Verdict(tuple(complaints), replay.seen)


def _of_the_end(evidence: Evidence, replay: Replay) -> Iterator[str]:
    """Nothing is held, and the file on the disk tells the truth about the server."""
    for name, row in replay.accounts().items():
        if int(row.get("held", 0)):
            yield f"I1: {name} holds {row['held']} in the end"
    if evidence.leases or replay.leases:
        yield f"I4: leases are left: {sorted(evidence.leases | replay.leases.keys())}"
    for name in replay.hashes.keys() | evidence.hashes.keys():
        if name != redis_keys.FIGURES and (replay.hashes.get(name) or {}) != (
            evidence.hashes.get(name) or {}
        ):
            yield f"I1: {name} is {evidence.hashes.get(name)}, not {replay.hashes.get(name)}"


def _of_the_ledger(evidence: Evidence, replay: Replay) -> Iterator[str]:
    """What Redis ever emitted is in the ledger once, with no gap and nothing beside it."""
    emitted = {
        (entry["request_id"], int(entry["entry_no"])): entry
        for entries in replay.entries.values()
        for entry in entries
    }
    times = Counter((row.request_id, row.entry_no) for row in evidence.rows)
    for name in emitted.keys() | times.keys():
        if times[name] != (name in emitted):
            yield f"I8: {name} is {times[name]} times in the ledger"
    for row in evidence.rows:
        entry = emitted.get((row.request_id, row.entry_no))
        if entry is not None and _booked_otherwise(row, entry):
            yield f"I8: {row} was emitted as {entry}"
    if sorted(row.seq for row in evidence.rows) != list(range(1, replay.last_seq + 1)):
        yield f"I5: the sequence of the ledger does not go from 1 to {replay.last_seq}"
    if evidence.set_aside:
        yield f"I8: {evidence.set_aside} entries are set aside"
    yield from _of_single_calls(evidence, replay)


def _of_single_calls(evidence: Evidence, replay: Replay) -> Iterator[str]:
    """Each call that was admitted and not taken back counts once."""
    counted: Counter[str] = Counter()
    for row in evidence.rows:
        counted[row.request_id] += row.tally[0]
    for request_id, call in replay.calls().items():
        is_taken_back = call.get("open") == "0" and call.get("n") == "0"
        if counted[request_id] != (0 if is_taken_back else 1):
            yield f"I8: {request_id} is {counted[request_id]} calls in the ledger: {call}"


def _booked_otherwise(row: LedgerRow, entry: Row) -> bool:
    return (row.kind, row.seq, row.cost, row.total, row.tally) != (
        entry["kind"],
        int(entry["seq"]),
        int(entry["cost"]),
        int(entry["total"]),
        numbers(entry["tally"]),
    )


def _of_the_sums(evidence: Evidence, replay: Replay) -> Iterator[str]:
    """Counters, account totals, hours and entries are one sum."""
    booked: Counter[str] = Counter()
    for name, entries in replay.entries.items():
        costs = {row.entry_no: row.cost for row in evidence.rows if row.request_id == name}
        for entry in entries:
            for account in facts_of(entry)["accounts"]:
                booked[account] += costs.get(int(entry["entry_no"]), 0)
    counters = {
        name.removeprefix(ACCOUNT): int(row.get("spent", 0))
        for name, row in evidence.hashes.items()
        if name.startswith(ACCOUNT)
    }
    for name in booked.keys() | counters.keys() | evidence.account_totals.keys():
        sums = (counters.get(name, 0), evidence.account_totals.get(name, 0), booked[name])
        if len(set(sums)) > 1:
            yield f"I10: {name}: counter, total and entries are {sums}"
    calls = [row for row in evidence.rows if row.kind == "call"]
    expected = (sum(row.tally[0] for row in calls), sum(row.cost for row in calls))
    if evidence.rolled_up != expected:
        yield f"I10: the hours have {evidence.rolled_up}, the entries {expected}"
    yield from (f"I10: verify: {difference}" for difference in evidence.differences)


# What clients were told


@dataclass(slots=True)
class Heard:
    """What the worker of one call was told of it."""

    who: str
    words: set[str]
    granted: int = 0
    cost: int | None = None
    is_orphan: bool = False
    """Its worker was killed, and may have died before it could tell."""


def _of_the_clients(evidence: Evidence, replay: Replay) -> Iterator[str]:
    heard = _heard(told for told in evidence.told if told.word != "reset")
    rows: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in evidence.rows:
        if row.kind == "call":
            rows[row.request_id].append(row)
    records = replay.calls()
    for name in records.keys() - heard.keys():
        yield f"P2: {name} was asked for by nobody"
    for name, told in heard.items():
        record = records.get(name, {})
        told.is_orphan = told.who in evidence.killed
        for complaint in _of_one_call(told, record, rows[name]):
            yield f"P2: {name}: {complaint}; heard {told}, Redis has {record}, booked {rows[name]}"
    yield from _of_the_resets(evidence.told, replay)


def _of_one_call(told: Heard, record: Row, rows: list[LedgerRow]) -> Iterator[str]:
    cost = sum(row.cost for row in rows)
    is_estimated = bool(rows) and rows[-1].confidence == "estimated"
    may_be_estimated = told.is_orphan and is_estimated
    if "granted" in told.words and record.get("granted") != str(told.granted):
        yield "another amount was granted than was told"
    if "denied" in told.words and (record or rows):
        yield "it was refused and is there"
    if "booked" in told.words and (cost != told.cost or is_estimated):
        yield "it is not booked as was told"
    if told.cost is not None and rows and cost != told.cost and not may_be_estimated:
        yield "it is booked at another cost"
    if "granted" in told.words and not rows:
        yield "it was granted and is not in the ledger"
    if told.is_orphan:
        return
    if "granted" in told.words and "booked" not in told.words:
        yield "its worker lives and has not booked it"
    if "unavailable" in told.words and (cost or "taken_back" not in told.words):
        yield "it was never sent and was not taken back"


def _heard(lines: Iterable[Told]) -> dict[str, Heard]:
    heard: dict[str, Heard] = {}
    for line in lines:
        call = heard.setdefault(line.name, Heard(line.who, set()))
        call.words.add(line.word)
        if line.word == "granted":
            call.granted = line.amount
        if line.word == "ended":
            call.cost = line.amount
    return heard


def _of_the_resets(told: Iterable[Told], replay: Replay) -> Iterator[str]:
    for line in told:
        if line.word == "reset":
            costs = [int(entry["cost"]) for entry in replay.entries.get(line.name, [])]
            if costs != ([-line.amount] if line.amount else []):
                yield f"I2: the reset {line.name} of {line.amount} is booked as {costs}"

"""The checker complains: one thing is made wrong in what a good run left, and it is found."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ai_gateway.stores import redis_keys
from tests.protocol.aof import Command, Step
from tests.protocol.checker import Evidence, judge
from tests.protocol.history import Told
from tests.protocol.plan import WIDE, Event, Fault, Losses, Plan
from tests.protocol.replay import ACCOUNT, CALL
from tests.protocol.run import evidence_of

QUIET_PLAN = Plan(
    seed=7,
    seconds=1.0,
    workers=2,
    callers=4,
    bookkeepers=1,
    limits=WIDE,
    losses=Losses(),
    commit_deaths=0.0,
    events=tuple(Event(at, Fault.RESET) for at in (0.6, 0.7, 0.8, 0.9)),
)


@pytest.fixture(scope="module")
def good() -> Evidence:
    """What a run without faults left, and nothing is wrong with it."""
    evidence = evidence_of(QUIET_PLAN)
    assert judge(evidence).complaints == ()
    return evidence


def is_of_call(command: Command, *words: str) -> bool:
    return command[1].startswith(CALL) and set(words) <= set(command)


def first(evidence: Evidence, is_wanted: Callable[[Command], bool]) -> int:
    """The number of the first step that has such a command."""
    return next(n for n, step in enumerate(evidence.steps) if any(map(is_wanted, step)))


def reserve_step(evidence: Evidence) -> int:
    return first(evidence, lambda command: is_of_call(command, "granted", "facts"))


def settle_step(evidence: Evidence) -> int:
    return first(
        evidence, lambda c: is_of_call(c, "chg", "tally") and c[c.index("open") + 1] == "0"
    )


def inserted(evidence: Evidence, number: int, *commands: Command) -> Evidence:
    steps = evidence.steps
    return replace(evidence, steps=(*steps[:number], commands, *steps[number:]))


def with_step(evidence: Evidence, number: int, step: Step) -> Evidence:
    steps = evidence.steps
    return replace(evidence, steps=(*steps[:number], step, *steps[number + 1 :]))


def account_changed(evidence: Evidence, field: str) -> Evidence:
    account = next(name for name in evidence.hashes if name.startswith(ACCOUNT))
    return inserted(evidence, len(evidence.steps), ("HINCRBY", account, field, "1"))


def limit_lowered(evidence: Evidence) -> Evidence:
    """A hold that was granted although a limit of nothing had been published by then."""
    number = reserve_step(evidence)
    (call,) = (c for c in evidence.steps[number] if is_of_call(c, "facts"))
    record = json.dumps({"limits": [{"amount": 0, "kind": "amount"}] * 5})
    key = call[call.index("key_record") + 1]
    return inserted(evidence, number, ("HSET", key, "record", record))


def old_limits_are_back(evidence: Evidence) -> Evidence:
    key = next(name for name in evidence.hashes if name.startswith(redis_keys.key_record("")))
    return inserted(evidence, len(evidence.steps), ("HSET", key, "number", "0"))


def lease_lost(evidence: Evidence) -> Evidence:
    number = reserve_step(evidence)
    step = tuple(c for c in evidence.steps[number] if c[1] != redis_keys.LEASES)
    return with_step(evidence, number, step)


def entry_lost(evidence: Evidence) -> Evidence:
    number = settle_step(evidence)
    step = tuple(c for c in evidence.steps[number] if c[0] != "XADD")
    return with_step(evidence, number, step)


def settled_twice(evidence: Evidence) -> Evidence:
    """Only the record: its hold and its cost are what they were."""
    number = settle_step(evidence)
    (record,) = (c for c in evidence.steps[number] if is_of_call(c, "chg"))
    return inserted(evidence, number + 1, ("HSET", record[1], "open", "1"))


def lapsed_early(evidence: Evidence) -> Evidence:
    """A call that was settled, but whose record says that it is still open."""
    number = settle_step(evidence)
    step = tuple(
        tuple("1" if c[n - 1] == "open" else word for n, word in enumerate(c))
        for c in evidence.steps[number]
    )
    return with_step(evidence, number, step)


def told_otherwise(evidence: Evidence, word: str, change: Callable[[Told], Told]) -> Evidence:
    number = next(n for n, told in enumerate(evidence.told) if told.word == word)
    told = evidence.told
    return replace(evidence, told=(*told[:number], change(told[number]), *told[number + 1 :]))


def first_row(evidence: Evidence, **changes: Any) -> Evidence:
    row, *rest = evidence.rows
    return replace(evidence, rows=(replace(row, **changes), *rest))


WRONGS: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
    "an account holds more than its calls": ("I1", lambda e: account_changed(e, "held")),
    "an account spent more than its calls": ("I2", lambda e: account_changed(e, "spent")),
    "a reset took off something else": (
        "I2",
        lambda e: told_otherwise(e, "reset", lambda told: replace(told, amount=told.amount + 1)),
    ),
    "a hold passes a limit": ("I3", limit_lowered),
    "an older copy of a key replaces a newer one": ("I3", old_limits_are_back),
    "a hold has no lease": ("I4", lease_lost),
    "a lease is left": ("I4", lambda e: replace(e, leases=frozenset({"req_none"}))),
    "a hold lapses before its lease ends": ("I4", lapsed_early),
    "a number of the sequence is missing": ("I5", entry_lost),
    "a number of the ledger is missing": ("I5", lambda e: first_row(e, seq=10**6)),
    "an entry was never emitted": ("I6", entry_lost),
    "a closed call is open again": ("I7", settled_twice),
    "an entry is not in the ledger": ("I8", lambda e: replace(e, rows=e.rows[1:])),
    "an entry is twice in the ledger": ("I8", lambda e: replace(e, rows=(*e.rows, e.rows[0]))),
    "an entry has another cost": ("I8", lambda e: first_row(e, cost=10**6)),
    "an entry is set aside": ("I8", lambda e: replace(e, set_aside=1)),
    "an account total is wrong": (
        "I10",
        lambda e: replace(e, account_totals=dict.fromkeys(e.account_totals, 1)),
    ),
    "an hour is wrong": ("I10", lambda e: replace(e, rolled_up=(0, 0))),
    "verify finds a difference": ("I10", lambda e: replace(e, differences=("one",))),
    "the server holds something else than it wrote": (
        "I1",
        lambda e: replace(e, hashes=e.hashes | {f"{ACCOUNT}user:9:2026": {"spent": "1"}}),
    ),
    "a call is booked at another cost than was told": (
        "P2",
        lambda e: told_otherwise(e, "ended", lambda told: replace(told, amount=told.amount + 1)),
    ),
    "a call that was refused is there": (
        "P2",
        lambda e: told_otherwise(e, "granted", lambda told: replace(told, word="denied")),
    ),
    "a call was never confirmed": (
        "P2",
        lambda e: told_otherwise(e, "booked", lambda told: replace(told, word="asked")),
    ),
    "a call was granted at another amount": (
        "P2",
        lambda e: told_otherwise(e, "granted", lambda told: replace(told, amount=10**6)),
    ),
    "a call is of nobody": ("P2", lambda e: replace(e, told=e.told[40:])),
    "a process ended badly": ("w1", lambda e: replace(e, problems=("w1 ended with 1",))),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_checker_finds_what_is_wrong(good: Evidence, wrong: str) -> None:
    invariant, spoil = WRONGS[wrong]
    complaints = judge(spoil(good)).complaints
    assert any(complaint.startswith(invariant) for complaint in complaints), complaints

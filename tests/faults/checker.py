"""Compares what clients were told with the ledger, the counters and what the provider billed.

It only reads, and returns every complaint; a scenario without one lost nothing and doubled nothing.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ai_gateway.stores import redis_keys
from tests.e2e.caller import Caller
from tests.faults.client import Client
from tests.faults.history import Told
from tests.faults.rig import Rig
from tests.running import wait_for

REST_SECONDS = 90.0
BOOKED_AGAIN_SECONDS = 30.0
Row = dict[str, Any]


def come_to_rest(rig: Rig, clients: Sequence[Client]) -> None:
    """Wait until nothing is held, and nothing waits for the ledger."""
    for client in clients:
        wait_for(
            lambda caller=client.caller: caller.account()[1] == 0,  # type: ignore[misc]  # bound now
            "nothing is held any more",
            REST_SECONDS,
        )
    with rig.gateway.store() as store:
        wait_for(lambda: store.xlen(redis_keys.OUTBOX) == 0, "the outbox is booked", REST_SECONDS)


def lasting_complaints(rig: Rig, scenario: str, clients: Sequence[Client]) -> list[str]:
    """Those that do not go away: what Redis forgot is booked again within some seconds."""
    give_up_at = time.monotonic() + BOOKED_AGAIN_SECONDS
    while (found := complaints(rig, scenario, clients)) and time.monotonic() < give_up_at:
        time.sleep(0.2)
    return found


def complaints(rig: Rig, scenario: str, clients: Sequence[Client]) -> list[str]:
    """All that is wrong with the calls of a scenario now."""
    told = list(rig.history.of(scenario))
    return [
        f"{client.caller.key_id}: {complaint}"
        for client in clients
        for complaint in _of_key(
            client.caller, [one for one in told if one.key_id == client.caller.key_id]
        )
    ]


@dataclass(frozen=True, slots=True)
class Call:
    """What the ledger has of one call."""

    request_id: str
    rows: Sequence[Row]

    @property
    def cost(self) -> int:
        return sum(row["cost_nano_usd"] for row in self.rows)


def complaints_of_calls(told: Sequence[Told], calls: Sequence[Call]) -> Iterator[str]:
    """What clients of one key were told beside what the ledger has of it."""
    for call in calls:
        yield from _of_rows(call)
    booked = {call.request_id: call for call in calls}
    for one in told:
        yield from _of_answer(one, booked.get(one.request_id or "", Call("", ())))
    named = [one.request_id for one in told if one.request_id]
    if len(set(named)) != len(named):
        yield "two answers have one request id"
    unknown, nameless = booked.keys() - set(named), len(told) - len(named)
    if len(unknown) > nameless:
        yield f"{len(unknown)} calls are booked of which no client knows, {nameless} may be"


def _of_key(caller: Caller, told: Sequence[Told]) -> Iterator[str]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in caller.gateway.ledger(caller.key):
        rows[row["request_id"]].append(row)
    yield from complaints_of_calls(told, [Call(*call) for call in rows.items()])
    yield from _of_sums(caller, [row for of_call in rows.values() for row in of_call])


def _of_rows(call: Call) -> Iterator[str]:
    numbers = sorted(row["entry_no"] for row in call.rows)
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"I6: {call.request_id} has entries {numbers}"
    requests = sum(row["requests"] for row in call.rows)
    if requests != 1:
        yield f"{call.request_id} counts as {requests} requests"


def _of_answer(told: Told, call: Call) -> Iterator[str]:
    if told.status == 200 and not call.rows:
        yield f"{told.request_id} was answered and is not in the ledger"
    if told.end == "whole" and call.rows and call.cost <= 0:
        yield f"{told.request_id} was answered whole and cost {call.cost}"
    if told.status in {401, 429, 503} and call.cost:
        yield f"{told.request_id} was refused with {told.status} and cost {call.cost}"


def _of_sums(caller: Caller, rows: Sequence[Row]) -> Iterator[str]:
    spent = sum(row["cost_nano_usd"] for row in rows)
    for scope in ("user", "key"):
        for window in ("day", "month"):
            counter = caller.account(scope, window)
            if counter != (spent, 0):
                yield f"I2: {scope} {window} has {counter}, the ledger {spent}"
    billed = caller.billed()
    if rows and {row["confidence"] for row in rows} == {"reported"} and billed != spent:
        yield f"the provider billed {billed}, the ledger has {spent}"

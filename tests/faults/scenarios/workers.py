"""Workers and the bookkeeper are killed, or stand still, at chosen steps of their work."""

import http.client
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from tests.e2e import processes
from tests.faults.client import Client, OpenStream, read_all
from tests.faults.line import Faults
from tests.faults.memory import limited_memory
from tests.faults.rig import script_name
from tests.faults.scenario import Run, Scenario
from tests.running import wait_for

REACHED_SECONDS = 30
STILL_SECONDS = 20
LARGE = 19 * 2**20
MORE_MEMORY = 48 * 2**20
LONG = "[[tokens=500]] [[pace=50]]"


def worker_dies_before_it_sends(run: Run) -> str:
    """The hold stands in Redis and its worker has not heard so yet."""
    rig, client = run.rig, run.client()
    # Both workers know the key, so that the hold is the first that they ask for.
    client.ask_many(8, "[[tokens=1]]")
    calls = len(client.caller.simulated())
    faults = Faults(hold_at=script_name("reserve"), side="reply")
    with ThreadPoolExecutor(1) as pool, rig.redis_by_line(faults):
        asked = pool.submit(client.ask, "[[tokens=9]]", stream=True)
        assert faults.reached.wait(REACHED_SECONDS)
        (lease,) = rig.leases()
        rig.kill_workers()
    assert asked.result() is None
    assert len(client.caller.simulated()) == calls
    rig.let_leases_end(lease)
    (row,) = [row for row in client.caller.entries(calls + 1) if row["request_id"] == lease]
    assert (row["confidence"], row["output_tokens"]) == ("estimated", 0)
    assert 0 < row["cost_nano_usd"] < row["held_nano_usd"]
    return f"connection reset; nothing sent; input only, {row['cost_nano_usd']} nano-USD estimated"


def worker_dies_in_mid_stream(run: Run) -> str:
    rig, client = run.rig, run.client()
    streams = client.open_many(6, "[[tokens=2000]] [[pace=50]]")
    rig.kill_workers()
    assert set(read_all(streams)) == {"broken"}
    rig.let_leases_end(*(stream.request_id for stream in streams))
    rows = client.caller.booked_once(6)
    assert {(row["confidence"], row["outcome"]) for row in rows} == {("estimated", "gateway_error")}
    assert all(0 < row["cost_nano_usd"] <= row["held_nano_usd"] for row in rows)
    return "6 streams broke off; each is one estimated row"


def worker_has_no_memory_left(run: Run) -> str:
    """Large bodies come until the kernel kills one that took too much."""
    rig, client = run.rig, run.client()
    streams = client.open_many(6, "[[tokens=2000]] [[pace=50]]")
    workers = rig.workers
    limited = limited_memory(workers, more_bytes=MORE_MEMORY)
    with limited, ThreadPoolExecutor(len(streams)) as pool:
        reading = [pool.submit(stream.read) for stream in streams]
        with ThreadPoolExecutor(8) as senders:
            while not set(rig.workers) - set(workers):
                list(senders.map(partial(_send_large, client), range(8)))
        for survivor in set(workers) & set(rig.workers):
            processes.kill(survivor)
        ends = [one.result() for one in reading]
    assert set(ends) == {"broken"}, ends
    rig.wait_for_workers(workers)
    rig.let_leases_end(*(stream.request_id for stream in streams))
    rows = client.caller.booked_once(6)
    assert {(row["confidence"], row["outcome"]) for row in rows} == {("estimated", "gateway_error")}
    assert all(0 < row["cost_nano_usd"] <= row["held_nano_usd"] for row in rows)
    return "killed by the kernel; 6 streams broke off, each is one estimated row"


def _send_large(client: Client, _: int) -> None:
    with suppress(OSError, http.client.HTTPException):
        client.caller.post("openai", b'{"model": "' + b"x" * LARGE)


def worker_dies_before_it_settles(run: Run) -> str:
    """The provider has ended the stream; the settlement does not reach Redis."""
    rig, client = run.rig, run.client()
    faults = Faults(hold_at=script_name("settle"))
    with rig.redis_by_line(faults):
        stream = client.open("[[tokens=40]] [[pace=20]]")
        assert faults.reached.wait(REACHED_SECONDS)
        assert client.caller.simulated()[0]["finished"]
        rig.kill_workers()
        end = stream.read()
    assert not rig.is_closed(stream.request_id)
    rig.let_leases_end(stream.request_id)
    (row,) = client.caller.booked_once(1)
    assert (row["confidence"], row["outcome"]) == ("estimated", "gateway_error")
    assert 0 < row["cost_nano_usd"] <= row["held_nano_usd"]
    return f"the client's stream was {end}; one estimated row"


def worker_dies_after_it_settled(run: Run) -> str:
    rig, client = run.rig, run.client()
    with ThreadPoolExecutor(1) as pool:
        stream = client.open("[[tokens=40]] [[pace=20]]")
        reader = pool.submit(stream.read)
        wait_for(lambda: rig.is_closed(stream.request_id), "the call is settled")
        rig.kill_workers()
        reader.result()
    (row,) = client.caller.booked_once(1)
    assert (row["confidence"], row["cost_nano_usd"]) == ("reported", client.caller.billed())
    return "one exact row"


def bookkeeper_dies_before_it_trims(run: Run) -> str:
    """The ledger has the calls and the stream has them still."""
    rig, client = run.rig, run.client()
    faults = Faults(hold_at=b"XTRIM")
    with rig.redis_by_line(faults):
        client.ask_many(20, "[[tokens=5]]")
        assert faults.reached.wait(REACHED_SECONDS)
        assert client.caller.gateway.ledger(client.caller.key)
        rig.wait_for_outbox(1)
        rig.kill_bookkeeper()
    client.ask_many(5, "[[tokens=5]]")
    client.caller.booked_once(25)
    return "25 calls, 25 rows"


def bookkeeper_dies_before_it_commits(run: Run) -> str:
    rig, client = run.rig, run.client()
    with rig.sql.locked():
        client.ask_many(20, "[[tokens=5]]")
        rig.wait_for_outbox(20)
        rig.kill_bookkeeper()
    client.caller.booked_once(20)
    return "20 calls, 20 rows, after a short lag"


def worker_stands_still_for_a_while(run: Run) -> str:
    """Shorter than its leases: nothing is taken for lost."""
    rig, client = run.rig, run.client()
    streams = client.open_many(4, LONG)
    workers = rig.workers
    for worker in workers:
        processes.kill(worker, signal.SIGSTOP)
    time.sleep(STILL_SECONDS)
    for worker in workers:
        processes.kill(worker, signal.SIGCONT)
    ends = read_all(streams)
    assert ends == ["whole"] * 4, ends
    rows = client.caller.booked_once(4)
    assert {row["confidence"] for row in rows} == {"reported"}
    return f"{STILL_SECONDS} s of silence; 4 exact rows, none expired"


def worker_stands_still(run: Run) -> str:
    """Longer than its leases; then one call finds its room free and one finds it taken."""
    rig = run.rig
    lucky, unlucky = run.client(), run.client(daily="0.0005")
    before = rig.metric("reservations_closed_total", result="rehold")
    frozen, ended = _opened(run, unlucky, max_tokens=600)
    worker, going_on = _opened(run, lucky)
    while worker != frozen:
        going_on.leave()
        worker, going_on = _opened(run, lucky)
    processes.kill(frozen, signal.SIGSTOP)
    try:
        rig.let_leases_end(ended.request_id, going_on.request_id)
        for name in (ended.request_id, going_on.request_id):
            wait_for(partial(_is_booked, run, name), "it is booked")
        taker = unlucky.open(LONG, max_tokens=600)
    finally:
        processes.kill(frozen, signal.SIGCONT)
    ends = read_all([ended, going_on, taker])
    assert ends == ["error", "whole", "whole"], ends
    assert b"budget" in ended.raw.received
    first, second = _rows(run, going_on.request_id, 2)
    assert (first["confidence"], second["confidence"]) == ("estimated", "reported")
    assert rig.metric("reservations_closed_total", result="rehold") > before
    return "one went on to its exact cost, in two rows; one ended with a budget error"


def _opened(run: Run, client: Client, **more: object) -> tuple[int, OpenStream]:
    """A stream, and the worker that serves it: the one with more sockets than before."""
    before = {worker: processes.connections(worker) for worker in run.rig.workers}
    stream = client.open(LONG, **more)
    return max(before, key=lambda worker: processes.connections(worker) - before[worker]), stream


def _is_booked(run: Run, request_id: str) -> bool:
    return bool(_entries(run, request_id))


def _rows(run: Run, request_id: str, count: int) -> list[dict[str, Any]]:
    wait_for(lambda: len(_entries(run, request_id)) >= count, f"there are {count} entries")
    return _entries(run, request_id)


def _entries(run: Run, request_id: str) -> list[dict[str, Any]]:
    query = "SELECT * FROM ledger_entry WHERE request_id = ? ORDER BY entry_no"
    return run.rig.gateway.rows(query, request_id)


SCENARIOS = (
    Scenario("F1", worker_dies_before_it_sends),
    Scenario("F2", worker_dies_in_mid_stream),
    Scenario("F3", worker_dies_before_it_settles),
    Scenario("F4", worker_dies_after_it_settled),
    Scenario("F5", bookkeeper_dies_before_it_trims),
    Scenario("F6", bookkeeper_dies_before_it_commits),
    Scenario("F7", worker_stands_still),
    Scenario("F9", worker_has_no_memory_left, limits_memory=True),
    Scenario("F10", worker_stands_still_for_a_while),
)

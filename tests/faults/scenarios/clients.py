"""Clients leave, read nothing, come all at once; staff change their minds while calls run."""

import resource
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait

from tests.e2e.caller import Stream, usd
from tests.faults.client import read_all
from tests.faults.scenario import Run, Scenario
from tests.running import wait_for

ENDED_SECONDS = 15.0
STARVED_SECONDS = 3.0
CALL_COST = 100 * 600
GONE_SECONDS = 75.0  # the abort after 30 s, and the rest of the answer, which is read for its cost
VANISHING = "127.0.0.77"


def client_leaves_a_stream(run: Run) -> str:
    """At a word that the seed chooses; the provider is read to the end for the exact cost."""
    rig, client = run.rig, run.client()

    def come_and_go(words: int) -> None:
        stream = client.open("[[tokens=120]] [[pace=5]]")
        while stream.raw.received.count(b"data:") < words and stream.raw.read_some():
            pass
        stream.leave()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(come_and_go, [rig.random.randint(1, 60) for _ in range(40)]))
    rows = client.caller.booked_once(40)
    assert {row["confidence"] for row in rows} == {"reported"}
    assert {row["outcome"] for row in rows} == {"cancelled"}
    assert rig.metric("stream_aborts_total", side="client") >= 40
    return "40 streams left; 40 exact rows"


def client_leaves_before_the_answer(run: Run) -> str:
    client = run.client()
    connection = client.caller.send("openai", "[[delay=400]] [[tokens=40]]")
    wait_for(lambda: client.caller.account()[1] > 0, "the call is admitted")
    connection.close()
    client.history.note(client.caller.key_id, 0, "left", request_id=None, seconds=0)
    (row,) = client.caller.booked_once(1)
    assert (row["confidence"], row["cost_nano_usd"]) == ("reported", client.caller.billed())
    return "full cost, once"


def client_reads_nothing(run: Run) -> str:
    """Not a byte, of more than its connection holds."""
    rig, client = run.rig, run.client()
    before = rig.metric("stream_aborts_total", side="client")
    started = time.monotonic()
    connection = client.caller.send("openai", "[[tokens=100000]]", stream=True, max_tokens=100_000)
    client.history.note(client.caller.key_id, 0, "left", request_id=None, seconds=0)
    (row,) = client.caller.booked_once(1)
    connection.close()
    assert row["outcome"] == "cancelled"
    assert row["cost_nano_usd"] > 0
    assert rig.metric("stream_aborts_total", side="client") == before + 1
    return f"cut after {time.monotonic() - started:.0f} s; one {row['confidence']} row"


def client_host_vanishes(run: Run) -> str:
    """Nothing reaches it any more, and nothing says so: its address leads into a black hole."""
    rig, client = run.rig, run.client()
    before = rig.metric("stream_aborts_total", side="client")
    long = "[[tokens=400]] [[pace=100]]"  # ends after the abort, and soon after
    connection = client.caller.send_from(VANISHING, "openai", long, stream=True)
    stream = Stream(connection)
    stream.read_until(b"Hello")
    client.history.note(
        client.caller.key_id, 200, "left", request_id=stream.headers["x-request-id"], seconds=0
    )
    hole = ("blackhole", f"{VANISHING}/32", "table", "local")
    subprocess.run(["ip", "route", "add", *hole], check=True)
    try:
        vanished = time.monotonic()
        wait_for(
            lambda: rig.metric("stream_aborts_total", side="client") > before,
            "the abort is told",
            GONE_SECONDS,
        )
        seconds = time.monotonic() - vanished
    finally:
        subprocess.run(["ip", "route", "del", *hole], check=True)
    stream.leave()
    (row,) = client.caller.booked_once(1)
    assert row["outcome"] == "cancelled"
    assert row["cost_nano_usd"] > 0
    return f"abort told within {seconds:.0f} s; one {row['confidence']} row"


def scrapes_storm(run: Run) -> str:
    """50 at once, beside calls."""
    rig, client = run.rig, run.client()
    with ThreadPoolExecutor(50) as pool:
        scrapes = [pool.submit(rig.metric, "workers") for _ in range(200)]
        answers = client.ask_many(20, "[[tokens=5]]")
        assert {scrape.result() for scrape in scrapes} == {2.0}
    assert {answer.status if answer else 0 for answer in answers} == {200}
    client.caller.booked_once(20)
    return "200 scrapes beside 20 calls; all answered"


def workers_have_no_descriptors(run: Run) -> str:
    """Not one more file or socket than they have open."""
    rig, client = run.rig, run.client()
    client.ask_many(4, "[[tokens=1]]")
    limits = {worker: resource.prlimit(worker, resource.RLIMIT_NOFILE) for worker in rig.workers}
    with ThreadPoolExecutor(20) as pool:
        for worker, (_, most) in limits.items():
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (8, most))
        asked = [pool.submit(client.ask, "[[tokens=2]]") for _ in range(20)]
        wait(asked, STARVED_SECONDS)
        for worker, limit in limits.items():
            if worker in rig.workers:
                resource.prlimit(worker, resource.RLIMIT_NOFILE, limit)
        statuses = Counter(one.status if (one := call.result()) else 0 for call in asked)
    assert statuses.keys() <= {0, 200, 502, 503}, statuses
    after = client.ask_many(10, "[[tokens=2]]")
    assert {answer.status if answer else 0 for answer in after} == {200}
    return f"answers {dict(statuses)}, then all served; exact"


def calls_storm_the_limit(run: Run) -> str:
    """500 calls by 100 connections at once, with room for about 40."""
    limit = 40 * CALL_COST
    client = run.client(daily=usd(limit))
    answers = client.ask_many(500, "[[tokens=90]]", max_tokens=100)
    statuses = Counter(answer.status if answer else 0 for answer in answers)
    assert statuses.keys() == {200, 429}, statuses
    rows = client.caller.booked_once(statuses[200])
    spent = sum(row["cost_nano_usd"] for row in rows)
    assert spent <= limit
    refused = [answer for answer in answers if answer and answer.status == 429]
    assert all(b"Limit $" in answer.body for answer in refused)
    return f"{statuses[200]} served, {statuses[429]} refused; spent {spent} of {limit} nano-USD"


def repeats_come_at_once(run: Run) -> str:
    """200 with one idempotency key beside others, and once more after a worker was killed."""
    rig, client = run.rig, run.client()
    first = {"Idempotency-Key": "order-1"}
    answers = client.ask_many(200, "[[tokens=20]] [[pace=5]]", headers=first)
    statuses = Counter(answer.status if answer else 0 for answer in answers)
    assert statuses == {200: 1, 409: 199}, statuses
    refused = [answer for answer in answers if answer and answer.status == 409]
    assert {answer.headers["x-should-retry"] for answer in refused} == {"false"}
    lost = {"Idempotency-Key": "order-2"}
    with ThreadPoolExecutor(1) as pool:
        broken = pool.submit(client.ask, "[[delay=8000]]", headers=lost)
        wait_for(lambda: len(rig.leases()) == 1, "the call is admitted")
        rig.kill_workers()
        assert broken.result() is None
    rig.let_leases_end(*rig.leases())
    client.caller.entries(2)
    repeat = client.ask("[[delay=8000]]", headers=lost)
    assert repeat is not None
    assert (repeat.status, b"worker that had it was lost" in repeat.body) == (409, True)
    return "1 of 200 was sent, 199 got 409; a repeat of a call whose worker died 409 too"


def limit_is_lowered(run: Run) -> str:
    rig, client = run.rig, run.client()
    streams = client.open_many(4, "[[tokens=60]] [[pace=30]]")
    rig.gateway.flask("user", "limit", rig.user_of(client), "--daily", "0")
    answers = client.ask_many(6, "[[tokens=1]]")
    assert {answer.status if answer else 0 for answer in answers} == {429}
    assert read_all(streams) == ["whole"] * 4
    client.caller.booked_once(4)
    return "running calls finished; the very next ones 429"


def key_is_revoked(run: Run) -> str:
    rig, client = run.rig, run.client()
    streams = client.open_many(4, "[[tokens=2000]] [[pace=50]]")
    before = rig.metric("auth_failures_total", reason="revoked")
    rig.gateway.flask("key", "revoke", client.caller.key_id)
    answers = client.ask_many(6, "[[tokens=1]]")
    assert {answer.status if answer else 0 for answer in answers} == {401}
    assert read_all(streams) == ["error"] * 4
    ended = [told.seconds for told in rig.history.of(run.name) if told.status == 200]
    assert max(ended) < ENDED_SECONDS
    rows = client.caller.booked_once(4)
    assert {row["confidence"] for row in rows} == {"counted"}
    assert rig.metric("auth_failures_total", reason="revoked") == before + 6
    return f"the very next calls 401; streams ended within {max(ended):.1f} s, counted"


SCENARIOS = (
    Scenario("F37", client_reads_nothing),
    Scenario("F38", client_host_vanishes, mounts=True),
    Scenario("F54", scrapes_storm),
    Scenario("F55", workers_have_no_descriptors),
    Scenario("F35", client_leaves_a_stream),
    Scenario("F36", client_leaves_before_the_answer),
    Scenario("F50", calls_storm_the_limit),
    Scenario("F51", repeats_come_at_once),
    Scenario("F58", limit_is_lowered),
    Scenario("F59", key_is_revoked),
)

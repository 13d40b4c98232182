"""Redis dies, loses what it knew, fills up, hangs or is far away."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from multiprocessing import get_context
from pathlib import Path

from tests.e2e.caller import Answer
from tests.faults.client import read_all
from tests.faults.line import Faults
from tests.faults.scenario import Run, Scenario
from tests.protocol.lossy_line import run_lossy_line
from tests.protocol.plan import Losses
from tests.running import wait_for

LONG = "[[tokens=60]] [[pace=50]]"


def redis_is_killed(run: Run) -> str:
    rig, client = run.rig, run.client()
    streams = client.open_many(10, LONG)
    rig.redis.kill()
    refused = client.ask_many(10, "[[tokens=1]]")
    assert _statuses(refused) == {503: 10}
    assert all(answer.seconds < 2 for answer in refused if answer)
    # A scrape tells what the last one found, for a second.
    wait_for(lambda: rig.metric("dependency_up", dependency="redis") == 0, "Redis is told as down")
    ends = read_all(streams)
    rig.redis.start()
    assert ends == ["whole"] * 10
    _wait_until_served(run)
    rows = client.caller.entries(10)
    assert {row["confidence"] for row in rows} == {"reported"}
    rig.wait_for_metric("dependency_up", 1, dependency="redis")
    return "10 calls 503 at once; 10 running streams whole and exact afterwards"


def redis_loses_its_last_second(run: Run) -> str:
    """What was settled last is cut off the file, as after a loss of power."""
    rig, client = run.rig, run.client()
    client.ask_many(5, "[[tokens=5]]")
    client.caller.booked_once(5)
    before = rig.metric("ledger_epoch_rollbacks_total")
    (file,) = (rig.redis.data_dir / "valkey" / "appendonlydir").glob("*.incr.aof")
    kept = file.stat().st_size
    client.ask_many(10, "[[tokens=5]]")
    client.caller.booked_once(15)
    rig.redis.kill()
    with file.open("r+b") as opened:
        opened.truncate(kept)
    rig.redis.start()
    _wait_until_served(run)
    rig.wait_for_metric("ledger_epoch_rollbacks_total", before + 1)
    client.caller.booked_once(15)
    return "went back, was noticed; 15 calls, 15 exact rows"


def redis_is_emptied(run: Run) -> str:
    rig, client = run.rig, run.client()
    running = client.open_many(4, "[[tokens=100]] [[pace=50]]")
    before = rig.gateway.logged().count("counters_restored")
    with client.asking() as answers:
        wait_for(lambda: len(answers) > 10, "calls are answered")
        with rig.gateway.store() as store:
            store.flushall()
        seen, emptied_at = len(answers), time.monotonic()
        wait_for(lambda: 200 in _statuses(answers[seen + 2 :]), "calls are served again")
        seconds = time.monotonic() - emptied_at
    statuses = _statuses(answers)
    assert statuses.keys() <= {200, 503}, statuses
    assert read_all(running) == ["whole"] * 4
    assert rig.gateway.logged().count("counters_restored") > before
    return f"answers {dict(statuses)}, no 401; served again after {seconds:.1f} s"


def redis_hangs(run: Run) -> str:
    rig, client = run.rig, run.client()
    client.ask_many(8, "[[tokens=1]]")
    streams = client.open_many(4, LONG)
    process = rig.redis._process
    assert process is not None
    before = rig.metric("redis_errors_total", kind="timeout")
    process.send_signal(signal.SIGSTOP)
    try:
        refused = client.ask_many(8, "[[tokens=1]]")
        ends = read_all(streams)
    finally:
        process.send_signal(signal.SIGCONT)
    assert _statuses(refused) == {503: 8}
    assert all(answer.seconds < 2.5 for answer in refused if answer)
    assert ends == ["whole"] * 4
    assert rig.metric("redis_errors_total", kind="timeout") > before
    slowest = max(answer.seconds for answer in refused if answer)
    return f"8 calls 503 within {slowest:.1f} s; 4 running streams whole and exact"


def replies_are_lost(run: Run) -> str:
    """Scripts run, come late or come twice, and the worker does not hear of it."""
    rig, client = run.rig, run.client()
    path = rig.folder / "lossy"
    losses = Losses(reply_lost=0.15, comes_late=0.05, comes_twice=0.2)
    arguments = (path, rig.redis_socket, losses, rig.choice.seed)
    line = get_context("spawn").Process(target=run_lossy_line, args=arguments)
    line.start()
    try:
        wait_for(path.exists, "the line listens")
        rig.lead_redis_to(path)
        answers = client.ask_many(100, "[[tokens=5]]")
    finally:
        rig.lead_redis_to(rig.redis_socket)
        line.terminate()
        line.join()
    statuses = _statuses(answers)
    assert statuses.keys() <= {200, 503}
    assert statuses[200] > 10
    return f"answers {dict(statuses)}; each answered call once in the ledger, at its cost"


def redis_has_no_memory_left(run: Run) -> str:
    rig, client = run.rig, run.client()
    streams = client.open_many(5, LONG)
    before = rig.metric("redis_errors_total", kind="oom")
    with rig.gateway.store() as store:
        most = store.config_get("maxmemory")["maxmemory"]
        store.config_set("maxmemory", 1)
        try:
            refused = client.ask_many(10, "[[tokens=1]]")
            assert read_all(streams) == ["whole"] * 5
            settled = [rig.is_closed(stream.request_id) for stream in streams]
        finally:
            store.config_set("maxmemory", most)
    assert _statuses(refused) == {503: 10}
    assert all(settled), "a settlement did not land while memory was full"
    assert rig.metric("redis_errors_total", kind="oom") > before
    return "10 calls 503; 5 running streams settled while memory was full"


def disk_of_redis_is_full(run: Run) -> str:
    """A file system of two megabytes below its folder."""
    rig, client = run.rig, run.client()
    before = rig.metric("redis_errors_total", kind="misconf")
    with _small_disk(run) as disk:
        streams = client.open_many(5, LONG)
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            _fill(ballast)
        answers = []
        for _ in range(200):
            answers.append(client.ask("[[tokens=1]]"))
            if answers[-1] is not None and answers[-1].status == 503:
                break
        assert 503 in _statuses(answers)
        ends = read_all(streams)
        (disk / "ballast").unlink()
        _wait_until_served(run)
        client.caller.entries(5 + _statuses(answers)[200])
    assert ends == ["whole"] * 5
    assert rig.metric("redis_errors_total", kind="misconf") > before
    return "503 while the disk was full; running streams whole; all exact once there was room"


def scripts_are_flushed(run: Run) -> str:
    rig, client = run.rig, run.client()
    streams = client.open_many(5, LONG)
    with rig.gateway.store() as store:
        store.script_flush()
    answers = client.ask_many(20, "[[tokens=5]]")
    assert _statuses(answers) == {200: 20}
    assert read_all(streams) == ["whole"] * 5
    client.caller.booked_once(25)
    return "20 calls and 5 running streams as if nothing had been"


def redis_is_far_away(run: Run) -> str:
    rig, client = run.rig, run.client()
    with rig.redis_by_line(Faults(delay_seconds=0.05, slice_bytes=7)):
        client.ask("[[tokens=1]]")
        near = [client.ask("[[tokens=5]]") for _ in range(5)]
        answers = client.ask_many(20, "[[tokens=5]]")
    assert _statuses(answers) == {200: 20}
    fastest = min(answer.seconds for answer in near if answer)
    assert fastest >= 0.1
    client.caller.booked_once(26)
    return f"fastest call {fastest * 1000:.0f} ms; all exact"


def redis_takes_no_more_connections(run: Run) -> str:
    """No worker knows the key yet: what is refused is to look it up."""
    rig, client = run.rig, run.client()
    before = rig.metric("redis_errors_total")
    with rig.gateway.store() as store:
        most = store.config_get("maxclients")["maxclients"]
        store.config_set("maxclients", 1)
        store.client_kill_filter(_type="normal", skipme=True)
        try:
            refused = client.ask_many(8, "[[tokens=1]]")
        finally:
            store.config_set("maxclients", most)
    assert _statuses(refused) == {503: 8}
    assert rig.metric("redis_errors_total") >= before + 8
    _wait_until_served(run)
    slowest = max(answer.seconds for answer in refused if answer)
    return f"8 calls 503 within {slowest:.1f} s"


def redis_may_forget(run: Run) -> str:
    """Its policy would throw counters away when it is full."""
    rig, client = run.rig, run.client()
    with rig.gateway.store() as store:
        store.config_set("maxmemory-policy", "allkeys-lru")
        try:
            wait_for(lambda: 503 in _statuses([client.ask("[[tokens=1]]")]), "calls are refused")
        finally:
            store.config_set("maxmemory-policy", "noeviction")
    assert rig.metric("reserve_total", result="cold") > 0
    _wait_until_served(run)
    return "503 until the policy is safe again, counters restored"


def _statuses(answers: "list[Answer | None]") -> Counter[int]:
    return Counter(answer.status if answer else 0 for answer in answers)


def _wait_until_served(run: Run) -> None:
    probe = run.client()

    def is_served() -> bool:
        answer = probe.ask("[[tokens=1]]")
        return answer is not None and answer.status == 200

    wait_for(is_served, "calls are served again")


def _fill(ballast: RawIOBase) -> None:
    with suppress(OSError):
        while ballast.write(b"0" * 4096):
            pass


@contextmanager
def _small_disk(run: Run) -> Iterator[Path]:
    """Redis moves onto a small file system, and back."""
    rig = run.rig
    folder = rig.redis.data_dir / "valkey"
    aside = folder.with_name("aside")
    rig.redis.stop()
    folder.rename(aside)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "faults", folder], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", folder], check=True)
        rig.redis.start()
        _wait_until_served(run)
        yield folder
    finally:
        rig.redis.stop()
        subprocess.run(["rm", "-rf", aside], check=True)
        subprocess.run(["cp", "-a", folder, aside], check=True)
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()
        aside.rename(folder)
        rig.redis.start()
        _wait_until_served(run)


SCENARIOS = (
    Scenario("F11", redis_is_killed),
    Scenario("F12", redis_loses_its_last_second),
    Scenario("F13", redis_is_emptied),
    Scenario("F14", redis_hangs),
    Scenario("F15", replies_are_lost),
    Scenario("F16", redis_has_no_memory_left),
    Scenario("F17", disk_of_redis_is_full, mounts=True),
    Scenario("F21", scripts_are_flushed),
    Scenario("F22", redis_is_far_away),
    Scenario("F23", redis_takes_no_more_connections),
    Scenario("F24", redis_may_forget),
)

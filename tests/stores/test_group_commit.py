"""Many callers, one connection: each gets its own reply, its own error, and its own time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.commands.core import Script

from ai_gateway.stores.group_commit import MOST_BYTES, GroupCommit
from ai_gateway.stores.redis_client import connect
from tests.redis_servers import RedisServer, running_redis
from tests.running import wait_for

SECONDS = 20.0
"""So long that only what is meant to time out does, however busy the machine is."""

CALLERS = 16

ONCE = "#!lua\nreturn {ARGV[1], redis.call('INCR', KEYS[1])}"
"""Says its argument, and how often it has run for its key."""

FUSSY = (
    "#!lua\nif ARGV[1] == '7' then return redis.error_reply('BUSY as can be') end return ARGV[1]"
)


class Line:
    """Callers that share a group commit, and a way to make them gather."""

    def __init__(self, client: redis.Redis, url: str) -> None:
        self.client = client
        self.url = url
        self.scripts = GroupCommit(client)
        self.once = client.register_script(ONCE)
        self.process: int = client.info("server")["process_id"]
        self.callers = ThreadPoolExecutor(CALLERS + 1)

    def run(self, number: int, script: Script | None = None) -> object:
        return self.scripts.run(script or self.once, [f"{{agw}}:{number}"], [str(number)])

    def reads(self) -> int:
        return int(self.client.info("stats")["total_reads_processed"])

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Redis takes what is sent and does nothing."""
        os.kill(self.process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process, signal.SIGCONT)

    def gathered(
        self, ask: Callable[[int], object], callers: int = CALLERS
    ) -> list[Future[object]]:
        """One has sent its script, and the others wait behind it; for a Redis that stands still."""
        first = self.callers.submit(ask, 0)
        wait_for(self.has_sent, "a caller that leads")
        rest = [self.callers.submit(ask, number) for number in range(1, callers)]
        wait_for(lambda: len(self.scripts) == callers - 1, "callers that wait")
        return [first, *rest]

    def has_sent(self) -> bool:
        return self.scripts.is_busy and not len(self.scripts)


@contextmanager
def opened_line(server: RedisServer, seconds: float = SECONDS) -> Iterator[Line]:
    with connect(server.url, timeout_seconds=seconds) as client:
        client.flushall()
        line = Line(client, server.url)
        with line.callers:
            yield line


@pytest.fixture
def line(valkey_server: RedisServer) -> Iterator[Line]:
    with opened_line(valkey_server) as opened:
        opened.run(9999)  # it is connected, and the script is known
        yield opened


def test_each_caller_gets_the_reply_to_its_own_script(line: Line) -> None:
    replies = list(line.callers.map(line.run, range(400)))
    assert replies == [[str(number), 1] for number in range(400)]


def test_what_gathers_while_redis_is_busy_is_sent_at_once(line: Line) -> None:
    before = line.reads()
    with line.standing_still():
        asked = line.gathered(line.run)
    assert [one.result() for one in asked] == [[str(number), 1] for number in range(CALLERS)]
    # The first script, all the others together, and the question itself.
    assert line.reads() - before == 3


def test_scripts_run_in_the_order_in_which_they_came(line: Line) -> None:
    script = line.client.register_script("#!lua\nreturn redis.call('INCR', 'order')")
    line.run(0, script)
    with line.standing_still():
        asked = [line.gathered(lambda _: line.run(0, script), 1)[0]]
        for waiting in range(1, 6):
            asked.append(line.callers.submit(line.run, 0, script))
            wait_for(lambda: len(line.scripts) == waiting, "a caller that waits")  # noqa: B023
    assert [one.result() for one in asked] == [2, 3, 4, 5, 6, 7]


def test_an_error_goes_to_its_own_caller_alone(line: Line) -> None:
    fussy = line.client.register_script(FUSSY)
    with line.standing_still():
        asked = line.gathered(lambda number: line.run(number, fussy))
    failed = {number: one.exception() for number, one in enumerate(asked) if one.exception()}
    assert list(failed) == [7]
    assert "BUSY" in str(failed[7])


def test_a_full_redis_refuses_only_what_needs_memory(line: Line) -> None:
    needs, needs_not = (
        line.client.register_script(f"#!lua{flags}\nredis.call('SET', KEYS[1], 1) return 'OK'")
        for flags in ("", " flags=allow-oom")
    )
    line.client.config_set("maxmemory", "1")
    try:
        with line.standing_still():
            asked = line.gathered(
                lambda number: line.run(number, needs if number % 2 else needs_not), 6
            )
        errors = [type(one.exception()) for one in asked]
    finally:
        line.client.config_set("maxmemory", "0")
    assert errors == [type(None), redis.exceptions.OutOfMemoryError] * 3


def test_scripts_that_redis_has_forgotten_are_taught_again(line: Line) -> None:
    line.client.script_flush()
    with line.standing_still():
        asked = line.gathered(line.run)
    assert [one.result() for one in asked] == [[str(number), 1] for number in range(CALLERS)]


def test_nobody_waits_longer_than_the_time_limit(valkey_server: RedisServer) -> None:
    with opened_line(valkey_server, seconds=0.4) as line:
        wait_for(lambda: _answers(line), "an answer in time")
        with line.standing_still():
            began = time.monotonic()
            asked = line.gathered(line.run, 6)
            errors = [one.exception(SECONDS) for one in asked]
            took = time.monotonic() - began
        assert [type(error) for error in errors] == [redis.exceptions.TimeoutError] * 6
        assert 0.4 <= took < SECONDS / 2
        # Late replies to those who gave up are nobody else's.
        wait_for(lambda: _answers(line), "an answer after the pause")
        assert line.run(50) == ["50", 1]


def test_one_that_gave_up_unsent_is_never_sent(valkey_server: RedisServer) -> None:
    with opened_line(valkey_server, seconds=0.4) as line:
        wait_for(lambda: _answers(line), "an answer in time")
        with line.standing_still():
            first = line.callers.submit(line.run, 0)
            wait_for(line.has_sent, "a caller that leads")
            late = line.callers.submit(line.run, 1)
            assert isinstance(late.exception(SECONDS), redis.exceptions.TimeoutError)
            assert isinstance(first.exception(SECONDS), redis.exceptions.TimeoutError)
        wait_for(lambda: _answers(line), "an answer after the pause")
        assert line.client.get("{agw}:1") is None


def test_a_lost_connection_fails_what_was_sent_and_nothing_else(line: Line) -> None:
    with redis.Redis.from_url(line.url) as other:
        other.ping()
        killer = other.connection_pool.get_connection()
        with line.standing_still():
            killer.send_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            asked = line.gathered(line.run)
        assert int(killer.read_response()) > 0
        other.connection_pool.release(killer)
    assert isinstance(asked[0].exception(), redis.exceptions.ConnectionError)
    assert [one.result() for one in asked[1:]] == [[str(n), 1] for n in range(1, CALLERS)]
    assert line.run(0) == ["0", 1]


def test_a_server_that_is_killed_under_load_runs_nothing_twice() -> None:
    with running_redis() as server, opened_line(server) as line:
        asked = [line.callers.submit(line.run, number) for number in range(4000)]
        wait_for(asked[500].done, "some answers")
        server.kill()
        server.start()
        errors = [one.exception() for one in asked]
        ran = [int(times or 0) for times in line.client.mget([f"{{agw}}:{n}" for n in range(4000)])]
    assert any(errors)
    assert all(isinstance(error, redis.exceptions.ConnectionError) for error in errors if error)
    assert set(ran) <= {0, 1}
    assert all(times == 1 for error, times in zip(errors, ran, strict=True) if error is None)


def test_a_connection_that_the_server_closed_in_a_pause_is_opened_anew(line: Line) -> None:
    line.client.client_kill_filter(_type="normal", skipme=True)
    time.sleep(0.02)
    assert line.run(3) == ["3", 1]


def test_more_than_goes_at_once_goes_in_turn(line: Line) -> None:
    long = line.client.register_script("#!lua\nreturn #ARGV[1]")
    size = MOST_BYTES // 3
    line.scripts.run(long, [], ["x"])
    with line.standing_still():
        asked = line.gathered(lambda number: line.scripts.run(long, [], ["x" * (size + number)]), 9)
    assert [one.result() for one in asked] == [size + number for number in range(9)]


def test_greenlets_that_are_killed_hold_up_nobody(valkey_server: RedisServer) -> None:
    script = Path(__file__).with_name("greenlets.py")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, str(script), valkey_server.url],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == ["good:", "150", "killed:", "50"], done.stderr


def _answers(line: Line) -> bool:
    try:
        return bool(line.run(9998))
    except redis.exceptions.RedisError:
        return False

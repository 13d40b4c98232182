"""A call costs no more than it did: system calls, Redis, and steps of the interpreter.

Counts and no times, so that neither the machine nor what else runs on it matters.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.guard import limits
from tests.guard.counter import BEGIN, REPORT, counted
from tests.guard.counting import BY_PYTHON, BY_STRACE, KINDS, REDIS_COMMANDS, Count, count
from tests.guard.limits import Limit, Limits, complaint, read_limits, read_parts, renewed
from tests.guard.rig import Rig, opened_rig
from tests.guard.system_calls import calls_of
from tests.tools import has_programs

WHAT = [
    *(pytest.param(what, marks=pytest.mark.strace) for what in BY_STRACE),
    *(*BY_PYTHON, REDIS_COMMANDS),
]
LIMIT = Limit(1_000, "the parser")
SEEN = r"""
7 epoll_wait(5, [{events=EPOLLIN, data={u32=2}}], 64, 69) = 1
7 recvfrom(22, "GET /health/live HTTP/1"..., 8192, 0, NULL, NULL) = 97
7 recvfrom(22, "POST /v1/chat/completion"..., 8192, 0, NULL, NULL) = 2097
7 sendto(21, "*33\r\n$7\r\nEVALSHA\r\n$40\r\n0"..., 1181, 0, NULL, 0) = 1181
7 recvfrom(21, 0x55bbec3867e0, 32768, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
7 epoll_wait(5,  <unfinished ...>
8 write(9, "*1\r\n", 4 <unfinished ...>
7 <... epoll_wait resumed>[{events=EPOLLIN, data={u32=21}}], 64, 67) = 1
7 recvfrom(21, "*4\r\n$2\r\nOK\r\n", 32768, 0, NULL, NULL) = 38
7 sendto(22, "HTTP/1.1 200 OK\r\n", 309, 0, NULL, 0) = 309
7 recvfrom(22, "POST /v1/messages HTTP/1"..., 8192, 0, NULL, NULL) = 2097
7 sendto(21, "*9\r\n$7\r\nEVALSHA\r\n$40\r\n0"..., 181, 0, NULL, 0) = 181
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with opened_rig() as opened:
        yield opened


@pytest.fixture(scope="module")
def costs(rig: Rig) -> Any:
    """What a call of a kind costs, counted when it is first asked for."""
    return cache(lambda kind: count(rig, kind, with_strace=has_programs("strace")))


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("kind", KINDS)
def test_call_costs_no_more_than_its_limit(costs: Any, kind: str, what: str) -> None:
    allowed = read_limits()
    if what in BY_PYTHON and not allowed.are_of_this_python:
        pytest.skip(f"the steps were counted on Python {allowed.python}")
    said = complaint(allowed.of[kind][what], costs(kind)[what], read_parts()[kind][what])
    assert said is None, f"{kind} call, {what}: {said}"


def test_every_count_has_a_limit_with_a_reason_and_its_parts(costs: Any) -> None:
    allowed, parts = read_limits(), read_parts()
    wanted = {*BY_STRACE, *BY_PYTHON, REDIS_COMMANDS}
    for kind in KINDS:
        assert allowed.of[kind].keys() == parts[kind].keys() == wanted
        assert all(limit.number > 0 and limit.reason for limit in allowed.of[kind].values())
        # That of a gateway asleep would be below any limit.
        assert costs(kind)[REDIS_COMMANDS].total > 10


@pytest.mark.parametrize(("total", "is_allowed"), [(1_050, True), (1_051, False), (10, True)])
def test_five_per_cent_more_is_too_much(total: int, is_allowed: bool) -> None:  # noqa: FBT001
    assert (complaint(LIMIT, Count(total, {}), {}) is None) == is_allowed


def test_complaint_tells_what_grew_and_how_to_allow_it() -> None:
    parts = {"sse.py:feed": 900, "proxy.py:run": 200, "new.py:more": 100, "less.py:now": 1}
    before = {"sse.py:feed": 500, "proxy.py:run": 200, "less.py:now": 50}
    assert complaint(LIMIT, Count(1_201, parts), before) == (
        "1,201 were counted, 20.1% more than 1,000 (the parser).\n"
        "  +400 sse.py:feed (500 -> 900)\n"
        "  +100 new.py:more (0 -> 100)\n"
        "If it is worth that: python -m tests.guard --write 'why it costs more'"
    )


def test_only_numbers_that_changed_get_the_new_reason(tmp_path: Path) -> None:
    old = Limits("3.11", {"plain": {"bytecodes": LIMIT, "c_calls": LIMIT}})
    parts = {"a.py:much": 1_500, "b.py:hardly": 1}
    counts = {"plain": {"bytecodes": Count(1_010, {}), "c_calls": Count(1_501, parts)}}
    limits.write(renewed(old, counts, 'a "quoted" reason'), counts, tmp_path)
    written = read_limits(tmp_path / limits.LIMITS.name)
    assert written.of == {
        "plain": {"bytecodes": LIMIT, "c_calls": Limit(1_501, 'a "quoted" reason')}
    }
    assert written.are_of_this_python
    assert read_parts(tmp_path / limits.PARTS.name)["plain"]["c_calls"] == {"a.py:much": 1_500}


def test_waiting_is_no_system_call_of_a_call_and_an_unfinished_call_does_not_count() -> None:
    (seen,) = calls_of(SEEN.splitlines())
    assert seen.names == {"recvfrom": 2, "sendto": 2, "write": 1}
    assert seen.to_redis == 1


def test_steps_are_counted_where_they_are_taken() -> None:
    """Two calls of a function, of which the second does three times as much."""

    def work(environ: dict[str, Any], _start_response: object) -> list[bytes]:
        for _ in range(environ["times"]):
            len("text")
        return []

    application, nothing = counted(work), lambda *_: None
    list(application({"PATH_INFO": BEGIN}, nothing))
    for times in (10, 30):
        application({"PATH_INFO": "/", "times": times}, nothing)
    (body,) = application({"PATH_INFO": REPORT}, nothing)
    first, second = json.loads(body)
    (name,) = (name for name in first["bytecodes"] if name.endswith("work"))
    assert second["c_calls"][name] - first["c_calls"][name] == 20
    assert second["bytecodes"][name] > 2 * first["bytecodes"][name]

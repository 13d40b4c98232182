"""9. Calls are given up at any point of their way: does anybody ever get what is another's?"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import Any

from tests.e2e.caller import request
from tests.faults.client import Client
from tests.faults.databases import PostgreSQL
from tests.faults.line import Faults
from tests.faults.rig import Choice, Rig, started_rig
from tests.figures.figure import Figure, Measured, Trial
from tests.figures.judging import foreign_bytes
from tests.figures.load import BROKEN
from tests.figures.resting import fresh_clients, verdict_at_rest
from tests.figures.suites import run_tests

AT_ONCE = 16
BATCH = 100
LETTERS = "αβγδεζηθ"
"""One for each user; no other part of an answer has any of them."""
SLOW_SECONDS = 1.2
"""Longer than a worker waits for Redis: the reply comes when nobody waits for it any more."""
OWN_PAGE = "/api/v1/ai/analytics/user/"
CANARIES = "security/test_canaries.py"
CANARY_TESTS = tuple(
    f"{CANARIES}::test_{name}"
    for name in (
        "the_call_was_made_with_the_key_of_the_provider",
        "no_secret_is_anywhere",
        "what_was_looked_through_is_what_there_is",
        "a_stolen_copy_of_both_stores_holds_no_key_that_works",
    )
)


class User:
    """Somebody whose answers can be told from everybody else's."""

    def __init__(self, rig: Rig, client: Client, letter: str) -> None:
        self.client = client
        self._letter = letter
        self.marks = (
            letter.encode(),
            f"\\u{ord(letter):04x}".encode(),
            client.caller.key_id.encode(),
            f'"{rig.user_of(client)}"'.encode(),
        )

    def body(self) -> dict[str, Any]:
        """Has the simulator call a tool with the user's letter as its argument."""
        word = {"type": "string", "const": self._letter * 200}
        schema = {"type": "object", "properties": {"word": word}, "required": ["word"]}
        tool = {"type": "function", "function": {"name": "say", "parameters": schema}}
        return {"tools": [tool], "max_tokens": 100}


class Crowd:
    """Users who call, and give up, all at once; it counts what they got."""

    def __init__(self, users: Sequence[User], seed: int) -> None:
        self.users = users
        self.random = Random(seed)
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def act(self, number: int) -> None:
        """A call that is given up, or one that is read, or a look at one's own page."""
        user = self.users[number % len(self.users)]
        with self._lock:
            choice, pause = self.random.random(), self.random.uniform(0, 0.1)
        if choice < 0.6:
            self._give_up(user, pause)
        elif choice < 0.85:
            self._read(user)
        else:
            self._look(user)

    def note(self, what: str, count: int = 1) -> None:
        with self._lock:
            self.seen[what] += count

    def _give_up(self, user: User, pause: float) -> None:
        started = time.monotonic()
        prompt = "[[tool]] [[pace=2]]"
        try:
            connection = user.client.caller.send("openai", prompt, stream=True, **user.body())
        except BROKEN:
            return
        time.sleep(pause)
        connection.close()
        user.client._note(0, "left", None, started)
        self.note("given up by clients")

    def _read(self, user: User) -> None:
        started = time.monotonic()
        try:
            answer = user.client.caller.ask("openai", "[[tool]]", stream=True, **user.body())
        except BROKEN:
            user.client._note(0, "nothing", None, started)
            return
        name = answer.headers.get("x-request-id")
        end = "whole" if answer.status == 200 else "error"
        user.client._note(answer.status, end, name, started)  # type: ignore[arg-type]  # one of two
        self._look_through(user, answer.body + str(answer.headers).encode())
        if answer.status == 200:
            self.note("answers with their own letter", user.marks[0] in answer.body)
        self.note("given up by the gateway", answer.status == 503)

    def _look(self, user: User) -> None:
        headers = user.client.caller.credential("openai")
        try:
            answer = request(user.client.caller.gateway, "GET", OWN_PAGE, headers=headers)
        except BROKEN:
            return
        self._look_through(user, answer.body)
        self.note("own pages", answer.status == 200)
        self.note("given up by the gateway", answer.status >= 500)

    def _look_through(self, user: User, text: bytes) -> None:
        foreign = [mark for other in self.users if other is not user for mark in other.marks]
        found = foreign_bytes(text, foreign)
        self.note("bytes looked through", len(text))
        self.note("bytes of others", found)

    @property
    def cancelled(self) -> int:
        kinds = ("given up by clients", "given up by the gateway", "SQL statements cancelled")
        return sum(self.seen[kind] for kind in kinds)


def measure(trial: Trial) -> Measured:
    """Until so many calls were given up, by clients, for Redis, or in SQL."""
    trial.record.scenario = "given up"
    choice = Choice("valkey", "postgresql", trial.seed)
    with started_rig(choice, trial.record) as rig, ThreadPoolExecutor(AT_ONCE) as pool:
        clients = fresh_clients(rig, len(LETTERS))
        crowd = Crowd([User(rig, *one) for one in zip(clients, LETTERS, strict=True)], trial.seed)
        faults = Faults()
        with rig.redis_by_line(faults), _disturbing(rig, crowd, faults):
            while crowd.cancelled < trial.amount:
                list(pool.map(crowd.act, range(BATCH)))
                trial.has_done(min(crowd.cancelled, trial.amount))
        verdict = verdict_at_rest(rig, trial.record, clients)
    trial.record.event("seen", **crowd.seen)
    leaks = list(run_tests(CANARY_TESTS).values()).count(False)
    foreign = crowd.seen["bytes of others"]
    has_seen = crowd.seen["answers with their own letter"] > 0 and crowd.seen["own pages"] > 0
    return Measured(
        f"{foreign} bytes; {leaks} leaks",
        not (foreign or leaks) and has_seen and verdict.is_right,
        {**dict(sorted(crowd.seen.items())), **verdict.counts(), "canary tests": len(CANARY_TESTS)},
        verdict.complaints,
    )


@contextmanager
def _disturbing(rig: Rig, crowd: Crowd, faults: Faults) -> Iterator[None]:
    """Now and then Redis replies too late, and statements of SQL are cancelled."""
    has_ended = threading.Event()
    random = Random(f"{crowd.random.random()}")

    def disturb() -> None:
        assert isinstance(rig.sql, PostgreSQL)
        while not has_ended.wait(random.uniform(0, 0.4)):
            crowd.note("SQL statements cancelled", _cancelled_statements(rig.sql))
            if random.random() < 0.1:
                faults.delay_seconds = SLOW_SECONDS
                has_ended.wait(random.uniform(0, 0.3))
                faults.delay_seconds = 0.0

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        yield
    finally:
        has_ended.set()
        disturber.join()


def _cancelled_statements(sql: PostgreSQL) -> int:
    query = (
        "SELECT pg_cancel_backend(pid) AS is_cancelled FROM pg_stat_activity"
        " WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    return sum(bool(row["is_cancelled"]) for row in sql.rows(query, ()))


FIGURE = Figure(
    9,
    "Bytes of other users over 10,000 calls given up by force; canaries in any sink",
    "0 bytes; 0 leaks",
    "Eight users, each of whose answers has a letter that no other answer has. They leave in the "
    "first tenth of a second, while Redis replies later than a worker waits and statements of "
    "PostgreSQL are cancelled; the others read their answers and their own page, and every byte is "
    "looked through for what is another's. Then the tests of the canaries: secrets planted "
    "everywhere, looked for in logs, traces, pages and stores.",
    "calls given up",
    1000,
    10_000,
    measure,
)

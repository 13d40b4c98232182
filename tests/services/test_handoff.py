"""The bounded hand-off between the reader of a stream and its writer."""

from collections.abc import Callable
from threading import Event, Thread

import pytest

from ai_gateway.services.handoff import MOST_BYTES, MOST_PARTS, Handoff

WAIT_SECONDS = 20.0
AT_ONCE = 0.0001


@pytest.fixture
def handoff() -> Handoff:
    return Handoff()


def beside(work: Callable[[], None]) -> Event:
    """Run something in a thread of its own; returns what is set when it is over."""
    done = Event()

    def run() -> None:
        work()
        done.set()

    Thread(target=run, daemon=True).start()
    return done


def test_what_waits_is_taken_at_once(handoff: Handoff) -> None:
    for part in (b"a", b"b", b"c"):
        handoff.put(part)
    assert not handoff.is_empty
    assert handoff.take(WAIT_SECONDS) == b"abc"
    assert handoff.is_empty


def test_silence_is_no_end(handoff: Handoff) -> None:
    assert handoff.take(AT_ONCE) is None
    handoff.put(b"a")
    assert handoff.take(AT_ONCE) == b"a"


def test_end_comes_after_the_last_part_and_stays(handoff: Handoff) -> None:
    handoff.put(b"a")
    handoff.end()
    taken = [handoff.take(WAIT_SECONDS) for _ in range(3)]
    assert taken == [b"a", b"", b""]
    assert handoff.has_ended


def test_taker_is_woken_by_the_next_part(handoff: Handoff) -> None:
    taken: list[bytes | None] = []
    done = beside(lambda: taken.append(handoff.take(WAIT_SECONDS)))
    handoff.put(b"a")
    assert done.wait(WAIT_SECONDS)
    assert taken == [b"a"]


@pytest.mark.parametrize(
    "parts", [[b"x"] * MOST_PARTS, [b"x" * MOST_BYTES]], ids=["parts", "bytes"]
)
def test_reader_waits_while_too_much_waits(handoff: Handoff, parts: list[bytes]) -> None:
    for part in parts[:-1]:
        handoff.put(part)
    done = beside(lambda: handoff.put(parts[-1]))
    assert not done.wait(0.05)
    assert handoff.take(WAIT_SECONDS) == b"".join(parts)
    assert done.wait(WAIT_SECONDS)


def test_reader_that_waits_goes_on_when_nobody_will_take(handoff: Handoff) -> None:
    done = beside(lambda: handoff.put(b"x" * MOST_BYTES))
    assert not done.wait(0.05)
    handoff.abandon()
    assert done.wait(WAIT_SECONDS)
    handoff.put(b"x" * MOST_BYTES)


def test_all_parts_arrive_in_order_through_a_taker_who_is_slower(handoff: Handoff) -> None:
    parts = [b"%d," % number for number in range(20_000)]

    def put_all() -> None:
        for part in parts:
            handoff.put(part)
        handoff.end()

    done = beside(put_all)
    taken = list(iter(lambda: handoff.take(WAIT_SECONDS), b""))
    assert b"".join(part or b"?" for part in taken) == b"".join(parts)
    assert done.wait(WAIT_SECONDS)
    assert handoff.is_empty

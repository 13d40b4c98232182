"""A client that goes away in the middle of a call: it is booked once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.caller import DIALECTS, Caller, Dialect
from tests.running import wait_for


@pytest.mark.parametrize("dialect", DIALECTS)
def test_stream_whose_client_left_is_read_to_its_end_for_the_exact_cost(
    caller: Caller, dialect: Dialect
) -> None:
    stream = caller.stream(dialect, "[[tokens=40]] [[pace=10]] [[cached=3]]")
    stream.read_until(b"Hello")
    stream.leave()
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["usage_status"], entry["confidence"]) == (
        "cancelled",
        "exact",
        "reported",
    )
    assert entry["output_tokens"] == 40
    assert entry["cost_nano_usd"] == caller.billed()
    assert (entry["cancellations"], entry["failures"]) == (1, 0)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_call_whose_client_left_before_the_first_byte_is_booked_exactly(
    caller: Caller, dialect: Dialect, way: str
) -> None:
    prompt = "[[delay=300]] [[tokens=40]] [[pace=5]]"
    connection = caller.send(dialect, prompt, stream=way == "streamed")
    wait_for(lambda: caller.account()[1] > 0, "the call is admitted")
    connection.close()
    (entry,) = caller.booked_once(1)
    assert (entry["usage_status"], entry["confidence"]) == ("exact", "reported")
    assert entry["outcome"] == ("cancelled" if way == "streamed" else "success")
    assert entry["cost_nano_usd"] == caller.billed()


def test_many_clients_that_leave_at_any_moment_lose_nothing(caller: Caller) -> None:
    def come_and_go(number: int) -> None:
        dialect = DIALECTS[number % 2]
        stream = caller.stream(dialect, f"[[tokens={number}]] [[pace=2]]")
        while len(stream.received) < number * 40:
            if not stream.read_some():
                break
        stream.leave()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(come_and_go, range(60)))
    entries = caller.booked_once(60)
    assert {entry["confidence"] for entry in entries} == {"reported"}
    assert sum(entry["cost_nano_usd"] for entry in entries) == caller.billed()
    assert {entry["outcome"] for entry in entries} <= {"cancelled", "success"}

"""The gateway's own time of a call: what is in it, and how it comes to the bookkeeper."""

import json
import time
from typing import Any

import pytest

from ai_gateway.errors import UpstreamRejected
from ai_gateway.services.settlement import Timing
from ai_gateway.stores import redis_keys
from tests.providers.scripted import ScriptedResponse
from tests.services.workbench import DONE, Workbench, chat_answer, chat_event, usage_event


def overhead(bench: Workbench) -> int:
    found = bench.entry().overhead_us
    assert found is not None
    return found


def test_a_call_tells_the_time_that_the_gateway_took(bench: Workbench) -> None:
    began = time.perf_counter()
    bench.call(bench.make_key(), chat_answer())
    took = (time.perf_counter() - began) * 1_000_000
    assert 0 < overhead(bench) < took


def test_a_stream_and_a_failure_tell_it_too(bench: Workbench) -> None:
    key = bench.make_key()
    events = ScriptedResponse(chat_event("hi") + usage_event() + DONE)
    list(bench.stream(key, events))
    with pytest.raises(UpstreamRejected):
        bench.call(key, ScriptedResponse(b"{}", status=400))
    assert all(entry.overhead_us for entry in bench.entries())


def test_it_is_what_came_before_the_call_was_sent_and_what_comes_after_its_end() -> None:
    now = time.perf_counter()
    timing = Timing(started=now - 10, sent=now - 9)
    found = timing.overhead_us(settling=now)
    assert found is not None
    assert 1_000_000 <= found < 2_000_000
    assert (timing.overhead_us(settling=now - 3) or 0) >= 4_000_000


def test_a_call_that_was_never_sent_has_none() -> None:
    assert Timing(started=0).overhead_us(settling=1) is None


def test_an_entry_of_an_older_worker_is_booked_without_it(bench: Workbench) -> None:
    bench.call(bench.make_key(), chat_answer())
    found: Any = bench.client.xrange(redis_keys.OUTBOX)
    ((stream_id, row),) = found
    result = json.loads(row["result"])
    assert result.pop("overhead_us") > 0
    bench.client.xdel(redis_keys.OUTBOX, stream_id)
    bench.client.xadd(redis_keys.OUTBOX, row | {"result": json.dumps(result)})
    assert bench.entry().overhead_us is None
    assert bench.entry().tally["requests"] == 1

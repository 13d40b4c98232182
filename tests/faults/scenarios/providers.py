"""The provider breaks off, is overloaded, or sends what is no answer."""

import errno
import gzip
import socket
from collections import Counter

from ai_gateway.domain.call import UpstreamResult
from simulator.testing import Recorded
from tests.e2e import processes
from tests.faults.rig import Rig
from tests.faults.scenario import Run, Scenario
from tests.running import wait_for


def provider_breaks_off(run: Run) -> str:
    rig, client = run.rig, run.client()
    before = _results(rig)
    streams = client.open_many(10, "[[tokens=40]] [[cut=5]]")
    assert [stream.read() for stream in streams] == ["error"] * 10
    rows = client.caller.booked_once(10)
    assert {(row["confidence"], row["outcome"]) for row in rows} == {("counted", "upstream_error")}
    assert _results(rig) - before == {"stream_cut": 10}
    return "10 error events, never a silent end; 10 counted rows"


def provider_is_overloaded(run: Run) -> str:
    rig, client = run.rig, run.client()
    before = _results(rig)
    seen = {}
    for status in (429, 503, 529):
        answers = client.ask_many(5, f"[[status={status}]]")
        seen[status] = {answer.status if answer else 0 for answer in answers}
    assert seen[429] == {429}
    assert seen[503] | seen[529] <= {502, 503, 529}
    rows = client.caller.booked_once(15)
    assert {row["cost_nano_usd"] for row in rows} == {0}
    assert _results(rig) - before == {"http_429": 5, "overloaded": 10}
    return f"told as {seen}; 15 rows at cost 0"


def provider_errs_after_its_200(run: Run) -> str:
    rig, client = run.rig, run.client()
    before = _results(rig)
    stream = client.open("[[tokens=20]] [[error=5]]")
    assert stream.read() == "error"
    (row,) = client.caller.booked_once(1)
    assert (row["confidence"], row["outcome"]) == ("counted", "upstream_error")
    assert _results(rig) - before == {"http_5xx": 1}
    return "error event in its dialect's shape; one counted row"


def provider_sends_garbage(run: Run) -> str:
    """Bytes that are no text, an event that breaks off, and one of 30 MB that does not end."""
    rig, client = run.rig, run.client()
    before = _results(rig)
    endless = [b"data: {", *[b"x" * 1_000_000] * 30]
    for chunks in ([b"data: \xff\xfe{\n\n", b"data: ]["], endless):
        rig.gateway.simulator.record(Recorded(content=chunks), {"marker": client.caller.tag})
        answer = client.caller.stream("openai", "garbage")
        received = answer.read_all()
        client.history.note(
            client.caller.key_id,
            answer.status,
            "error",
            request_id=answer.headers["x-request-id"],
            seconds=0,
        )
        assert b'"error"' in received.strip().splitlines()[-1]
        assert len(received) < 20_000_000
        answer.leave()
    rows = client.caller.booked_once(2)
    assert {row["confidence"] for row in rows} == {"counted"}
    assert _results(rig) - before == {"invalid_response": 2}
    return "error events; 2 counted rows; told as invalid answers"


def provider_sends_a_bomb(run: Run) -> str:
    """A compressed answer that would be a thousand times as large."""
    rig, client = run.rig, run.client()
    bomb = Recorded(content=gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"})
    before = _results(rig)
    rig.gateway.simulator.record(bomb, {"marker": client.caller.tag})
    answer = client.ask("bomb")
    assert answer is not None
    assert answer.status == 502
    (row,) = client.caller.booked_once(1)
    assert row["confidence"] == "counted"
    assert _results(rig) - before == {"invalid_response": 1}
    return "502, nothing unpacked; one counted row; told as an invalid answer"


def provider_tells_no_usage(run: Run) -> str:
    rig, client = run.rig, run.client()
    before = rig.metric("settled_usd_total", confidence="counted")
    answers = client.ask_many(10, "[[usage=off]] [[tokens=40]]")
    assert {answer.status if answer else 0 for answer in answers} == {200}
    rows = client.caller.booked_once(10)
    assert {(row["usage_status"], row["confidence"]) for row in rows} == {("missing", "counted")}
    billed, counted = client.caller.billed(), sum(row["cost_nano_usd"] for row in rows)
    told = rig.metric("settled_usd_total", confidence="counted") - before
    assert abs(told * 10**9 - counted) < 1
    return f"10 counted rows: {counted} nano-USD where the provider billed {billed}"


def provider_is_gone(run: Run) -> str:
    """Its port is closed, so that nothing was sent."""
    rig, client = run.rig, run.client()
    before = _results(rig)
    processes.kill(processes.child(rig.gateway, "-m simulator"))
    wait_for(lambda: _refuses(rig.gateway.simulator.port), "its port is closed")
    answer = client.ask("[[tokens=5]]")
    assert answer is not None
    assert answer.status == 502, answer
    (row,) = client.caller.booked_once(1)
    assert row["cost_nano_usd"] == 0
    assert _results(rig) - before == {"connect": 1}
    wait_for(lambda: _is_answered(run), "the provider is back")
    return f"502, x-should-retry {answer.headers.get('x-should-retry')}; one row at cost 0"


def provider_bills_more_than_was_held(run: Run) -> str:
    rig, client = run.rig, run.client()
    before = rig.metric("reservation_overrun_usd_total")
    answer = client.ask("[[input=90000]] [[tokens=5]]", max_tokens=10)
    assert answer is not None
    assert answer.status == 200
    (row,) = client.caller.booked_once(1)
    beyond = row["cost_nano_usd"] - row["held_nano_usd"]
    assert beyond > 0
    told = rig.metric("reservation_overrun_usd_total") - before
    assert abs(told * 10**9 - beyond) < 1
    return f"booked in full, {beyond} nano-USD beyond the hold, as the metric says"


def _refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def _results(rig: Rig) -> Counter[str]:
    """What the provider did so far, as the metric tells it."""
    counted = {
        str(result): int(rig.metric("upstream_requests_total", result=result))
        for result in UpstreamResult
    }
    return Counter(counted)


def _is_answered(run: Run) -> bool:
    answer = run.client().ask("[[tokens=1]]")
    return answer is not None and answer.status == 200


SCENARIOS = (
    Scenario("F39", provider_tells_no_usage),
    Scenario("F42", provider_breaks_off),
    Scenario("F43", provider_is_overloaded),
    Scenario("F44", provider_errs_after_its_200),
    Scenario("F45", provider_sends_garbage),
    Scenario("F46", provider_sends_a_bomb),
    Scenario("F47", provider_is_gone),
    Scenario("F48", provider_bills_more_than_was_held),
)

"""What a run says of a call: errors without foreign words, streams put together, a steady name."""

import json
from dataclasses import replace
from datetime import timedelta, timezone

from ai_gateway.domain.call import Operation, Outcome
from ai_gateway.domain.money import Money, to_usd
from ai_gateway.errors import CallEnded, UpstreamRejected
from ai_gateway.telemetry.observer import SettledCall, Story
from ai_gateway.telemetry.tracing_answer import shown_body, shown_stream
from ai_gateway.telemetry.tracing_run import run_id, run_of
from tests.telemetry.facts import NOW, settled_call


def failed(failure: BaseException | None, outcome: Outcome = Outcome.GATEWAY_ERROR) -> SettledCall:
    return replace(settled_call(outcome=outcome), story=Story(failure=failure))


def events(*found: object) -> bytes:
    return b"".join(b"event: x\ndata: " + json.dumps(one).encode() + b"\n\n" for one in found)


def message(stream: bytes) -> object:
    choices = shown_stream(stream)["choices"]
    assert isinstance(choices, list)
    return choices[0]["message"]


def test_the_run_of_a_call_is_always_the_same_and_ordered_by_time() -> None:
    first = run_id("req_1", NOW)
    assert first == run_id("req_1", NOW)
    assert first.version == 7
    assert first.variant == "specified in RFC 4122"
    later = run_id("req_1", NOW + timedelta(seconds=1))
    assert first < later
    assert run_id("req_2", NOW) != first


def test_times_have_one_zone_and_one_length_so_that_texts_compare_as_times_do() -> None:
    fact = settled_call(stream=True)
    eastern = NOW.astimezone(timezone(timedelta(hours=-5)))
    call = replace(fact.call, admitted_at=eastern)
    finished = replace(fact.finished, ttft_ms=3, settled_at=NOW + timedelta(microseconds=3456))
    run = run_of(replace(fact, call=call, finished=finished), "p")
    assert run["start_time"] == "2026-11-25T00:00:00.000000+00:00"
    assert run["events"] == [{"name": "new_token", "time": "2026-11-25T00:00:00.003000+00:00"}]
    assert run["end_time"] == "2026-11-25T00:00:00.003456+00:00"
    assert run["dotted_order"] == f"20261125T000000000000Z{run['id']}"


def test_costs_are_the_nearest_numbers_to_their_decimals() -> None:
    for nano in (1, 7, 123_456_789, 999_999_999_999_999):
        fact = settled_call(by_kind={"output": Money(nano)})
        cost = replace(fact.finished, cost=Money(nano))
        metadata = run_of(replace(fact, finished=cost), "p")["extra"]["metadata"]  # type: ignore[index]
        assert metadata["usage_metadata"]["output_cost"] == float(to_usd(Money(nano)))


def test_a_fault_of_the_gateway_comes_with_its_place_and_not_with_its_words() -> None:
    try:
        raise ValueError("what a client wrote")
    except ValueError as error:
        told = str(run_of(failed(error), "p")["error"])
    assert told.startswith("gateway_error: ValueError\n")
    assert "test_tracing_run.py" in told
    assert "client wrote" not in told.replace('ValueError("what a client wrote")', "")


def test_a_refusal_by_the_provider_has_its_status_and_not_its_body() -> None:
    error = UpstreamRejected("openai", 400, b"the body of the provider")
    told = run_of(failed(error, Outcome.UPSTREAM_REJECTED), "p")["error"]
    assert told == "upstream_rejected: UpstreamRejected (400)"
    ended = run_of(failed(CallEnded("openai", "revoked")), "p")["error"]
    assert ended == "gateway_error: CallEnded (revoked)"


def test_an_answer_that_says_that_it_failed_is_an_error() -> None:
    told = run_of(failed(None, Outcome.UPSTREAM_ERROR), "p")["error"]
    assert told == "upstream_error: the provider says that it failed"


def test_what_is_no_output_counts_as_input_so_that_the_costs_add_up() -> None:
    by_kind = {"input": Money(50), "tool": Money(50), "output": Money(400), "reasoning": Money(100)}
    metadata = run_of(settled_call(by_kind=by_kind), "p")["extra"]["metadata"]  # type: ignore[index]
    usage = metadata["usage_metadata"]
    assert (usage["input_cost"], usage["output_cost"], usage["total_cost"]) == (1e-7, 5e-7, 6e-7)


def test_embeddings_are_runs_of_their_own_type() -> None:
    fact = settled_call()
    embedding = replace(fact, call=replace(fact.call, operation=Operation.EMBEDDINGS))
    assert run_of(embedding, "p")["run_type"] == "embedding"


def test_tools_of_every_dialect_are_put_together() -> None:
    wanted = [{"type": "function", "function": {"name": "weather", "arguments": '{"city": "Zoë"}'}}]
    openai = events(
        *(
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": function}]}}]}
            for function in (
                {"name": "weather", "arguments": '{"city"'},
                {"arguments": ': "Zoë"}'},
            )
        )
    )
    anthropic = events(
        {"content_block": {"type": "tool_use", "name": "weather"}, "index": 1},
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '{"city"'}},
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": ': "Zoë"}'}},
    )
    kind = "response.function_call_arguments.delta"
    responses = events(
        {"item": {"type": "function_call", "name": "weather"}, "output_index": 2},
        {"type": kind, "output_index": 2, "delta": '{"city": "Zoë"}'},
    )
    for stream in (openai, anthropic, responses):
        assert message(stream) == {"role": "assistant", "content": "", "tool_calls": wanted}


def test_text_of_responses_and_of_completions_is_read() -> None:
    responses = events({"type": "response.output_text.delta", "delta": "Hel"})
    completions = events({"choices": [{"text": "lo"}]})
    assert message(responses + completions) == {"role": "assistant", "content": "Hello"}


def test_what_is_no_json_is_shown_as_text() -> None:
    assert shown_body(b'{"messages": [') == {"cut_off": '{"messages": ['}
    assert shown_body(b"[1]") == {"value": [1]}
    assert shown_body(b"") == shown_stream(b"") == {}
    assert message(b'data: {"cut\n\ndata: [DONE]\n\n: ping\n\n') == {
        "role": "assistant",
        "content": "",
    }

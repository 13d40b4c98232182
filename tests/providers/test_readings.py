"""What answers tell beyond the metering cases: odd reports, text, tiers, failures."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.domain.call import Operation
from ai_gateway.domain.usage import HelperUsage, Reading, Usage, UsageStatus
from ai_gateway.providers import dialect
from ai_gateway.providers.anthropic_dialect import AnthropicDialect, MessagesInterpreter
from ai_gateway.providers.dialect import StreamReader
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import Quirks

OPENAI = OpenAIDialect()
ANTHROPIC = AnthropicDialect()
PLAIN = Quirks()
READERS = {
    name: (OPENAI if name != "messages" else ANTHROPIC, Operation(name))
    for name in ("chat", "completions", "embeddings", "responses", "messages")
}


def read_chat(body: bytes, quirks: Quirks = PLAIN) -> Reading:
    return OPENAI.read_answer(body, Operation.CHAT, quirks)


def read_message(body: bytes) -> Reading:
    return ANTHROPIC.read_answer(body, Operation.MESSAGES, PLAIN)


def chat_interpreter(*, wants_usage: bool, quirks: Quirks = PLAIN) -> dialect.Interpreter:
    options = {"include_usage": wants_usage}
    body = raw(model="m", messages=[{}], stream=True, stream_options=options)
    return OPENAI.interpreter(OPENAI.read_request(Operation.CHAT, body), quirks)


def response_interpreter() -> dialect.Interpreter:
    asked = OPENAI.read_request(Operation.RESPONSES, raw(model="m", input="hi", stream=True))
    return OPENAI.interpreter(asked, PLAIN)


def raw(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def chat(usage: object, **fields: Any) -> bytes:
    message = {"role": "assistant", "content": "hi"}
    return raw(model="m-1", choices=[{"message": message}], usage=usage, **fields)


def chunk(content: str | None = None, **fields: Any) -> bytes:
    choices = [] if content is None else [{"index": 0, "delta": {"content": content}}]
    return raw(**{"model": "m-1", "choices": choices} | fields)


def counts(prompt: object, completion: object, **more: object) -> dict[str, object]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


def seen(interpreter: dialect.Interpreter, *events: bytes) -> dialect.Interpreter:
    for event in events:
        interpreter.see(event)
    return interpreter


# OpenAI


UNREADABLE = {
    "null": None,
    "text": "12",
    "fraction": 12.5,
    "true": True,
    "beyond 64 bits": 2**70,
    "absurd": 10**9 + 1,
    "absent": ...,
}


def with_count(name: str, value: object) -> dict[str, object]:
    known = {"prompt_tokens": 10, "completion_tokens": 5}
    return {n: v for n, v in (known | {name: value}).items() if v is not ...}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_input_that_cannot_be_read_is_no_report_of_nothing(value: object) -> None:
    reading = read_chat(chat(with_count("prompt_tokens", value)))
    assert (reading.status, reading.usage) == (UsageStatus.MISSING, Usage())


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_output_that_cannot_be_read_leaves_a_lower_bound(value: object) -> None:
    reading = read_chat(chat(with_count("completion_tokens", value)))
    assert (reading.status, reading.usage) == (UsageStatus.PARTIAL, Usage(input_tokens=10))


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_detail_that_cannot_be_read_is_taken_as_absent(value: object) -> None:
    details = {} if value is ... else {"cached_tokens": value}
    reading = read_chat(chat(counts(10, 5, prompt_tokens_details=details)))
    assert (reading.status, reading.usage) == (
        UsageStatus.EXACT,
        Usage(input_tokens=10, output_tokens=5),
    )


@pytest.mark.parametrize("usage", [None, {}, [], "usage", 7, {"input_tokens": 3}], ids=repr)
def test_answer_without_our_counts_has_no_usage(usage: object) -> None:
    assert read_chat(chat(usage)).status is UsageStatus.MISSING


@pytest.mark.parametrize("usage", [counts(-1, 5), counts(5, -1)], ids=["input", "output"])
def test_negative_count_is_an_anomaly_and_gives_no_credit(usage: object) -> None:
    reading = read_chat(chat(usage))
    assert reading.status is UsageStatus.ANOMALY
    assert min(reading.usage.disjoint().values()) >= 0


@pytest.mark.parametrize(
    ("total", "status", "output"),
    [
        pytest.param(15, UsageStatus.EXACT, 5, id="agrees"),
        pytest.param(215, UsageStatus.ANOMALY, 205, id="has more"),
        pytest.param(12, UsageStatus.ANOMALY, 5, id="has less"),
        pytest.param(0, UsageStatus.EXACT, 5, id="is not filled in"),
        pytest.param(None, UsageStatus.EXACT, 5, id="is null"),
        pytest.param("15", UsageStatus.EXACT, 5, id="cannot be read"),
    ],
)
def test_total_that_contradicts_its_parts_is_an_anomaly_and_the_larger_is_billed(
    total: object, status: UsageStatus, output: int
) -> None:
    reading = read_chat(chat(counts(10, 5, total_tokens=total)))
    assert (reading.status, reading.usage.output_tokens) == (status, output)


def test_reasoning_beside_the_output_is_added_once() -> None:
    details = {"reasoning_tokens": 90}
    usage = counts(10, 5, total_tokens=105, completion_tokens_details=details)
    reading = read_chat(chat(usage))
    assert reading.usage == Usage(input_tokens=10, output_tokens=95, reasoning_tokens=90)


def test_every_detail_of_openai_is_read() -> None:
    usage = counts(
        100,
        50,
        total_tokens=150,
        prompt_tokens_details={
            "cached_tokens": 10,
            "cache_write_tokens": 11,
            "audio_tokens": 12,
            "image_tokens": 13,
        },
        completion_tokens_details={
            "reasoning_tokens": 14,
            "audio_tokens": 15,
            "rejected_prediction_tokens": 16,
        },
    )
    reading = read_chat(chat(usage, service_tier="flex"))
    assert (reading.status, reading.service_tier) == (UsageStatus.EXACT, "flex")
    assert reading.served_model == "m-1"
    assert reading.usage == Usage(
        input_tokens=100,
        cached_input_tokens=10,
        cache_write_tokens=11,
        audio_input_tokens=12,
        image_input_tokens=13,
        output_tokens=50,
        reasoning_tokens=14,
        audio_output_tokens=15,
    )
    assert reading.raw is not None
    assert json.loads(reading.raw) == usage


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"17", b'{"a":'])
def test_answer_that_is_no_object_has_failed(body: bytes) -> None:
    for one, operation in READERS.values():
        reading = one.read_answer(body, operation, PLAIN)
        assert reading.failed
        assert not reading.is_readable
        assert (reading.status, reading.text_bytes) == (UsageStatus.MISSING, len(body))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "extra",
    [b"[" * 300 + b"]" * 300, b'"' + b"x" * dialect.MOST_RAW_BYTES + b'"'],
    ids=["nested", "long"],
)
def test_usage_beyond_all_measure_is_read_and_not_kept(name: str, extra: bytes) -> None:
    counts = b'{"prompt_tokens":3,"completion_tokens":2,"input_tokens":3,"output_tokens":2,"x":'
    one, operation = READERS[name]
    reading = one.read_answer(b'{"usage":' + counts + extra + b"}}", operation, PLAIN)
    assert (reading.status, reading.usage.input_tokens) == (UsageStatus.EXACT, 3)
    assert reading.raw is None


def test_input_of_a_tool_that_is_nested_beyond_all_measure_stops_nothing() -> None:
    deep = b"[" * 300 + b"]" * 300
    block = b'{"type":"tool_use","input":{"x":' + deep + b'}},{"type":"text","text":"hi"}'
    reading = read_message(b'{"content":[' + block + b'],"usage":{"input_tokens":1}}')
    assert (reading.text_bytes, reading.usage.input_tokens) == (2, 1)


def test_text_of_a_whole_answer_is_counted_in_bytes() -> None:
    message = {
        "content": "h\u00e9",
        "reasoning_content": "so",
        "refusal": "no",
        "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}, 7, {"function": None}],
    }
    body = raw(choices=[{"message": message}, {"message": {"content": None}}, {"message": 7}, 7])
    assert read_chat(body).text_bytes == 3 + 2 + 2 + 1 + 2


def test_text_of_a_stream_is_counted_as_it_comes() -> None:
    interpreter = chat_interpreter(wants_usage=False)
    interpreter.see(chunk("h\u00e9"))
    assert interpreter.text_bytes == 3
    interpreter.see(chunk("!"))
    assert interpreter.text_bytes == 4
    assert interpreter.reading().text_bytes == 4


def test_later_usage_wins_unless_it_is_zero_or_null() -> None:
    interpreter = seen(
        chat_interpreter(wants_usage=False),
        chunk("a", usage=counts(0, 0)),
        chunk("b", usage=counts(10, 1)),
        chunk("c", usage=counts(10, 2)),
        chunk(usage=counts(0, 0)),
        chunk(usage=None),
        b"[DONE]",
    )
    reading = interpreter.reading()
    assert reading.usage == Usage(input_tokens=10, output_tokens=2)
    assert reading.status is UsageStatus.EXACT


def test_zero_usage_counts_where_nothing_better_came() -> None:
    interpreter = seen(chat_interpreter(wants_usage=False), chunk(usage=counts(0, 0)), b"[DONE]")
    assert interpreter.reading().status is UsageStatus.EXACT


def test_running_usage_is_a_lower_bound_until_the_end() -> None:
    interpreter = seen(chat_interpreter(wants_usage=False), chunk("a", usage=counts(10, 1)))
    assert interpreter.reading().status is UsageStatus.PARTIAL
    assert seen(interpreter, b"[DONE]").reading().status is UsageStatus.EXACT


def finish(*indices: int, **fields: Any) -> bytes:
    choices = [{"index": i, "delta": {}, "finish_reason": "stop"} for i in indices]
    return raw(choices=choices, **fields)


@pytest.mark.parametrize(
    ("events", "is_whole"),
    [
        pytest.param([finish(0, usage=counts(10, 1))], True, id="on the last chunk"),
        pytest.param([finish(0), chunk(usage=counts(10, 1))], True, id="after it"),
        pytest.param([finish(0, usage=counts(10, 1)), chunk(usage=None)], True, id="null later"),
        pytest.param([chunk("a"), chunk(usage=counts(10, 1))], True, id="of its own"),
        pytest.param([finish(0)], False, id="no usage"),
        pytest.param([chunk("a", usage=counts(10, 1))], False, id="no finish"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_stream_that_ends_without_done_is_whole_when_its_last_usage_was_seen(
    events: list[bytes], *, is_whole: bool
) -> None:
    interpreter = seen(chat_interpreter(wants_usage=False), *events)
    assert not interpreter.is_complete
    interpreter.end()
    assert interpreter.is_complete is is_whole


def test_running_usage_is_final_only_when_all_answers_have_finished() -> None:
    body = raw(model="m", messages=[{}], stream=True, n=2)
    interpreter = OPENAI.interpreter(OPENAI.read_request(Operation.CHAT, body), PLAIN)
    seen(interpreter, finish(0, usage=counts(10, 4)))
    assert interpreter.reading().status is UsageStatus.PARTIAL
    interpreter.end()
    assert not interpreter.is_complete
    seen(interpreter, finish(1, usage=counts(10, 9)))
    assert interpreter.reading().status is UsageStatus.EXACT
    interpreter.end()
    assert interpreter.is_complete


@pytest.mark.parametrize("interpreter", [MessagesInterpreter(), response_interpreter()])
def test_other_streams_are_never_whole_without_their_last_event(
    interpreter: dialect.Interpreter,
) -> None:
    interpreter.end()
    assert not interpreter.is_complete


def test_usage_on_the_finish_chunk_is_final() -> None:
    interpreter = seen(chat_interpreter(wants_usage=False), finish(0, usage=counts(10, 1)))
    assert interpreter.reading().status is UsageStatus.EXACT


def test_error_after_the_usage_makes_it_a_lower_bound() -> None:
    interpreter = seen(
        chat_interpreter(wants_usage=True), chunk(usage=counts(10, 1)), raw(error={"message": "x"})
    )
    assert interpreter.has_failed
    reading = interpreter.reading()
    assert (reading.status, reading.failed) == (UsageStatus.PARTIAL, True)


@pytest.mark.parametrize("wants_usage", [True, False])
def test_chunk_of_usage_alone_is_shown_to_who_asked_for_it(*, wants_usage: bool) -> None:
    interpreter = chat_interpreter(wants_usage=wants_usage)
    assert interpreter.see(chunk(usage=counts(1, 1))) is wants_usage
    assert interpreter.see(chunk("text", usage=counts(1, 1)))
    assert interpreter.see(chunk(usage=None))
    assert interpreter.see(b"[DONE]")
    assert interpreter.see(b"no json")


def test_error_is_shown_even_when_it_comes_with_usage() -> None:
    interpreter = chat_interpreter(wants_usage=False)
    assert interpreter.see(raw(error={"message": "x"}, choices=[], usage=counts(1, 1)))


@pytest.mark.parametrize("text", ["[DONE]", '"usage": {"prompt_tokens": 1}', "\n\ndata: [DONE]"])
def test_text_of_the_model_is_never_taken_for_the_protocol(text: str) -> None:
    interpreter = chat_interpreter(wants_usage=False)
    reader = StreamReader(interpreter)
    reader.feed(b"data: " + chunk(text) + b"\n\n")
    assert not reader.is_complete
    assert reader.reading().status is UsageStatus.MISSING


def test_served_tier_and_model_are_the_last_that_were_told() -> None:
    interpreter = seen(
        chat_interpreter(wants_usage=False),
        chunk("a", service_tier="auto"),
        chunk("b", service_tier="priority", model="m-2"),
        chunk("c", service_tier=None, model=None),
    )
    reading = interpreter.reading()
    assert (reading.service_tier, reading.served_model) == ("priority", "m-2")


# Anthropic


def message(usage: object, **fields: Any) -> bytes:
    return raw(model="claude-1", content=[{"type": "text", "text": "hi"}], usage=usage, **fields)


def start(usage: object) -> bytes:
    return raw(type="message_start", message={"model": "claude-1", "usage": usage})


def delta(usage: object) -> bytes:
    return raw(type="message_delta", delta={"stop_reason": "end_turn"}, usage=usage)


STOP = raw(type="message_stop")


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_input_of_anthropic_that_cannot_be_read_is_no_report(value: object) -> None:
    usage = {"output_tokens": 5} if value is ... else {"input_tokens": value, "output_tokens": 5}
    assert read_message(message(usage)).status is UsageStatus.MISSING
    stream = seen(MessagesInterpreter(), start(usage), STOP)
    assert stream.reading().status is UsageStatus.MISSING


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_output_of_anthropic_that_cannot_be_read_leaves_a_lower_bound(value: object) -> None:
    usage = {"input_tokens": 10} if value is ... else {"input_tokens": 10, "output_tokens": value}
    assert read_message(message(usage)).status is UsageStatus.PARTIAL
    stream = seen(MessagesInterpreter(), start({"input_tokens": 10}), delta(usage), STOP)
    assert stream.reading().status is UsageStatus.PARTIAL


@pytest.mark.parametrize(
    "name", ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
)
def test_negative_input_of_anthropic_is_an_anomaly_and_lowers_nothing(name: str) -> None:
    usage = {"input_tokens": 100, "output_tokens": 5, "cache_read_input_tokens": 7} | {name: -50}
    reading = read_message(message(usage))
    assert reading.status is UsageStatus.ANOMALY
    positive = sum(usage[n] for n in usage if n != "output_tokens" and usage[n] > 0)
    assert reading.usage.input_tokens == positive


def test_reasoning_beyond_the_output_of_anthropic_is_an_anomaly() -> None:
    details = {"thinking_tokens": 9}
    usage = {"input_tokens": 1, "output_tokens": 5, "output_tokens_details": details}
    assert read_message(message(usage)).status is UsageStatus.ANOMALY


def test_long_writes_never_exceed_all_writes() -> None:
    split = {"ephemeral_1h_input_tokens": 99}
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "cache_creation_input_tokens": 10,
        "cache_creation": split,
    }
    reading = read_message(message(usage))
    assert reading.usage.cache_write_long_tokens == 10
    assert reading.usage.cache_write_tokens == 0


COMPACTED = {
    "input_tokens": 10,
    "output_tokens": 5,
    "iterations": [
        {"type": "message", "input_tokens": 10, "output_tokens": 5},
        {
            "type": "compaction",
            "input_tokens": 300,
            "output_tokens": 40,
            "cache_read_input_tokens": 7,
        },
    ],
}


def test_compaction_is_billed_beside_the_top_level() -> None:
    whole = read_message(message(COMPACTED))
    stream = seen(MessagesInterpreter(), start({"input_tokens": 10}), delta(COMPACTED), STOP)
    expected = Usage(input_tokens=317, cached_input_tokens=7, output_tokens=45)
    assert whole.usage == stream.reading().usage == expected
    assert whole.status is stream.reading().status is UsageStatus.EXACT


def plain(**more: Any) -> dict[str, Any]:
    return {"input_tokens": 10, "output_tokens": 5, **more}


ADVICE = plain(type="advisor_message", model="claude-2", cache_read_input_tokens=3)


def test_advice_of_another_model_is_told_apart_from_the_answer() -> None:
    usage = plain(iterations=[plain(type="message"), ADVICE, plain(type="fallback_message")])
    whole = read_message(message(usage))
    stream = seen(MessagesInterpreter(), start({"input_tokens": 10}), delta(usage), STOP)
    for reading in (whole, stream.reading()):
        assert (reading.status, reading.has_unpriced) == (UsageStatus.EXACT, False)
        assert reading.usage == Usage(10, output_tokens=5)
        advice = Usage(input_tokens=13, cached_input_tokens=3, output_tokens=5)
        assert reading.helpers == (HelperUsage("claude-2", advice),)
        assert reading.total_usage == Usage(23, cached_input_tokens=3, output_tokens=10)


def test_work_of_an_unknown_kind_is_billed_and_is_an_anomaly() -> None:
    reading = read_message(message(plain(iterations=[plain(type="review")])))
    assert reading.status is UsageStatus.ANOMALY
    assert reading.total_usage == Usage(20, output_tokens=10)
    # Whose price it has nobody knows.
    assert [helper.model for helper in reading.helpers] == [""]


def test_advice_that_contradicts_itself_is_an_anomaly() -> None:
    advice = ADVICE | {"output_tokens_details": {"thinking_tokens": 9}}
    reading = read_message(message(plain(iterations=[advice])))
    assert reading.status is UsageStatus.ANOMALY
    assert reading.total_usage.is_consistent


@pytest.mark.parametrize("kind", [None, [], {}, 7])
def test_kind_of_work_that_cannot_be_read_is_an_unknown_one(kind: object) -> None:
    reading = read_message(message(plain(iterations=[plain(type=kind), 7])))
    assert (reading.status, len(reading.helpers)) == (UsageStatus.ANOMALY, 1)


@pytest.mark.parametrize(
    ("place", "percent", "is_unknown"),
    [
        (None, 0, False),
        ("", 0, False),
        ("global", 0, False),
        ("not_available", 0, False),
        ("us", 10, False),
        ("moon", 0, True),
    ],
)
def test_place_of_an_answer_has_its_surcharge_or_is_unpriced(
    place: str | None, percent: int, *, is_unknown: bool
) -> None:
    usage = plain(inference_geo=place)
    stream = seen(MessagesInterpreter(), start(usage), delta({"output_tokens": 5}), STOP)
    for reading in (read_message(message(usage)), stream.reading()):
        assert reading.status is UsageStatus.EXACT
        assert (reading.surcharge_percent, reading.has_unpriced) == (percent, is_unknown)


@pytest.mark.parametrize(
    ("used", "is_unpriced"),
    [
        ({"web_search_requests": 2, "web_fetch_requests": 3, "tool_search_requests": 1}, False),
        ({"code_execution_requests": 0}, False),
        ({"code_execution_requests": 1}, True),
        ({"brand_new_requests": 1}, True),
        ({"brand_new_requests": "1", "other": None}, False),
    ],
)
def test_tool_of_the_provider_without_a_known_price_is_noticed(
    used: dict[str, object], *, is_unpriced: bool
) -> None:
    reading = read_message(message(plain(server_tool_use=used)))
    assert (reading.status, reading.has_unpriced) == (UsageStatus.EXACT, is_unpriced)


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ({}, "standard"),
        ({"speed": "standard"}, "standard"),
        ({"speed": "fast", "service_tier": "standard"}, "fast"),
        ({"service_tier": "priority"}, "standard"),
    ],
)
def test_speed_is_a_tier_and_priority_is_paid_beforehand(told: dict[str, str], tier: str) -> None:
    assert read_message(message(plain(**told))).service_tier == tier


def test_counts_of_a_stream_replace_and_are_never_added() -> None:
    stream = seen(
        MessagesInterpreter(),
        start({"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 1}),
        delta({"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 20}),
        delta({"output_tokens": 15}),
        STOP,
    )
    assert stream.reading().usage == Usage(
        input_tokens=110, cached_input_tokens=100, output_tokens=20
    )


def test_zero_input_at_the_end_does_not_erase_that_of_the_start() -> None:
    stream = seen(
        MessagesInterpreter(),
        start({"input_tokens": 10, "output_tokens": 1}),
        delta({"input_tokens": 0, "output_tokens": 20}),
        STOP,
    )
    assert stream.reading().usage == Usage(input_tokens=10, output_tokens=20)


@pytest.mark.parametrize(
    ("events", "status"),
    [
        pytest.param([], UsageStatus.MISSING, id="nothing"),
        pytest.param([start({"input_tokens": 9, "output_tokens": 1})], "partial", id="start"),
        pytest.param(
            [start({"input_tokens": 9, "output_tokens": 1}), STOP], "partial", id="no last count"
        ),
        pytest.param(
            [start({"input_tokens": 9, "output_tokens": 1}), delta({"output_tokens": 5})],
            "partial",
            id="no stop",
        ),
        pytest.param(
            [start({"input_tokens": 9, "output_tokens": 1}), delta({"output_tokens": 5}), STOP],
            "exact",
            id="whole",
        ),
        pytest.param(
            [
                start({"input_tokens": 9, "output_tokens": 1}),
                delta({"output_tokens": 5}),
                raw(type="error", error={"type": "overloaded_error"}),
                STOP,
            ],
            "partial",
            id="error",
        ),
    ],
)
def test_stream_of_anthropic_is_exact_only_when_it_is_whole(
    events: list[bytes], status: str
) -> None:
    assert seen(MessagesInterpreter(), *events).reading().status == status


def test_error_event_of_anthropic_marks_the_stream_as_failed() -> None:
    stream = seen(MessagesInterpreter(), raw(type="error"))
    assert stream.has_failed
    assert stream.reading().failed


def test_text_and_facts_of_a_message_are_read() -> None:
    content = [
        {"type": "text", "text": "h\u00e9"},
        {"type": "thinking", "thinking": "so"},
        {"type": "tool_use", "input": {"a": 1}},
        7,
    ]
    usage = {"input_tokens": 1, "output_tokens": 1, "speed": "fast"}
    reading = read_message(raw(model="claude-1", content=content, usage=usage))
    assert reading.text_bytes == 3 + 2 + len('{"a":1}')
    assert (reading.served_model, reading.service_tier) == ("claude-1", "fast")
    assert reading.raw is not None
    assert json.loads(reading.raw) == usage


def test_content_that_is_no_list_has_no_text() -> None:
    assert read_message(raw(content="text")).text_bytes == 0


def test_text_of_a_streamed_message_is_counted_as_it_comes() -> None:
    stream = MessagesInterpreter()
    for part in ({"text": "h\u00e9"}, {"thinking": "so"}, {"partial_json": "{}"}, {"other": "x"}):
        assert stream.see(raw(type="content_block_delta", delta=part))
    assert stream.text_bytes == 3 + 2 + 2


@pytest.mark.parametrize("data", [b"[DONE]", b"no json", raw(type="ping"), raw(), raw(type=7)])
def test_events_that_tell_nothing_go_on(data: bytes) -> None:
    stream = MessagesInterpreter()
    assert stream.see(data)
    assert stream.reading().status is UsageStatus.MISSING


# Both


def test_content_is_noticed_with_its_first_byte() -> None:
    reader = StreamReader(chat_interpreter(wants_usage=False))
    noticed = []
    for text in ("", "a", ""):
        reader.feed(b"data: " + chunk(text) + b"\n\n: note\n\n")
        noticed.append(reader.has_content)
    assert noticed == [False, True, True]
    assert reader.text_bytes == 1


VALUES = st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=3)
NAMES = st.sampled_from(
    [
        *("type", "message", "usage", "delta", "choices", "content", "error", "model"),
        *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"),
        *("cached_tokens", "reasoning_tokens", "completion_tokens_details", "iterations"),
        *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation"),
        *("cache_creation_input_tokens", "server_tool_use", "web_search_requests"),
        *("inference_geo", "speed"),
    ]
)
KINDS = st.sampled_from(
    [
        *("message_start", "message_delta", "content_block_delta", "error", "compaction"),
        *("advisor_message", "us"),
    ]
)
TREES = st.recursive(
    VALUES | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
EVENTS = st.binary(max_size=30) | TREES.map(lambda tree: json.dumps(tree).encode())


@given(st.lists(EVENTS, max_size=5), st.booleans())
def test_no_event_makes_an_interpreter_raise(events: list[bytes], wants_usage: bool) -> None:  # noqa: FBT001  # hypothesis hands it over by place
    chat_chunks = chat_interpreter(wants_usage=wants_usage)
    for interpreter in (chat_chunks, response_interpreter(), MessagesInterpreter()):
        assert seen(interpreter, *events).reading().usage.is_consistent


@given(EVENTS)
def test_no_body_makes_a_dialect_raise(body: bytes) -> None:
    for one, operation in READERS.values():
        assert one.read_answer(body, operation, PLAIN).usage.is_consistent


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_of_a_stream_reach_the_client(chunks: list[bytes]) -> None:
    reader = StreamReader(MessagesInterpreter())
    relayed = b"".join(map(reader.feed, chunks)) + reader.rest()
    assert relayed == b"".join(chunks)
    assert not reader.has_failed


def streamed(interpreter: dialect.Interpreter, *events: dict[str, Any]) -> Reading:
    for event in events:
        interpreter.see(json.dumps(event).encode())
    return interpreter.reading()


@pytest.mark.parametrize(
    "reading",
    [
        read_chat(raw(id="a-1", choices=[])),
        read_message(raw(id="a-1", content=[])),
        OPENAI.read_answer(raw(id="a-1", store=False), Operation.RESPONSES, PLAIN),
        streamed(chat_interpreter(wants_usage=True), {"id": "a-1"}, {"choices": []}),
        streamed(response_interpreter(), {"type": "response.created", "response": {"id": "a-1"}}),
        streamed(MessagesInterpreter(), {"type": "message_start", "message": {"id": "a-1"}}),
    ],
    ids=["chat", "message", "response", "chat stream", "response stream", "message stream"],
)
def test_the_name_that_the_provider_gave_to_its_answer_is_read(reading: Reading) -> None:
    assert reading.provider_id == "a-1"

"""Logs: one line for each event, whatever is in it, and nothing that must stay secret."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.domain.call import Operation, Outcome
from ai_gateway.telemetry.logs import CallLog, JsonFormatter, TextFormatter, configure_logging
from ai_gateway.telemetry.observer import LocalCall
from tests.telemetry.facts import settled_call

NASTY = {
    "line end": 'a\n{"event": "forged"}',
    "carriage return": "a\rforged",
    "ansi": "a\x1b[2J\x1b[31mforged",
    "nul": "a\0b",
    "line separator": "a\u2028forged",
    "paragraph separator": "a\u2029forged",
    "next line": "a\x85forged",
    "right to left": "a\u202eforged",
    "half a character": "a\ud800b",
    "quotes": '","event":"forged"',
}


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def record_of(message: str, **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "a.b"})
    vars(record).update(extra)
    return record


def logged(caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    """The one line that was logged, as JSON has it."""
    (record,) = caplog.records
    line: dict[str, object] = json.loads(JsonFormatter().format(record))
    return line


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_no_text_forges_a_line(formatter: logging.Formatter, text: str) -> None:
    for record in (record_of(text), record_of("event", model=text)):
        line = formatter.format(record)
        assert len(line.splitlines()) == 1
        assert line.isprintable()


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_json_keeps_the_text_as_it_was(text: str) -> None:
    line = json.loads(JsonFormatter().format(record_of("event", model=text)))
    assert (line["event"], line["model"]) == ("event", text)


@given(st.dictionaries(st.sampled_from(["model", "reason", "cost"]), st.text() | st.integers()))
def test_json_is_one_readable_line_whatever_it_holds(extra: dict[str, object]) -> None:
    line = JsonFormatter().format(record_of("event", **extra))
    assert "\n" not in line
    assert json.loads(line).items() >= extra.items()


def test_json_has_moment_level_event_and_logger() -> None:
    record = record_of("event %s", args=("x",), created=0.0, levelname="WARNING")
    line = json.loads(JsonFormatter().format(record))
    assert line == {
        "time": "1970-01-01T00:00:00+00:00",
        "level": "warning",
        "event": "event x",
        "logger": "a.b",
    }


def test_value_that_json_does_not_know_is_written_as_text() -> None:
    line = json.loads(JsonFormatter().format(record_of("event", thing={1}, word=Outcome.SUCCESS)))
    assert (line["thing"], line["word"]) == ("{1}", "success")


def test_traceback_is_a_field_of_the_same_line() -> None:
    record = record_of("failed")
    try:
        raise ValueError("a\nforged")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    (line,) = JsonFormatter().format(record).splitlines()
    assert "forged" in json.loads(line)["traceback"]
    assert "ValueError" in TextFormatter().format(record)


def test_text_line_is_for_reading() -> None:
    line = TextFormatter().format(record_of("event", model="größe", cost=7))
    assert line.endswith("info    event model=größe cost=7")


@pytest.mark.parametrize(
    ("style", "formatter"), [("json", JsonFormatter), ("text", TextFormatter)], ids=str
)
def test_all_logs_go_to_one_handler(
    root: logging.Logger, style: str, formatter: type[logging.Formatter]
) -> None:
    configure_logging("warning", style)  # type: ignore[arg-type]  # a word of the table
    configure_logging("warning", style)  # type: ignore[arg-type]
    (handler,) = root.handlers
    assert isinstance(handler.formatter, formatter)
    assert root.level == logging.WARNING


def test_logs_are_json_where_nobody_watches(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    configure_logging("info", "auto")
    assert isinstance(root.handlers[0].formatter, JsonFormatter)


def test_chatter_of_libraries_is_left_out(root: logging.Logger) -> None:
    configure_logging("debug", "json")
    assert root.level == logging.DEBUG
    for name in ("alembic", "urllib3", "werkzeug"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_settled_call_is_one_line_of_facts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ai_gateway.calls")
    CallLog().settled(settled_call())
    line = logged(caplog)
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "ai_gateway.calls",
        "event": "call_settled",
        "request_id": "req_1",
        "user_id": 7,
        "key_id": "k0000001",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "operation": "chat",
        "stream": False,
        "outcome": "success",
        "input_tokens": 100,
        "output_tokens": 50,
        "cost_usd": "0.0000006",
        "confidence": "reported",
        "latency_ms": 17,
    }


def test_settled_call_is_the_same_facts_for_a_reader(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ai_gateway.calls")
    CallLog().settled(settled_call())
    (record,) = caplog.records
    line = TextFormatter().format(record)
    assert " info    call_settled request_id=req_1 user_id=7 " in line
    assert line.endswith(
        " outcome=success input_tokens=100 output_tokens=50 cost_usd=0.0000006"
        " confidence=reported latency_ms=17"
    )


def test_calls_have_no_line_where_the_level_is_above_theirs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "ai_gateway.calls")
    CallLog().settled(settled_call())
    CallLog().answered_locally(LocalCall("req_1", Operation.CHAT, Outcome.SUCCESS, ""))
    assert caplog.records == []


@pytest.mark.parametrize(("reason", "event"), [("", "call_answered"), ("user_day", "call_refused")])
def test_local_answer_is_one_line_of_facts(
    caplog: pytest.LogCaptureFixture, reason: str, event: str
) -> None:
    caplog.set_level(logging.INFO, "ai_gateway.calls")
    CallLog().answered_locally(
        LocalCall("req_1", Operation.CHAT, Outcome.BUDGET_BLOCKED, reason, stream=True)
    )
    line = logged(caplog)
    assert (line["event"], line["level"]) == (event, "info")
    assert (line["request_id"], line["outcome"], line["reason"]) == (
        "req_1",
        "budget_blocked",
        reason,
    )


def test_name_that_a_client_chose_is_in_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ai_gateway.calls")
    CallLog().settled(settled_call(model_requested="chosen", served_model="told"))
    assert "chosen" not in str(logged(caplog))
    assert "told" not in str(logged(caplog))


def test_text_of_an_exception_forges_no_line() -> None:
    try:
        raise ValueError("broken\n12:00:00 info    call_settled cost_usd=0.00\x1b[31m")
    except ValueError as error:
        caught = (type(error), error, error.__traceback__)
    record = logging.makeLogRecord({"msg": "call_failed", "exc_info": caught})
    first, *rest = TextFormatter().format(record).splitlines()
    assert "call_failed" in first
    assert all(line.startswith("    ") and line.isprintable() for line in rest)

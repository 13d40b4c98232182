"""What the comparison with a real model server is made of; the server itself is not installed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.model_server.calls import TEXTS, Answered, Case, all_cases, send
from bench.model_server.comparison import HEADINGS, Compared, Row, summary, table
from bench.model_server.environment import REQUIREMENTS, ready_environment, run
from simulator.testing import RunningSimulator, running_simulator

PLAIN = Case("word", stream=False)
BOOKED: Row = {
    "input_tokens": 1603,
    "output_tokens": 10,
    "cost_nano_usd": 205556,  # 1603 x 123.457 + 10 x 765.433 = 205555.901
    "outcome": "success",
    "confidence": "reported",
    "price_status": "priced",
}
EQUAL = Compared(
    Answered(PLAIN, "req_1", "ten words", (1603, 10), "0.000205556"), (1603, 10), BOOKED
)


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


def booked(**changes: str | int | None) -> Compared:
    return replace(EQUAL, ledger={**BOOKED, **changes})


def test_three_equal_counts_and_the_rounded_price_are_no_difference() -> None:
    assert EQUAL.differences() == []


@pytest.mark.parametrize(
    ("compared", "words"),
    [
        (replace(EQUAL, tokenizer=(1603, 11)), ["tokenizer"]),
        (booked(input_tokens=1604), ["counts"]),
        (booked(output_tokens=9), ["counts"]),
        (booked(cost_nano_usd=205555), ["cost"]),
        (booked(cost_nano_usd=205557), ["cost"]),
        (booked(outcome="cancelled"), ["outcome is cancelled"]),
        (booked(confidence="counted"), ["confidence is counted"]),
        (booked(price_status="unpriced"), ["price_status is unpriced"]),
        (replace(EQUAL, answered=replace(EQUAL.answered, cost_usd=None)), ["no cost header"]),
        (
            replace(EQUAL, answered=replace(EQUAL.answered, cost_usd="0.000205557")),
            ["cost header"],
        ),
    ],
)
def test_each_difference_is_told(compared: Compared, words: list[str]) -> None:
    assert compared.differences() == words


def test_a_stream_has_no_cost_header_to_compare() -> None:
    answered = replace(EQUAL.answered, case=Case("word", stream=True), cost_usd=None)
    assert replace(EQUAL, answered=answered).differences() == []


def test_table_has_a_line_for_each_call_and_the_summary_counts_the_different_ones() -> None:
    wrong = booked(output_tokens=9)
    head, first, second = table([EQUAL, wrong]).splitlines()
    assert head.split() == [*HEADINGS[:-1]]
    assert first.endswith("equal")
    assert second.endswith("counts")
    assert ": none different" in summary([EQUAL])
    assert ": 1 different" in summary([EQUAL, wrong])


def test_every_text_is_asked_in_every_mode_with_and_without_a_cap() -> None:
    asked = {(case.text, case.mode, case.cap_name) for case in all_cases()}
    assert len(asked) == len(TEXTS) * 3 * 3
    assert {case.cap for case in all_cases()} >= {None, 1}


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_read_with_its_text_and_usage(
    simulator: RunningSimulator, *, stream: bool
) -> None:
    simulator.clear()
    case = Case("unicode", stream=stream, asks_usage=stream, cap_name="max_tokens", cap=7)
    answered = send(case, "gpt-4o-mini", port=simulator.port, key="sk-any")
    (call,) = simulator.calls()
    assert call["usage"] is not None
    assert answered.usage == (call["usage"]["input_tokens"], 7)
    assert len(answered.text.split()) == 7


def test_a_server_that_tells_no_usage_or_an_error_ends_the_run(simulator: RunningSimulator) -> None:
    silent = Case("word", stream=True)
    with pytest.raises(BenchError, match="told no usage"):
        send(silent, "gpt-4o-mini", port=simulator.port, key="sk-any")
    simulator.fault("[[status=503]]", {}, times=1)
    with pytest.raises(BenchError, match="word, plain: 503"):
        send(PLAIN, "gpt-4o-mini", port=simulator.port, key="sk-any")


def test_an_environment_that_has_what_is_wanted_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "installed.txt").write_text(REQUIREMENTS.read_text())
    (tmp_path / "kept").touch()
    assert ready_environment(tmp_path) == tmp_path / "bin"
    assert (tmp_path / "kept").exists()


def test_a_program_that_fails_is_named_with_its_last_words() -> None:
    assert run(["cat"], "text") == "text"
    with pytest.raises(BenchError, match=r"sh -c .* failed: no such model"):
        run(["sh", "-c", "echo one >&2; echo no such model >&2; exit 3"])

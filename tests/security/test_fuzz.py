"""What `make fuzz` holds the readers to: here with few changed seeds, and for broken readers."""

import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_gateway.domain.call import JsonObject, Operation
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.domain.virtual_key import PresentedKey
from tests.security.fuzz import csv_cell, event_stream, operator_file, request_body, usage
from tests.security.fuzz import virtual_key as keys
from tests.security.fuzz.__main__ import Told
from tests.security.fuzz.targets import TARGETS

each_target = pytest.mark.parametrize("name", TARGETS)


@each_target
def test_what_we_begin_with_is_read_right(name: str) -> None:
    seeds = TARGETS[name].seeds()
    assert seeds
    for seed in seeds:
        TARGETS[name].check(seed)


@each_target
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_changed_bytes_are_read_right(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    changed = bytearray(data.draw(st.sampled_from(target.seeds())))
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(changed)))
        end = min(len(changed), start + data.draw(st.integers(0, 6)))
        changed[start:end] = data.draw(st.sampled_from(target.signs) | st.binary(max_size=3))
    target.check(bytes(changed))


def broken_off(name: str, check: Callable[..., None], *arguments: object) -> object:
    return pytest.param(check, arguments, id=name)


def split_at_line_feeds(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    """It knows no other line end."""
    *events, rest = b"".join(chunks).split(b"\n\n")
    return [event + b"\n\n" for event in events], rest


def split_by_chunk(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    """It forgets between two reads."""
    found = [event_stream.split_events([chunk]) for chunk in chunks]
    return [event for events, _ in found for event in events], b"".join(rest for _, rest in found)


def take_every_key(text: str) -> PresentedKey | None:
    return PresentedKey(text[4:12], text) if text.startswith("agw_") else None


def take_no_key(text: str) -> None:
    """It refuses what is right."""


def take_all_of_json(raw: bytes) -> JsonObject:
    body: JsonObject = json.loads(raw)
    return body


def lose_a_member(raw: bytes) -> JsonObject:
    return dict(list(json.loads(raw).items())[1:])


def read_as(status: UsageStatus, **counts: int) -> Reading:
    return Reading(status, Usage(**counts))


STATED = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 20}
WRONG = [
    broken_off(
        "no CR", event_stream.check, b"\x80" * 8 + b"data: a\r\rdata: b", split_at_line_feeds
    ),
    broken_off("forgetful", event_stream.check, b"\x80" * 8 + b"data: a\n\n" * 3, split_by_chunk),
    broken_off("any key", keys.check, keys.seeds()[0][:-1], take_every_key),
    broken_off("no key", keys.check, keys.seeds()[0], take_no_key),
    broken_off("NaN", request_body.check, b'{"a":NaN}', take_all_of_json),
    broken_off("half a sign", request_body.check, b'{"a":"\\ud800"}', take_all_of_json),
    broken_off("a member is lost", request_body.check, b'{"a":1,"b":2}', lose_a_member),
    broken_off(
        "exact at less than stated",
        usage.hold,
        *(read_as(UsageStatus.EXACT, input_tokens=9, output_tokens=5), Operation.CHAT, STATED),
    ),
    broken_off(
        "negative",
        usage.hold,
        *(read_as(UsageStatus.ANOMALY, input_tokens=-1), Operation.CHAT, STATED),
    ),
    broken_off("formula", csv_cell.hold, [["=1", "", ""]], "a,b,c\r\n=1,,\r\n"),
    broken_off("row within a row", csv_cell.hold, [["a\r=1", "", ""]], "a,b,c\r\na\r=1,,\r\n"),
    broken_off("another text", csv_cell.hold, [["a", "", ""]], "a,b,c\r\n'a,,\r\n"),
    broken_off("no line", operator_file.hold, "x.toml: wrong", "x.toml", b"\n"),
    broken_off("line behind the end", operator_file.hold, "x.toml, line 3: no", "x.toml", b"\n"),
    broken_off("two lines", operator_file.hold, "x.toml, line 1: a\nb", "x.toml", b"\n"),
]


@pytest.mark.parametrize(("check", "arguments"), WRONG)
def test_what_is_wrong_is_found(check: Callable[..., None], arguments: tuple[object, ...]) -> None:
    with pytest.raises(AssertionError):
        check(*arguments)


SAID = """
#2  INITED cov: 12 ft: 20 corp: 2/2b
#64 NEW    cov: 31 ft: 44 corp: 3/9b
AssertionError: a formula
stat::number_of_executed_units: 64
"""


def test_what_the_fuzzer_says_is_summed_up() -> None:
    assert Told.read(SAID, 0) == Told(64, 31, 44, "")
    assert "a formula" in Told.read(SAID, 77).finding


def test_a_fuzzer_that_did_not_begin_is_a_finding() -> None:
    assert Told.read("ModuleNotFoundError: atheris", 1).finding

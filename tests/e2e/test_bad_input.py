"""What callers and providers do wrong: told in the dialect's shape, and no cent is lost."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.caller import DIALECTS, PATHS, Caller, Dialect, Headers, left_open, request
from tests.e2e.operating import Operator
from tests.running import RunningGateway

MB = 2**20


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else []


def encoded(**changes: object) -> Callable[[dict[str, Any]], bytes]:
    """The good body with some fields changed; `...` removes one."""

    def change(body: dict[str, Any]) -> bytes:
        changed = {**body, **changes}
        return json.dumps({k: v for k, v in changed.items() if v is not ...}).encode()

    return change


def raw(body: bytes | list[bytes]) -> Callable[[dict[str, Any]], bytes | list[bytes]]:
    return lambda _: body


BAD_BODIES: dict[str, tuple[int, str, Callable[[dict[str, Any]], bytes | list[bytes]]]] = {
    "empty": (400, "not valid JSON", raw(b"")),
    "not JSON": (400, "not valid JSON", raw(b"{'model': 1}")),
    "not UTF-8": (400, "not valid JSON", raw(b'{"model": "\xff"}')),
    "array": (400, "JSON object", raw(b"[]")),
    "number": (400, "JSON object", raw(b"1")),
    "NaN": (400, "not valid JSON", encoded(temperature=float("nan"))),
    "deep": (400, "nested deeper", encoded(metadata=nested(100))),
    "very deep": (400, "", raw(b'{"model":' + b"[" * 200_000 + b"]" * 200_000 + b"}")),
    "half a surrogate": (400, "", encoded(messages=[{"role": "user", "content": "\ud800"}])),
    "no model": (400, "model", encoded(model=...)),
    "model is null": (400, "model", encoded(model=None)),
    "model is no text": (400, "model", encoded(model=["gpt-4o-mini"])),
    "model is empty": (400, "model", encoded(model="")),
    "model is long": (400, "model name", encoded(model="m" * 10_240)),
    "model has a line end": (400, "model name", encoded(model="gpt-4o-mini\r\nx: y")),
    "no messages": (400, "messages", encoded(messages=...)),
    "messages are no list": (400, "messages", encoded(messages="Hello")),
    "messages are empty": (400, "messages", encoded(messages=[])),
    "stream is text": (400, "stream", encoded(stream="yes")),
    "cap is negative": (400, "max_tokens", encoded(max_tokens=-1)),
    "cap is 0": (400, "max_tokens", encoded(max_tokens=0)),
    "cap is text": (400, "max_tokens", encoded(max_tokens="5")),
    "cap is true": (400, "max_tokens", encoded(max_tokens=True)),
    "cap is a fraction": (400, "max_tokens", encoded(max_tokens=5.5)),
    "cap is huge": (400, "max_tokens", encoded(max_tokens=10**18)),
    "cap is 1e18": (400, "max_tokens", encoded(max_tokens=1e18)),
    "cap is beyond 64 bits": (400, "", encoded(max_tokens=10**30)),
    "large": (413, "larger than 20 MB", lambda body: encoded()(body) + b" " * 20 * MB),
    "large in chunks": (
        413,
        "larger than 20 MB",
        lambda body: [encoded()(body), *[b" " * MB] * 20],
    ),
}
BAD_BODIES_OF_OPENAI = {
    "n is 0": (400, "n: a whole number", encoded(n=0)),
    "n is large": (400, "n: a whole number", encoded(n=10**6)),
    "other cap is 0": (400, "max_completion_tokens", encoded(max_completion_tokens=0)),
}
BAD_BODIES_OF_ANTHROPIC = {"no cap": (400, "max_tokens", encoded(max_tokens=...))}
BAD_HEADERS: dict[str, tuple[int, str, Headers]] = {
    "compressed": (415, "Content-Encoding", {"content-encoding": "gzip"}),
    "no key": (401, "Incorrect API key", {"authorization": "", "x-api-key": ""}),
    "foreign key": (401, "Incorrect API key", {"authorization": "Bearer sk-1", "x-api-key": ""}),
    "two keys": (
        400,
        "Two different API keys",
        {"authorization": "Bearer agw_aaaaaaaa_b", "x-api-key": "agw_cccccccc_d"},
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bad_request_is_refused_with_its_reason_and_costs_nothing(
    caller: Caller, dialect: Dialect
) -> None:
    own = BAD_BODIES_OF_OPENAI if dialect == "openai" else BAD_BODIES_OF_ANTHROPIC
    good = caller.body(dialect)
    problems = []
    for name, (status, words, make) in {**BAD_BODIES, **own}.items():
        answer = caller.post(dialect, make(good))
        if answer.status != status or words not in answer.error(dialect)["message"]:
            problems.append((name, answer.status, answer.body[:300]))
    for name, (status, words, headers) in BAD_HEADERS.items():
        answer = caller.post(dialect, json.dumps(good).encode(), headers)
        if answer.status != status or words not in answer.error(dialect)["message"]:
            problems.append((name, answer.status, answer.body[:300]))
    assert problems == []
    # What comes later is in the ledger after all that came before.
    assert caller.ask(dialect, "[[tokens=1]]").status == 200
    assert len(caller.booked_once(1)) == len(caller.simulated()) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_key_is_refused_what_it_is_not_for(operator: Operator, dialect: Dialect) -> None:
    caller = operator.new_caller("--model", "some-other-model")
    answer = caller.ask(dialect)
    assert answer.status == 403
    assert "not allowed to use the model" in answer.error(dialect)["message"]
    assert caller.simulated() == caller.gateway.ledger(caller.key) == []


def test_refusal_tells_nothing_of_the_machine(caller: Caller) -> None:
    answer = caller.post("openai", b"{")
    assert "x-request-id" in answer.headers
    assert answer.error("openai")["code"] == "invalid_request"
    assert b"Traceback" not in answer.body


def test_key_in_the_address_is_not_taken(caller: Caller, gateway: RunningGateway) -> None:
    body = json.dumps(caller.body("openai")).encode()
    path = f"{PATHS['openai']}?api_key={caller.key}&key={caller.key}"
    answer = request(gateway, "POST", path, body, {"content-type": "application/json"})
    assert (answer.status, answer.error("openai")["code"]) == (401, "invalid_api_key")
    assert "revoke it" in answer.error("openai")["message"]
    assert caller.key.encode() not in answer.body


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", None, 405),
        ("PUT", None, 405),
        ("POST", "/v1/no/such/thing", 404),
        ("POST", "/v1/", 404),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/models", 405),
    ],
)
def test_wrong_address_is_told_in_json(
    caller: Caller, dialect: Dialect, method: str, path: str | None, status: int
) -> None:
    answer = caller.post(dialect, b"{}", path=path, method=method)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert (path or PATHS[dialect]) in answer.error(dialect)["message"]
    assert ("allow" in answer.headers) == (status == 405)


GONE = ("upstream_error", "missing", "counted")
FREE = ("upstream_error", "not_billed", "reported")
REJECTED = ("upstream_rejected", "not_billed", "reported")
FAULTS: dict[str, tuple[int, str, tuple[str, str, str]]] = {
    "[[status=401]]": (502, "upstream_credential", FREE),
    "[[status=403]]": (502, "upstream_credential", FREE),
    "[[status=404]]": (404, "as the provider says", REJECTED),
    "[[status=400]]": (400, "as the provider says", REJECTED),
    "[[status=429]]": (429, "upstream_rate_limited", REJECTED),
    "[[status=500]]": (502, "upstream_unavailable", FREE),
    "[[status=503]]": (502, "upstream_unavailable", FREE),
    "[[status=529]]": (502, "upstream_unavailable", FREE),
    "[[redirect]]": (502, "upstream_unavailable", FREE),
    "[[garbage]]": (502, "upstream_unavailable", GONE),
    "[[cut=0]]": (502, "upstream_unavailable", GONE),
    "[[cut=1]]": (502, "upstream_unavailable", GONE),
}
ANTHROPIC_WORDS = {
    "upstream_credential": "api_error",
    "upstream_rate_limited": "rate_limit_error",
    "upstream_unavailable": "api_error",
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_the_provider_is_told_and_settled_once(
    caller: Caller, dialect: Dialect, fault: str
) -> None:
    status, code, (outcome, usage_status, confidence) = FAULTS[fault]
    answer = caller.ask(dialect, fault)
    assert answer.status == status
    error = answer.error(dialect)
    if code == "as the provider says":
        assert ("as the prompt asked for" in error["message"]) == (status == 400)
        assert error["type"] in {"invalid_request_error", "not_found_error"}
    else:
        word = error["code"] if dialect == "openai" else error["type"]
        assert word == (code if dialect == "openai" else ANTHROPIC_WORDS[code])
        # Nothing of the provider's own words, which may show our credential.
        for words in (b"sk-simu", b"x-api-key", b"proj_simulator", b"org-simulator", b"127.0.0.1"):
            assert words not in answer.body
    assert ("retry-after" in answer.headers) == (status == 429)
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["usage_status"], entry["confidence"]) == (
        outcome,
        usage_status,
        confidence,
    )
    assert (entry["cost_nano_usd"] > 0) == (usage_status == "missing")
    assert (entry["requests"], entry["failures"]) == (1, 1)


PARTIAL = ("upstream_error", "partial", "counted")
STREAM_FAULTS: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    "[[cut=0]]": (GONE, PARTIAL),
    "[[cut=4]]": (GONE, PARTIAL),
    "[[error=0]]": (GONE, PARTIAL),
    "[[error=4]]": (GONE, PARTIAL),
    "[[garbage]]": (GONE, PARTIAL),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", STREAM_FAULTS)
def test_stream_that_breaks_off_ends_with_an_error_event_and_is_counted(
    caller: Caller, dialect: Dialect, fault: str
) -> None:
    stream = caller.stream(dialect, f"[[tokens=8]] {fault}")
    with left_open(stream):
        received = stream.read_all()
    assert not stream.is_broken
    last = received.strip().splitlines()[-1]
    assert last.startswith(b"data: {")
    assert b'"error"' in last
    assert b"[DONE]" not in received
    assert b"message_stop" not in received
    if dialect == "anthropic":
        assert received.strip().splitlines()[-2] == b"event: error"
    (entry,) = caller.booked_once(1)
    expected = STREAM_FAULTS[fault][DIALECTS.index(dialect)]
    assert (entry["outcome"], entry["usage_status"], entry["confidence"]) == expected
    assert 0 < entry["cost_nano_usd"] <= entry["held_nano_usd"]
    if "4" in fault:
        # Four words of the simulator's first sentence: about four tokens.
        assert 3 <= entry["output_tokens"] <= 8


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_answer_without_usage_is_counted_and_says_so(
    caller: Caller, dialect: Dialect, way: str
) -> None:
    answer = caller.ask(dialect, "[[usage=off]] [[tokens=40]]", stream=way == "streamed")
    assert answer.status == 200
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["usage_status"], entry["confidence"]) == (
        "success",
        "missing",
        "counted",
    )
    assert 20 <= entry["output_tokens"] <= 80
    assert 0 < entry["cost_nano_usd"] <= entry["held_nano_usd"]

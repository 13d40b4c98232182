"""S13, S16, S17, S22, S23, S27: what a caller may send, and what must not come of it."""

import json
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import event

from ai_gateway.domain.call import Operation
from ai_gateway.domain.virtual_key import make_key, renew_key
from ai_gateway.errors import InvalidRequest
from ai_gateway.providers.anthropic_dialect import AnthropicDialect
from ai_gateway.providers.json_body import MOST_SIGNS
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.registry import SIMULATOR_KEY
from ai_gateway.stores.tables import db
from simulator.testing import RunningSimulator
from tests.gateway_app import ANTHROPIC, MODELS, OPENAI, GatewayApp, credential

PATHS = (OPENAI, ANTHROPIC)
READ = {
    OPENAI: lambda raw: OpenAIDialect().read_request(Operation.CHAT, raw),
    ANTHROPIC: lambda raw: AnthropicDialect().read_request(Operation.MESSAGES, raw),
}


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the calls of this thread, by name: what is done, however long the machine takes."""
    seen: Counter[str] = Counter()

    def note(frame: FrameType, what: str, called: Any) -> None:
        if what == "call":
            seen[frame.f_code.co_qualname] += 1
        elif what == "c_call":
            seen[called.__qualname__] += 1

    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)


BOMBS = {
    "deep": b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deeper than we read": b'{"model":' + b"[" * 400 + b"]" * 400 + b"}",
    "many lists": b'{"messages":[' + b",".join([b"[]"] * (MOST_SIGNS[b"["] + 1)) + b"]}",
    "many objects": b'{"messages":[' + b",".join([b"{}"] * (MOST_SIGNS[b"{"] + 1)) + b"]}",
    "many members": b"{" + b",".join(b'"%d":0' % number for number in range(1_000_000)) + b"}",
    "many numbers": b'{"input":[' + b",".join([b"1"] * (MOST_SIGNS[b","] + 2)) + b"]}",
    "many texts": b'{"input":["\\"",' + b",".join([b'","'] * 1_000_000) + b"]}",
    "many digits": b'{"max_tokens":' + b"9" * 5_000 + b"}",
    "NaN": b'{"temperature":NaN}',
    "Infinity": b'{"temperature":-Infinity}',
    "half a surrogate": b'{"model":"\\ud800"}',
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_after_few_steps(path: str, name: str) -> None:
    with counted() as seen, pytest.raises(InvalidRequest):
        READ[path](BOMBS[name])
    assert seen.total() < 500, seen.most_common(5)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("text", [',:{["', "\\", '\\"', "\n,"])
def test_a_text_may_have_as_many_signs_as_it_likes(path: str, text: str) -> None:
    """However they are written: a text is one item."""
    message = {"role": "user", "content": text * (max(MOST_SIGNS.values()) + 1)}
    body = {"model": "m", "max_tokens": 1, "messages": [message] * 2}
    assert READ[path](json.dumps(body).encode()).body["messages"] == [message] * 2


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """Nobody may come to this address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


STEERING = ("base_url", "api_base", "api_url", "endpoint", "proxy", "http_proxy", "webhook_url")
NAMING = {"api_key": "sk-of-the-caller", "custom_llm_provider": "evil", "provider": "evil"}
HEADERS = (
    "x-base-url",
    "x-api-base",
    "helicone-target-url",
    "x-portkey-custom-host",
    "x-forwarded-host",
    "x-original-url",
    "x-rewrite-url",
    "forwarded",
    "proxy",
)


@pytest.mark.parametrize("path", PATHS)
def test_no_request_says_where_it_goes_or_with_which_key(
    app: GatewayApp, simulator: RunningSimulator, trap: socket.socket, path: str
) -> None:
    simulator.clear_calls()
    url = f"http://127.0.0.1:{trap.getsockname()[1]}"
    key = app.make_key()
    body = {
        "model": MODELS[path],
        "max_tokens": 20,
        "messages": [{"role": "user", "content": "Hello"}],
        **dict.fromkeys(STEERING, url),
        **NAMING,
    }
    headers = {**credential(key, path), **dict.fromkeys(HEADERS, url)}
    headers |= {"openai-organization": "org-evil", "cookie": "evil=1", "baggage": "evil=1"}
    query = dict.fromkeys((*STEERING, "api-version"), url)
    answer = app.client.post(path, json=body, headers=headers, query_string=query)
    assert answer.status_code == 200, answer.text
    (call,) = simulator.calls()
    sent = {name.lower(): text for name, text in dict(call["request_headers"]).items()}
    used = sent.get("x-api-key") or sent["authorization"]
    assert used.endswith(SIMULATOR_KEY[-4:])  # the simulator shows no more of it
    told = json.dumps([name for name in sent.items() if name[0] != "host"])
    assert url not in told
    assert "evil" not in told
    assert key not in told
    assert "evil" not in call["path"]


PICTURES = (
    "{trap}/latest/meta-data/",
    "file:///etc/passwd",
    "http://169.254.169.254/",
    "gopher://x",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("picture", PICTURES)
def test_an_address_in_a_prompt_is_passed_on_and_not_fetched(
    app: GatewayApp, simulator: RunningSimulator, trap: socket.socket, path: str, picture: str
) -> None:
    simulator.clear_calls()
    url = picture.format(trap=f"http://127.0.0.1:{trap.getsockname()[1]}")
    part: dict[str, object] = (
        {"type": "image_url", "image_url": {"url": url}}
        if path == OPENAI
        else {"type": "image", "source": {"type": "url", "url": url}}
    )
    content = [{"type": "text", "text": "What is this?"}, part]
    app.call(app.make_key(), path, messages=[{"role": "user", "content": content}])
    (call,) = simulator.calls()
    body: Any = call["request_body"]
    assert body["messages"][0]["content"] == content


JUNK = (
    "' OR '1'='1",
    "agw_'; DROP TABLE virtual_key; --_" + "a" * 49,
    "agw_" + "*" * 8 + "_" + "a" * 49,
    "agw_{agw}:me_" + "a" * 49,
    "agw_.{8}_.{49}",
    "agw_%s%s%s%s_" + "a" * 49,
    "agw_aaaaaaaa_" + "a" * 49,
    "agw_" + "a" * 2**20,
    "agw_aaaaaaaa_" + "ä" * 49,
    "agw_aaaaaaaa_" + "０" * 49,
    " ",
)


@pytest.fixture
def statements(app: GatewayApp) -> Iterator[list[str]]:
    """What the database is asked."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_: object) -> None:
        asked.append(text)

    with app.app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


def questions(app: GatewayApp) -> int:
    """How often Redis was asked for a key; refusals are written in the background, uncounted."""
    told: dict[str, Any] = app.store.client.info("commandstats")
    return sum(told.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("hget", "hmget"))


@pytest.mark.parametrize("path", [*PATHS, "/v1/models"])
def test_what_is_no_key_is_refused_without_a_question(
    app: GatewayApp, statements: list[str], path: str
) -> None:
    before = questions(app)
    for junk in JUNK:
        for headers in ({"authorization": f"Bearer {junk}"}, {"x-api-key": junk}):
            sent = {name: text.encode().decode("latin-1") for name, text in headers.items()}
            method = "GET" if path == "/v1/models" else "POST"
            answer = app.client.open(path, method=method, json={}, headers=sent)
            assert answer.status_code == 401, junk[:40]
    assert questions(app) == before
    assert statements == []


def test_a_wrong_secret_and_an_unknown_key_are_told_apart_by_nothing(app: GatewayApp) -> None:
    """The same answer, and as many steps of ours to it; noise of the machine is not looked at."""
    known = renew_key(app.make_key().split("_")[1], b"\5" * 48).text
    unknown = make_key(b"\7" * 48).text
    seen: dict[str, tuple[object, ...]] = {}
    for key in (known, unknown) * 2:  # twice: the first call of all does what no other does
        before = questions(app)
        with counted() as steps:
            answer = app.call(key)
        body = answer.text.replace(answer.headers["x-request-id"], "")
        names = sorted(name for name, _ in answer.headers)
        asked = questions(app) - before
        seen[key] = (answer.status_code, body, names, steps["digest_key"], asked)
    assert seen[known] == seen[unknown]
    assert seen[known][0] == 401
    assert asked > 0


@pytest.mark.parametrize("path", [*PATHS, "/v1/models", "/api/v1/ai/analytics/user/"])
def test_whoever_sends_a_key_in_the_address_is_told_to_revoke_it(
    app: GatewayApp, path: str
) -> None:
    """Only a text that could be a key; one in a header goes before it, and counts alone."""
    key = app.make_key()
    method = "POST" if path in PATHS else "GET"

    def ask(query: str, **headers: str) -> tuple[int, bool]:
        url = f"{path}?a=1&key=x&key={query}"
        answer = app.client.open(url, method=method, json={}, headers=headers)
        assert key not in answer.text
        return answer.status_code, "revoke it" in answer.text

    assert ask(key) == (401, True)
    assert ask(key[:-1] + ("a" if key[-1] != "a" else "b")) == (401, False)
    status, is_told = ask(key, authorization=f"Bearer {key}")
    assert status != 401
    assert not is_told


PAIRS: dict[str, Callable[[str, str], dict[str, str]]] = {
    "bearer and x-api-key": lambda a, b: {"authorization": f"Bearer {a}", "x-api-key": b},
    "bearer and api-key": lambda a, b: {"authorization": f"Bearer {a}", "api-key": b},
    "both others": lambda a, b: {"x-api-key": a, "api-key": b},
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_keys_in_one_request_are_refused_everywhere(app: GatewayApp, pair: str) -> None:
    headers = PAIRS[pair](app.make_key(), app.make_key())
    for method, path in (
        ("POST", OPENAI),
        ("POST", ANTHROPIC),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/openai/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/v1/responses/resp_1"),
        ("GET", "/api/v1/ai/analytics/user/"),
    ):
        answer = app.client.open(path, method=method, json={}, headers=headers)
        assert (path, answer.status_code) == (path, 400)
        assert "Two different API keys" in answer.text

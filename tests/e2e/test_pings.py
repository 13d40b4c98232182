"""A provider that is silent in the middle of a stream: the client hears that it is alive."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

from ai_gateway.services.relay import PING, PING_SECONDS
from simulator.calls import CallFacts
from tests.e2e.caller import DIALECTS, MODELS, Answer, Caller, Dialect, left_open
from tests.running import RunningGateway

pytestmark = pytest.mark.long

SILENT = f"[[tokens=4]] [[silence={PING_SECONDS * 1_000 + 1_500}]]"
NOTICED_SECONDS = 2 * PING_SECONDS + 5
"""The first ping to a client that has left is answered by a reset, the second one fails."""

Told = dict[str, Future[Any]]


def streamed(caller: Caller, dialect: Dialect) -> bytes:
    stream = caller.stream(dialect, SILENT)
    with left_open(stream):
        return stream.read_all()


def openai_sdk(caller: Caller) -> str:
    with OpenAI(base_url=f"{caller.gateway.base_url}/v1", api_key=caller.key) as client:
        body: Any = caller.body("openai", SILENT)
        chunks = client.chat.completions.create(**body, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def anthropic_sdk(caller: Caller) -> str:
    with Anthropic(base_url=caller.gateway.base_url, api_key=caller.key) as client:
        body: Any = caller.body("anthropic", SILENT)
        with client.messages.stream(**body) as stream:
            return "".join(stream.text_stream)


def whole(caller: Caller) -> Answer:
    return caller.ask("openai", f"[[tokens=4]] [[delay={PING_SECONDS * 1_000 + 1_500}]]")


def left(caller: Caller, dialect: Dialect) -> tuple[float, CallFacts]:
    """Go away in a silence without an end; how long the provider was kept, and its call."""
    stream = caller.stream(dialect, "[[stall=1]]")
    stream.read_until(b"Hello")
    started = time.monotonic()
    stream.leave()
    while not (calls := [call for call in caller.simulated() if call["ended"]]):
        assert time.monotonic() - started < 60
    return time.monotonic() - started, calls[0]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Told, dict[str, Caller]]]:
    """All the silences at once, since most of it is waiting."""
    stories: dict[str, Callable[[Caller], object]] = {
        "openai": lambda caller: streamed(caller, "openai"),
        "anthropic": lambda caller: streamed(caller, "anthropic"),
        "openai-sdk": openai_sdk,
        "anthropic-sdk": anthropic_sdk,
        "whole": whole,
        "left-openai": lambda caller: left(caller, "openai"),
        "left-anthropic": lambda caller: left(caller, "anthropic"),
    }
    variables = {"AI_GATEWAY_ON_DISCONNECT": "cancel", "WEB_CONCURRENCY": "1"}
    gateway = RunningGateway(tmp_path_factory.mktemp("silences"), variables)
    try:
        gateway.start()
        callers = {name: Caller(gateway, gateway.make_key()) for name in stories}
        with ThreadPoolExecutor(len(stories)) as pool:
            yield (
                {name: pool.submit(story, callers[name]) for name, story in stories.items()},
                callers,
            )
    finally:
        gateway.end()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_client_hears_a_ping_between_two_events(
    told: tuple[Told, dict[str, Caller]], dialect: Dialect
) -> None:
    received: bytes = told[0][dialect].result()
    assert received.count(PING) == 1
    events = received.replace(PING, b"").removesuffix(b"\n\n").split(b"\n\n")
    for event in events:
        data = event.partition(b"data: ")[2]
        assert data == b"[DONE]" or json.loads(data)
    (entry,) = told[1][dialect].booked_once(1)
    assert (entry["outcome"], entry["output_tokens"]) == ("success", 4)


@pytest.mark.parametrize("name", ["openai-sdk", "anthropic-sdk"])
def test_sdk_does_not_notice_a_ping(told: tuple[Told, dict[str, Caller]], name: str) -> None:
    assert told[0][name].result() == "Hello from the AI"


def test_answer_that_is_not_streamed_has_no_ping(told: tuple[Told, dict[str, Caller]]) -> None:
    answer: Answer = told[0]["whole"].result()
    assert answer.status == 200
    assert answer.json()["model"].startswith(MODELS["openai"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_client_that_left_in_a_silence_is_noticed(
    told: tuple[Told, dict[str, Caller]], dialect: Dialect
) -> None:
    seconds, call = told[0][f"left-{dialect}"].result()
    assert seconds < NOTICED_SECONDS
    assert not call["finished"]
    (entry,) = told[1][f"left-{dialect}"].booked_once(1)
    assert entry["outcome"] == "cancelled"

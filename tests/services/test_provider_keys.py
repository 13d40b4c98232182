"""A provider's key in a file is replaced: streams go on, and the next call has the new one."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler
from pathlib import Path
from queue import SimpleQueue
from threading import Event

import pytest

from ai_gateway.factory import START_EXTENSION
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import Registry
from ai_gateway.services.provider_keys import ProviderKeys
from tests.gateway_app import opened_app
from tests.providers.upstream import Connection, Upstream
from tests.redis_servers import RedisServer, running_redis

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
FIRST = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
LAST = (
    b'data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
    b"data: [DONE]\n\n"
)


@pytest.fixture
def registry() -> Registry:
    return Registry([Provider("lab", "openai", "http://lab.test", "old")])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text("old\n")
    return file


def key_of(registry: Registry) -> str | None:
    found = registry.get("lab")
    assert found is not None
    return found.api_key


def test_another_key_is_taken(registry: Registry, file: Path) -> None:
    keys = ProviderKeys(registry, {"lab": file})
    before = registry.get("lab")
    keys.look()
    assert registry.get("lab") is before
    file.write_text(" new \n")
    keys.look()
    assert key_of(registry) == "new"
    assert before is not None
    assert before.api_key == "old"


def test_file_behind_a_link_may_be_swapped(registry: Registry, tmp_path: Path) -> None:
    """As Kubernetes does it."""
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "old")
    keys = ProviderKeys(registry, {"lab": link})
    (tmp_path / "next").symlink_to(tmp_path / "new")
    (tmp_path / "next").rename(link)
    keys.look()
    assert key_of(registry) == "new"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", None])
def test_what_cannot_be_read_changes_nothing_and_is_told_once(
    registry: Registry, file: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    keys = ProviderKeys(registry, {"lab": file})
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        keys.look()
        keys.look()
    assert key_of(registry) == "old"
    assert [record.message for record in caplog.records] == ["provider_key_unreadable"]
    file.write_text("sk-new")
    keys.look()
    assert key_of(registry) == "sk-new"
    assert "sk-new" not in caplog.text


@contextmanager
def told() -> Iterator["SimpleQueue[logging.LogRecord]"]:
    """What is logged of keys, as it comes."""
    lines: SimpleQueue[logging.LogRecord] = SimpleQueue()
    logger, handler = logging.getLogger(ProviderKeys.__module__), QueueHandler(lines)
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


def test_open_stream_ends_well_and_the_next_call_has_the_new_key(
    server: RedisServer, file: Path
) -> None:
    may_end = Event()

    def streams(connection: Connection) -> None:
        connection.take_request()
        connection.send(HEAD, FIRST)
        assert may_end.wait(20)
        connection.send(LAST)

    def answers(connection: Connection) -> None:
        connection.take_request()
        connection.send(HEAD, LAST)

    with Upstream([streams, answers]) as upstream:
        variables = {
            "AI_GATEWAY_SIMULATOR": "off",
            "OPENAI_API_KEY_FILE": str(file),
            "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream.port}/v1",
        }
        with opened_app(server, variables=variables) as gateway:
            gateway.app.extensions[START_EXTENSION]()
            key = gateway.make_key()
            with gateway.call(key, stream=True) as stream:
                received = stream.iter_encoded()
                first = next(received)
                with told() as lines:
                    file.write_text("new")
                    assert lines.get(timeout=20).getMessage() == "provider_key_changed"
                second = gateway.call(key, stream=True)
                assert second.data.endswith(b"data: [DONE]\n\n")
                may_end.set()
                rest = b"".join([first, *received])
    assert rest.endswith(b"data: [DONE]\n\n")
    sent = [request.headers["authorization"] for request in upstream.seen]
    assert sent == ["Bearer old", "Bearer new"]

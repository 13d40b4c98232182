"""The addresses of clients, from HTTP to the ledger, in this process."""

import io
import json
import socket
import time
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from ai_gateway.stores import redis_keys
from ai_gateway.stores.tables import LedgerEntry, db
from ai_gateway.web.calls import CLIENT_READS_WITHIN_SECONDS, MAX_BODY_BYTES
from simulator.testing import Recorded, RunningSimulator
from tests.gateway_app import ANTHROPIC, MODELS, OPENAI, GatewayApp, credential, opened_app
from tests.redis_servers import running_redis

PATHS = (OPENAI, ANTHROPIC)


@pytest.fixture
def gateway(shared_app: GatewayApp, simulator: RunningSimulator) -> GatewayApp:
    simulator.clear()
    shared_app.open()
    return shared_app


@pytest.fixture
def key(gateway: GatewayApp) -> str:
    return gateway.make_key()


def error_of(answer: TestResponse, path: str) -> dict[str, Any]:
    """The error of an answer that has its dialect's shape, and that alone."""
    body = json.loads(answer.text)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == answer.headers["request-id"]
    assert answer.headers["cache-control"] == "no-store"
    if path == OPENAI:
        assert body.keys() == {"error"}
        assert body["error"].keys() == {"message", "type", "param", "code"}
    else:
        assert body.keys() == {"type", "error", "request_id"}
        assert body["request_id"] == answer.headers["x-request-id"]
    error: dict[str, Any] = body["error"]
    return error


def booked(gateway: GatewayApp, key: str) -> list[LedgerEntry]:
    with gateway.app.app_context():
        while gateway.bookkeeper().book(block_ms=None):
            pass
        query = select(LedgerEntry).where(LedgerEntry.key_id == key.split("_")[1])
        with Session(db.engine) as session:
            return list(session.scalars(query.order_by(LedgerEntry.id)))


class TestAnswers:
    """A call that goes well."""

    @pytest.mark.parametrize("path", PATHS)
    def test_an_answer_names_its_request_and_its_cost(
        self, gateway: GatewayApp, key: str, path: str
    ) -> None:
        answer = gateway.call(key, path)
        assert answer.status_code == 200
        [entry] = booked(gateway, key)
        cost = f"{entry.cost_nano_usd / 10**9:.9f}".rstrip("0")
        assert answer.headers["x-ai-gateway-cost-usd"] == cost
        assert answer.headers["x-request-id"] == answer.headers["request-id"] == entry.request_id
        assert answer.headers["x-ai-gateway-simulator"] == "true"
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("path", PATHS)
    def test_a_stream_is_booked_when_it_ends(
        self, gateway: GatewayApp, key: str, path: str
    ) -> None:
        answer = gateway.call(key, path, stream=True)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        assert "x-ai-gateway-cost-usd" not in answer.headers
        last = b"[DONE]" if path == OPENAI else b"message_stop"
        assert last in answer.data
        answer.close()
        [entry] = booked(gateway, key)
        assert (entry.stream, entry.outcome, entry.confidence) == (True, "success", "reported")
        assert entry.cost_nano_usd > 0

    @pytest.mark.parametrize("path", PATHS)
    def test_the_answer_comes_as_the_provider_sent_it(
        self, gateway: GatewayApp, simulator: RunningSimulator, key: str, path: str
    ) -> None:
        usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
        if path == ANTHROPIC:
            usage = {"input_tokens": 5, "output_tokens": 3}
        body = json.dumps({"model": "gpt-4o-mini", "x": "\u00fc", "usage": usage}, indent=3)
        recorded = Recorded(content=body.encode(), headers={"content-type": "application/json"})
        simulator.record(
            recorded, {"model": "gpt-4o-mini" if path == OPENAI else "claude-haiku-5-5"}
        )
        assert gateway.call(key, path).text == body


class TestVanishedHosts:
    """A client whose host is gone acknowledges nothing, and nobody says so."""

    @pytest.mark.parametrize("path", PATHS)
    def test_a_stream_is_given_up_when_nothing_is_acknowledged(
        self, gateway: GatewayApp, key: str, path: str
    ) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()) as connection,
        ):
            self.stream(gateway, key, path, connection)
            limit = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert limit == CLIENT_READS_WITHIN_SECONDS * 1000

    def test_a_proxy_at_a_socket_of_this_host_is_served(
        self, gateway: GatewayApp, key: str
    ) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.stream(gateway, key, OPENAI, ours)

    def stream(self, gateway: GatewayApp, key: str, path: str, connection: socket.socket) -> None:
        answer = gateway.client.post(
            path,
            json={
                "model": MODELS[path],
                "max_tokens": 5,
                "stream": True,
                "messages": [{"role": "user", "content": "Hello"}],
            },
            headers=credential(key, path),
            environ_overrides={"gunicorn.socket": connection},
        )
        assert answer.status_code == 200
        assert answer.get_data()


class TestRefusals:
    """Errors before anything was sent: each with its status, and nothing is booked."""

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("wrong", [None, "sk-1", "agw_aaaaaaaa_b", "agw_" + "a" * 58])
    def test_whoever_has_no_key_of_ours(
        self, gateway: GatewayApp, path: str, wrong: str | None
    ) -> None:
        answer = gateway.call(wrong, path)
        assert answer.status_code == 401
        assert error_of(answer, path)["type"] == "authentication_error"
        assert wrong is None or wrong not in answer.text

    @pytest.mark.parametrize("path", PATHS)
    def test_a_revoked_key_is_refused_on_the_very_next_call(
        self, gateway: GatewayApp, key: str, path: str
    ) -> None:
        assert gateway.call(key, path).status_code == 200
        assert gateway.flask("key", "revoke", key).exit_code == 0
        assert gateway.call(key, path).status_code == 401

    @pytest.mark.parametrize("path", PATHS)
    def test_a_lowered_limit_holds_on_the_very_next_call(
        self, gateway: GatewayApp, path: str
    ) -> None:
        name = gateway.make_user()
        key = gateway.make_key(name)
        assert gateway.call(key, path).status_code == 200
        assert gateway.flask("user", "limit", name, "--daily", "0").exit_code == 0
        answer = gateway.call(key, path)
        assert answer.status_code == 429
        assert answer.headers["x-should-retry"] == "false"
        message = error_of(answer, path)["message"]
        assert message.startswith("Budget exceeded: the user's daily budget has no room")
        assert "Limit $0.00, spent $0.0000" in message
        assert len(booked(gateway, key)) == 1

    @pytest.mark.parametrize("path", PATHS)
    def test_a_key_for_another_model(self, gateway: GatewayApp, path: str) -> None:
        key = gateway.make_key(None, "--model", "some-other-model")
        answer = gateway.call(key, path)
        assert answer.status_code == 403
        assert error_of(answer, path)["type"] == "permission_error"

    @pytest.mark.parametrize("path", PATHS)
    def test_a_model_that_nobody_has(self, gateway: GatewayApp, key: str, path: str) -> None:
        answer = gateway.call(key, path, model="gpt-99")
        assert answer.status_code == 404
        kind = "invalid_request_error" if path == OPENAI else "not_found_error"
        assert error_of(answer, path)["type"] == kind

    @pytest.mark.parametrize("path", PATHS)
    def test_a_model_without_a_price(self, gateway: GatewayApp, key: str, path: str) -> None:
        provider = "openai" if path == OPENAI else "anthropic"
        answer = gateway.call(key, path, model=f"{provider}/unheard-of")
        assert answer.status_code == 422
        assert "[[prices]]" in error_of(answer, path)["message"]

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            ({"data": b"{"}, 400),
            ({"json": {"model": "gpt-4o-mini"}}, 400),
            ({"data": b" " * (MAX_BODY_BYTES + 1)}, 413),
            ({"data": b"\x1f\x8b", "headers": {"content-encoding": "gzip"}}, 415),
            ({"json": {}, "headers": {"api-key": "agw_other"}}, 400),
        ],
        ids=["no JSON", "no messages", "large", "compressed", "two keys"],
    )
    def test_a_request_that_is_wrong(
        self, gateway: GatewayApp, key: str, path: str, *, sent: dict[str, Any], status: int
    ) -> None:
        headers = credential(key, path) | sent.get("headers", {})
        answer = gateway.client.post(path, **sent | {"headers": headers})
        assert answer.status_code == status
        assert error_of(answer, path)["message"]
        assert booked(gateway, key) == []

    @pytest.mark.parametrize("path", PATHS)
    def test_counters_that_cannot_be_trusted(
        self, gateway: GatewayApp, key: str, path: str
    ) -> None:
        """Also for a worker that knows no key yet: never 401."""
        gateway.store.client.flushall()
        answer = gateway.call(key, path)
        assert answer.status_code == 503
        assert (answer.headers["x-should-retry"], answer.headers["retry-after"]) == ("true", "2")
        kind = "server_error" if path == OPENAI else "overloaded_error"
        assert error_of(answer, path)["type"] == kind
        gateway.open()
        assert gateway.call(key, path).status_code == 200

    def test_a_redis_that_is_away(self) -> None:
        with running_redis() as own_server, opened_app(own_server) as gateway:
            key = gateway.make_key()
            own_server.stop()
            started = time.monotonic()
            answers = [gateway.call(key, path) for path in PATHS]
            took = time.monotonic() - started
            own_server.start()
        assert [answer.status_code for answer in answers] == [503, 503]
        assert error_of(answers[0], OPENAI)["code"] == "budget_unavailable"
        assert took < 2


class TestUpstreamErrors:
    """Errors of the provider, and whether they cost anything."""

    CASES: tuple[tuple[str, int, str | None, str], ...] = (
        ("[[status=400]]", 400, None, "upstream_rejected"),
        ("[[status=401]]", 502, "false", "upstream_error"),
        ("[[status=403]]", 502, "false", "upstream_error"),
        ("[[status=429]]", 429, None, "upstream_rejected"),
        ("[[status=500]]", 502, "true", "upstream_error"),
        ("[[status=529]]", 502, "true", "upstream_error"),
        ("[[redirect]]", 502, "true", "upstream_error"),
        ("[[cut=0]]", 502, "false", "upstream_error"),
    )

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(("prompt", "status", "should_retry", "outcome"), CASES)
    def test_it_is_told_and_booked(
        self, gateway: GatewayApp, key: str, path: str, *,
        prompt: str, status: int, should_retry: str | None, outcome: str,
    ) -> None:  # fmt: skip
        answer = gateway.call(key, path, prompt)
        assert answer.status_code == status
        assert answer.headers.get("x-should-retry") == should_retry
        assert "127.0.0.1" not in answer.text
        [entry] = booked(gateway, key)
        assert entry.outcome == outcome
        assert entry.failures == 1
        # What broke off may have been billed: it is counted, and flagged.
        is_counted = prompt == "[[cut=0]]"
        assert entry.confidence == ("counted" if is_counted else "reported")
        assert (entry.cost_nano_usd > 0) is is_counted

    def test_a_providers_rate_limit_names_its_time(self, gateway: GatewayApp, key: str) -> None:
        answer = gateway.call(key, OPENAI, "[[status=429]]")
        assert answer.headers["retry-after"].isdigit()
        assert error_of(answer, OPENAI)["code"] == "upstream_rate_limited"

    @pytest.mark.parametrize("path", PATHS)
    def test_a_stream_that_breaks_ends_with_the_dialects_error_event(
        self, gateway: GatewayApp, key: str, path: str
    ) -> None:
        answer = gateway.call(key, path, "[[tokens=9]] [[cut=3]]", stream=True)
        assert answer.status_code == 200
        *_, last = answer.data.strip().split(b"\n\n")
        lines = last.split(b"\n")
        if path == ANTHROPIC:
            assert lines.pop(0) == b"event: error"
        assert b'"error"' in lines[0]
        answer.close()
        [entry] = booked(gateway, key)
        assert (entry.outcome, entry.confidence) == ("upstream_error", "counted")

    @pytest.mark.parametrize("path", PATHS)
    def test_a_client_that_leaves_is_booked_too(
        self, gateway: GatewayApp, key: str, path: str
    ) -> None:
        response = gateway.client.post(
            path,
            json={
                "model": "gpt-4o-mini" if path == OPENAI else "claude-haiku-5-5",
                "messages": [{"role": "user", "content": "[[tokens=40]] [[pace=10]]"}],
                "max_tokens": 50,
                "stream": True,
            },
            headers=credential(key, path),
            buffered=False,
        )
        chunks = response.iter_encoded()
        next(iter(chunks))
        response.close()
        deadline = time.monotonic() + 20
        while not (entries := booked(gateway, key)):
            assert time.monotonic() < deadline
        [entry] = entries
        assert entry.outcome == "cancelled"
        assert (entry.cancellations, entry.failures, entry.requests) == (1, 0, 1)
        name = redis_keys.call(entry.request_id)
        assert gateway.store.client.hget(name, "open") == "0"


class TestOwnFaults:
    """A fault of ours, that nobody has thought of."""

    @pytest.fixture
    def damaged(self, gateway: GatewayApp) -> str:
        """A key whose copy in Redis nobody can read."""
        key = gateway.make_key()
        name = redis_keys.key_record(key.split("_")[1])
        gateway.store.client.hset(name, "record", "{damaged")
        return key

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("path", PATHS)
    def test_the_client_gets_its_dialects_error(
        self, gateway: GatewayApp, damaged: str, path: str, method: str
    ) -> None:
        if method == "POST":
            answer = gateway.call(damaged, path)
        else:
            answer = gateway.client.get("/v1/models", headers=credential(damaged, path))
        assert answer.status_code == 500
        assert answer.headers["x-should-retry"] == "false"
        assert "damaged" not in answer.text
        assert error_of(answer, path)["message"].startswith("The gateway failed to handle")


class TestModels:
    """`GET /v1/models`, in the shape of whoever asks."""

    def test_openai_gets_a_list(self, gateway: GatewayApp, key: str) -> None:
        answer = gateway.client.get("/v1/models", headers=credential(key))
        assert answer.json is not None
        assert answer.json.keys() == {"object", "data"}
        first = answer.json["data"][0]
        assert first.keys() == {"id", "object", "created", "owned_by"}
        assert "gpt-4o-mini" in {row["id"] for row in answer.json["data"]}

    def test_anthropic_gets_a_page(self, gateway: GatewayApp, key: str) -> None:
        answer = gateway.client.get("/v1/models", headers=credential(key, ANTHROPIC))
        assert answer.json is not None
        assert answer.json.keys() == {"data", "has_more", "first_id", "last_id"}
        ids = [row["id"] for row in answer.json["data"]]
        assert (answer.json["first_id"], answer.json["last_id"]) == (ids[0], ids[-1])
        assert {row["type"] for row in answer.json["data"]} == {"model"}

    @pytest.mark.parametrize("path", PATHS)
    def test_a_key_sees_what_it_may_call(self, gateway: GatewayApp, path: str) -> None:
        model = "gpt-4o-mini" if path == OPENAI else "claude-haiku-5-5"
        key = gateway.make_key(None, "--model", model)
        answer = gateway.client.get("/v1/models", headers=credential(key, path))
        assert answer.json is not None
        assert [row["id"] for row in answer.json["data"]] == [model]

    def test_a_key_that_may_call_nothing_sees_an_empty_page(self, gateway: GatewayApp) -> None:
        key = gateway.make_key(None, "--model", "nothing")
        answer = gateway.client.get("/v1/models", headers=credential(key, ANTHROPIC))
        assert answer.json == {"data": [], "has_more": False, "first_id": None, "last_id": None}

    @pytest.mark.parametrize("path", PATHS)
    def test_strangers_see_nothing(self, gateway: GatewayApp, path: str) -> None:
        answer = gateway.client.get("/v1/models", headers=credential(None, path))
        assert answer.status_code == 401
        assert error_of(answer, path)["type"] == "authentication_error"

    def test_a_revoked_key_sees_nothing(self, gateway: GatewayApp, key: str) -> None:
        assert gateway.client.get("/v1/models", headers=credential(key)).status_code == 200
        gateway.flask("key", "revoke", key)
        assert gateway.client.get("/v1/models", headers=credential(key)).status_code == 401


class TestBodies:
    """What the server hands over of a request's body, with and without a stated length."""

    CALL = json.dumps({"model": MODELS[OPENAI], "messages": [{"role": "user", "content": "Hi"}]})

    def send(self, gateway: GatewayApp, key: str, body: bytes, **environ: object) -> TestResponse:
        stream = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, **environ}
        headers = credential(key)
        return gateway.client.post(OPENAI, headers=headers, environ_overrides=stream)

    def test_one_that_breaks_off_is_told(self, gateway: GatewayApp, key: str) -> None:
        body = self.CALL.encode()
        answer = self.send(gateway, key, body, CONTENT_LENGTH=str(len(body) + 1))
        assert answer.status_code == 400
        assert "ended before its stated length" in error_of(answer, OPENAI)["message"]
        assert booked(gateway, key) == []

    def test_one_without_a_stated_length_is_read_to_its_end(
        self, gateway: GatewayApp, key: str
    ) -> None:
        body = self.CALL.encode()
        answer = self.send(gateway, key, body, HTTP_TRANSFER_ENCODING="chunked")
        assert answer.status_code == 200

    def test_one_without_a_stated_length_has_the_same_limit(
        self, gateway: GatewayApp, key: str
    ) -> None:
        body = b" " * (MAX_BODY_BYTES + 1)
        answer = self.send(gateway, key, body, HTTP_TRANSFER_ENCODING="chunked")
        assert answer.status_code == 413
        assert booked(gateway, key) == []

    def test_one_that_is_too_large_is_not_read(self, gateway: GatewayApp, key: str) -> None:
        body = io.BytesIO(b" " * 10)
        stated = {"wsgi.input": body, "CONTENT_LENGTH": str(MAX_BODY_BYTES + 1)}
        assert self.send(gateway, key, b"", **stated).status_code == 413
        assert body.tell() == 0


@pytest.mark.parametrize("path", [OPENAI, "/openai/v1/chat/completions"])
def test_a_call_has_no_session(gateway: GatewayApp, key: str, path: str) -> None:
    answer = gateway.client.post(path, json={}, headers={"api-key": key})
    assert answer.status_code == 400
    assert "vary" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key"])
def test_a_key_is_taken_as_each_sdk_sends_it(gateway: GatewayApp, key: str, name: str) -> None:
    value = f"Bearer {key}" if name == "authorization" else key
    assert gateway.client.get("/v1/models", headers={name: value}).status_code == 200


def test_the_same_key_twice_is_no_contradiction(gateway: GatewayApp, key: str) -> None:
    headers = {"authorization": f"bearer {key}", "x-api-key": f" {key} ", "api-key": key}
    assert gateway.client.get("/v1/models", headers=headers).status_code == 200

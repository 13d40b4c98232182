"""Addresses that belong to no route, and faults of ours outside of calls."""

from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from ai_gateway.stores import redis_keys
from tests.gateway_app import GatewayApp, credential, opened_app
from tests.redis_servers import running_redis

ANTHROPIC = {"anthropic-version": "2023-06-01"}
BROWSER = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayApp]:
    with running_redis() as server, opened_app(server) as opened:
        yield opened


def get(gateway: GatewayApp, path: str, **headers: str) -> TestResponse:
    return gateway.client.get(path, headers=headers)


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/", "/v1/chat", "/api/", "/api/v1/nothing/"])
def test_a_program_gets_json_in_openais_shape(gateway: GatewayApp, path: str) -> None:
    answer = get(gateway, path, **BROWSER)
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["error"].keys() == {"message", "type", "param", "code"}
    assert path in answer.json["error"]["message"]


def test_a_program_gets_json_in_anthropics_shape(gateway: GatewayApp) -> None:
    answer = get(gateway, "/v1/nothing", **ANTHROPIC)
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["error"]["type"] == "not_found_error"
    assert answer.json.keys() == {"type", "error", "request_id"}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_wrong_method_names_the_right_one(gateway: GatewayApp, path: str) -> None:
    answer = get(gateway, path)
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    assert answer.json is not None
    assert "not the method of this address" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "headers", "allowed"),
    [
        ("/v1/chat/completions", {}, "POST"),
        ("/v1/messages", ANTHROPIC, "POST"),
        ("/v1/models", {}, "GET, HEAD"),
    ],
)
def test_options_are_a_wrong_method(
    gateway: GatewayApp, path: str, headers: dict[str, str], allowed: str
) -> None:
    answer = gateway.client.options(path, headers=headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json is not None
    assert ("request_id" in answer.json) == (headers == ANTHROPIC)


def test_nothing_that_was_sent_comes_back_unescaped(gateway: GatewayApp) -> None:
    answer = get(gateway, "/v1/%3Cscript%3E%0d%0aset-cookie:x%00" + "y" * 500)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert "set-cookie" not in answer.headers
    assert len(answer.text) < 300


@pytest.mark.parametrize("path", ["/nothing", "/admin/nothing", "/v1nothing"])
def test_a_person_gets_a_page(gateway: GatewayApp, path: str) -> None:
    answer = get(gateway, path, **BROWSER)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "Page not found" in answer.text


@pytest.mark.parametrize("path", ["/nothing", "/health", "/metricsx"])
def test_a_program_elsewhere_gets_the_plain_answer(gateway: GatewayApp, path: str) -> None:
    answer = get(gateway, path, accept="application/json")
    assert answer.status_code == 404
    assert "<html" not in answer.text.partition("<body")[2]


class TestFaults:
    """What nobody has thought of, on an address for programs."""

    ADDRESS = "/api/v1/ai/analytics/user/spend-limit/"

    @pytest.fixture
    def damaged(self, gateway: GatewayApp) -> str:
        """A key whose copy in Redis nobody can read."""
        key = gateway.make_key()
        name = redis_keys.key_record(key.split("_")[1])
        gateway.store.client.hset(name, "record", "{damaged")
        return key

    @pytest.mark.parametrize("headers", [{}, BROWSER], ids=["program", "browser"])
    def test_a_program_is_told_nothing_of_it_as_json(
        self, gateway: GatewayApp, damaged: str, headers: dict[str, str]
    ) -> None:
        answer = get(gateway, self.ADDRESS, **credential(damaged), **headers)
        assert answer.status_code == 500
        assert answer.json is not None
        assert answer.json["error"]["code"] == "internal_error"
        assert "damaged" not in answer.text

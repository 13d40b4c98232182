"""Pages of listed origins read the API from a browser; nobody else's, and nothing else."""

from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from tests.gateway_app import credential
from tests.redis_servers import RedisServer
from tests.web.api_app import API, Api, opened_api

LISTED, SECOND = "https://pages.example.com", "http://localhost:3000"
NOT_LISTED = (
    "https://evil.example",
    "https://pages.example.com.evil.example",
    "https://evil.pages.example.com",
    "http://pages.example.com",
    "https://pages.example.com:8443",
    "https://PAGES.example.com",
    "null",
    "*",
    "",
)
ASKS = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}


@pytest.fixture(scope="module")
def open_api(server: RedisServer) -> Iterator[Api]:
    listed = {"AI_GATEWAY_CORS_ORIGINS": f"{LISTED}, {SECOND}"}
    with opened_api(server, listed, has_story=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def key(open_api: Api) -> str:
    return open_api.key()


def get(api: Api, key: str | None, origin: str, address: str = "/user/") -> TestResponse:
    headers = credential(key) | {"origin": origin}
    return api.gateway.client.get(API + address, headers=headers)


def preflight(api: Api, origin: str, path: str = f"{API}/user/") -> TestResponse:
    return api.gateway.app.test_client().options(path, headers={"origin": origin} | ASKS)


def allowed_by(answer: TestResponse) -> set[str]:
    return {name.lower() for name in dict(answer.headers) if name.lower().startswith("access-")}


@pytest.mark.parametrize("origin", [LISTED, SECOND])
def test_a_listed_origin_may_read_the_answer(open_api: Api, key: str, origin: str) -> None:
    for answer in (get(open_api, key, origin), get(open_api, None, origin)):
        assert answer.headers["access-control-allow-origin"] == origin
        assert "Origin" in answer.headers["vary"]
        # No cookie counts from another origin.
        assert allowed_by(answer) == {"access-control-allow-origin"}


@pytest.mark.parametrize("origin", NOT_LISTED)
def test_no_other_origin_may(open_api: Api, key: str, origin: str) -> None:
    answer = get(open_api, key, origin)
    assert allowed_by(answer) == set()
    assert "Origin" in answer.headers["vary"]
    refused = preflight(open_api, origin)
    assert refused.status_code == 405
    assert allowed_by(refused) == set()


def test_a_listed_origin_may_ask_first(open_api: Api) -> None:
    answer = preflight(open_api, LISTED)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == LISTED
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD"
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]


def test_a_reset_cannot_be_asked_for_from_another_origin(open_api: Api) -> None:
    answer = preflight(open_api, LISTED, f"{API}/user/1/reset/")
    assert "POST" not in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/models", "/admin/", "/login", "/metrics", "/health/live"]
)
def test_nothing_but_the_api_is_opened(open_api: Api, key: str, path: str) -> None:
    headers = credential(key) | {"origin": LISTED}
    for answer in (
        open_api.gateway.client.get(path, headers=headers),
        preflight(open_api, LISTED, path),
    ):
        assert allowed_by(answer) == set()


def test_the_document_may_be_read_by_a_page(open_api: Api) -> None:
    answer = open_api.gateway.client.get("/api/v1/openapi.json", headers={"origin": LISTED})
    assert answer.headers["access-control-allow-origin"] == LISTED


def test_it_is_off_unless_the_operator_lists_somebody(api: Api, viewer: str) -> None:
    answer = get(api, viewer, LISTED)
    assert answer.status_code == 200
    assert allowed_by(answer) == set()
    assert "Origin" not in answer.headers["vary"]
    refused = preflight(api, LISTED)
    assert refused.status_code == 405
    assert allowed_by(refused) == set()
    assert refused.json is not None
    assert refused.json["error"]["code"] == "method_not_allowed"

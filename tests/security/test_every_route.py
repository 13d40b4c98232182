"""S10, S28, S32, S36: every route with every method, as the map of addresses has them."""

import re
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.gateway_app import GatewayApp, credential
from tests.web.staff_app import log_in

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
CLOSED = {401, 403, 404, 405}
FOR_EVERYBODY = {
    "staff.login",
    "static",
    "probes.live",
    "probes.ready",
    "api.openapi_document",
}
"""What is told to strangers: how to come in, whether it is up, and the form of the API."""

FOR_PROGRAMS = ("/v1/", "/openai/", "/api/", "/health/", "/metrics")

AFAR = {"REMOTE_ADDR": "203.0.113.9"}
INJECTED = "x%0d%0aset-cookie:%20evil=1%0d%0a%0d%0aevil"


@dataclass
class Route:
    """One address with all of its methods."""

    rule: Rule
    address: str

    @property
    def endpoint(self) -> str:
        return str(self.rule.endpoint)


def routes(app: GatewayApp, text: str = "abcdefgh") -> list[Route]:
    """Every route; `text` stands where the address takes one."""

    def put_in(match: "re.Match[str]") -> str:
        return "1" if match[1].startswith("int") else text

    return [
        Route(rule, re.sub(r"<([^>]+)>", put_in, rule.rule))
        for rule in app.app.url_map.iter_rules()
    ]


@pytest.fixture(scope="module")
def admin(app: GatewayApp) -> FlaskClient:
    client = app.app.test_client()
    log_in(client, app.make_staff("--role", "admin"))
    return client


def test_without_credentials_every_method_of_every_route_is_closed(app: GatewayApp) -> None:
    client = app.app.test_client()
    problems = []
    for route in routes(app):
        for method in METHODS:
            answer = client.open(
                route.address,
                method=method,
                headers={"Accept": "application/json"},
                environ_overrides=AFAR,
            )
            if not is_closed(route, method, answer):
                problems.append((method, route.address, answer.status))
    assert problems == []


def is_closed(route: Route, method: str, answer: TestResponse) -> bool:
    if method == "OPTIONS":
        return answer.status_code in CLOSED or not answer.data
    if method in {"GET", "HEAD"} and route.endpoint in FOR_EVERYBODY:
        return answer.status_code in {200, 404}
    if route.endpoint == "staff.front" and method in {"GET", "HEAD"}:
        return answer.headers["Location"] in {"/admin/", "/me/"}  # where the log-in is asked for
    if answer.headers.get("Location", "").startswith("/login?next="):
        return method in {"GET", "HEAD"}
    if answer.status_code == 400:
        # A form without the token of a session, which a stranger has none of.
        return method == "POST" and not route.address.startswith(FOR_PROGRAMS)
    return answer.status_code in CLOSED


def test_another_site_can_have_a_session_change_nothing(
    app: GatewayApp, admin: FlaskClient
) -> None:
    """A cookie comes along; the token of a form does not."""
    audited = admin.get("/api/v1/ai/analytics/audit/").json
    problems = []
    for route in routes(app):
        for method in {"POST", "PUT", "PATCH", "DELETE"} & (route.rule.methods or set()):
            if route.address.startswith(("/v1/", "/openai/")):
                continue  # a key is asked for there, and a cookie is not even read
            for typed in ({"data": {"reason": "forged"}}, {"json": {"reason": "forged"}}):
                answer = admin.open(
                    route.address,
                    method=method,
                    headers={"Origin": "https://evil.example", "Accept": "application/json"},
                    **typed,  # type: ignore[arg-type]  # one of two forms of a body
                )
                if answer.status_code not in {400, 401, 403, 404}:
                    problems.append((method, route.address, answer.status))
    assert problems == []
    assert admin.get("/api/v1/ai/analytics/audit/").json == audited
    assert admin.get("/admin/").status_code == 200  # it was not logged out


def test_a_head_is_a_get_and_changes_nothing(app: GatewayApp, admin: FlaskClient) -> None:
    """No token is asked of it, so it must not pass for the form of its address."""
    audited = admin.get("/api/v1/ai/analytics/audit/").json
    typed = {"username": "forged", "email": "forged@example.com", "password": "x", "id": "1"}
    for route in routes(app):
        if {"HEAD", "POST"} <= (route.rule.methods or set()):
            for client in (admin, app.app.test_client()):
                client.head(route.address, data=typed, query_string={"id": "1"})
    assert admin.get("/api/v1/ai/analytics/audit/").json == audited


def test_a_session_is_worth_nothing_where_a_key_is_asked_for(
    app: GatewayApp, admin: FlaskClient
) -> None:
    for route in routes(app):
        if route.address.startswith(("/v1/", "/openai/")):
            for method in sorted((route.rule.methods or set()) - {"OPTIONS", "HEAD"}):
                answer = admin.open(route.address, method=method, json={})
                assert answer.status_code == 401, (method, route.address)


@pytest.mark.parametrize("where", ["address", "query"])
def test_a_line_end_makes_no_header(app: GatewayApp, admin: FlaskClient, where: str) -> None:
    key = app.make_key()
    names = (
        "next",
        "q",
        "request_id",
        "user",
        "range",
        "cursor",
        "sort",
        "filename",
        "model",
        "key",
    )
    query = "&".join(f"{name}={INJECTED}" for name in names)
    for route in routes(app, INJECTED if where == "address" else "abcdefgh"):
        address = f"{route.address}?{query}" if where == "query" else route.address
        for method in sorted({"GET", "POST"} & (route.rule.methods or set())):
            for client, headers in ((admin, {}), (app.app.test_client(), credential(key))):
                answer = client.open(address, method=method, headers=headers)
                told = [text for name, text in answer.headers if "evil" in name.lower() + text]
                assert all("\r" not in text and "\n" not in text for text in told), address
                assert "evil" not in str(answer.headers.getlist("Set-Cookie")), address
                answer.close()


@pytest.fixture
def hers(app: GatewayApp) -> str:
    """A response that somebody else got."""
    made = app.client.post(
        "/v1/responses",
        json={"model": "gpt-4o-mini", "input": "Hello", "max_output_tokens": 20},
        headers=credential(app.make_key()),
    )
    assert made.json is not None
    return str(made.json["id"])


def test_what_is_deleted_is_ones_own(app: GatewayApp, hers: str) -> None:
    """The routes that read and those that take forms are walked in tests/web/test_two_users.py."""
    methods = {"PUT", "PATCH", "DELETE"}
    changing = [route for route in routes(app, hers) if methods & (route.rule.methods or set())]
    assert [route.rule.rule for route in changing] == ["/v1/responses/<response_id>"]
    answer = app.client.delete(changing[0].address, headers=credential(app.make_key()))
    assert answer.status_code == 404

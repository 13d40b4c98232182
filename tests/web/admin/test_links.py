"""Addresses of the same page seen otherwise."""

import pytest
from flask import Flask

from ai_gateway.web.admin.links import here, kept_fields


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/users/<int:number>/", "user", str)
    return app


@pytest.mark.parametrize(
    ("asked", "changes", "address"),
    [
        ("/users/7/", {}, "/users/7/"),
        ("/users/7/?q=a&page=3", {}, "/users/7/?q=a&page=3"),
        ("/users/7/?q=a&page=3", {"page": None}, "/users/7/?q=a"),
        ("/users/7/?q=a&page=3", {"page": 4}, "/users/7/?q=a&page=4"),
        ("/users/7/?page=3", {"page": None}, "/users/7/"),
        ("/users/7/?q=%26+%22%3Cb%3E", {}, "/users/7/?q=%26+%22%3Cb%3E"),
        ("/users/7/?q=a&q=b", {}, "/users/7/?q=a"),
        ("/users/7/", {"from": "2026-11-01"}, "/users/7/?from=2026-11-01"),
    ],
)
def test_an_address_keeps_what_is_not_changed(
    app: Flask, asked: str, changes: dict[str, object], address: str
) -> None:
    with app.test_request_context(asked):
        assert here(**changes) == address


def test_an_argument_cannot_lead_elsewhere(app: Flask) -> None:
    query = "_external=1&_scheme=javascript&_anchor=x&number=9&_method=POST"
    with app.test_request_context(f"/users/7/?{query}"):
        assert here() == f"/users/7/?{query}"


def test_a_form_sends_along_all_but_its_own_fields(app: Flask) -> None:
    with app.test_request_context("/users/7/?q=a&page=3&sort=cost"):
        assert kept_fields("q", "page") == {"sort": "cost"}

"""The document of the API: whole, of version 3.1, open to everybody, made from the code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from ai_gateway.factory import create_app
from ai_gateway.web.api import ENDPOINTS

ADDRESS = "/api/v1/openapi.json"
PREFIX = "/api/v1/ai/analytics"
STATUSES = {"200", "400", "401", "500", "503"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path_factory.mktemp("openapi"))})


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    answer = app.test_client().get(ADDRESS)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    found: dict[str, Any] = json.loads(answer.data)
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def test_it_has_every_address_that_is_served_and_no_other(
    app: Flask, document: dict[str, Any]
) -> None:
    served = {
        (re.sub(r"<\w+\([^)]*\):(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(PREFIX)
    }
    assert {(path, method) for path, method, _ in operations(document)} == served
    assert len(served) == len(ENDPOINTS)


def test_it_is_of_version_3_1_and_closed_in_itself(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    for reference in references(document):
        place: Any = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
        assert place


def test_every_operation_is_described_whole(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(document):
        assert operation["summary"].endswith("."), path
        assert operation["responses"].keys() >= STATUSES
        by_session = {"session": []} in operation["security"]
        by_key = {"bearer": []} in operation["security"]
        assert (by_session, by_key) == (True, method == "GET"), path


def test_the_parameters_are_those_that_are_checked(document: dict[str, Any]) -> None:
    told = {
        operation["operationId"]: {one["name"] for one in operation["parameters"]}
        for _, _, operation in operations(document)
    }
    assert told == {
        "user_usage": {"days"},
        "user_spend_limit": set(),
        "requests": {
            *("range", "from", "to", "user_id", "key_id", "provider", "model", "served_model"),
            *("outcome", "min_cost_usd", "min_latency_ms", "stream", "unpriced"),
            *("limit", "cursor"),
        },
        "request": {"request_id"},
        "refusals": {
            *("range", "from", "to", "user_id", "key_id", "model", "reason", "limit", "cursor"),
        },
        "refusal": {"request_id"},
        "system_usage": {"days"},
        "langsmith_health": set(),
        "series": {"range", "from", "to", "user_id", "by", "step"},
        "models": {"range", "from", "to", "user_id"},
        "top": {"limit"},
        "activity": {"user_id", "limit", "cursor"},
        "audit": {
            *("action", "actor", "target", "result", "range", "from", "to", "limit", "cursor"),
        },
        "system_tasks": set(),
        "budgets": set(),
        "set_installation_limit": {"X-CSRFToken", "Idempotency-Key"},
        "set_user_defaults": {"X-CSRFToken", "Idempotency-Key"},
        "user_limits": {"user_id"},
        "set_user_limits": {"user_id", "X-CSRFToken", "Idempotency-Key"},
        "key_limits": {"key_id"},
        "set_key_limits": {"key_id", "X-CSRFToken", "Idempotency-Key"},
        "pauses": set(),
        "set_pause": {"X-CSRFToken", "Idempotency-Key"},
        "lift_pause": {"X-CSRFToken", "Idempotency-Key"},
        "alerts": {"limit"},
        "alert_rules": set(),
        "users": {"filter", "search", "sort", "order", "limit", "cursor"},
        "user_profile": {"user_id", "days"},
        "reset_user": {"user_id", "X-CSRFToken", "Idempotency-Key"},
        "prices": {"status", "source", "provider", "search", "limit", "cursor"},
        "price_cost": {
            *("model", "input_tokens", "cached_input_tokens", "cache_write_tokens"),
            *("output_tokens", "service_tier"),
        },
        "set_price": {"X-CSRFToken", "Idempotency-Key"},
        "withdraw_price": {"X-CSRFToken", "Idempotency-Key"},
        "keys": {"filter", "search", "user_id", "limit", "cursor"},
        "key": {"key_id"},
        "create_key": {"X-CSRFToken", "Idempotency-Key"},
        "rotate_key": {"key_id", "X-CSRFToken", "Idempotency-Key"},
        "revoke_key": {"key_id", "X-CSRFToken", "Idempotency-Key"},
    }


def test_every_answer_is_closed_and_every_amount_has_its_integer(
    document: dict[str, Any],
) -> None:
    objects = [
        schema
        for schema in document["components"]["schemas"].values()
        if schema.get("type") == "object"
    ]
    assert objects
    for schema in objects:
        assert schema["additionalProperties"] is False, schema["title"]
        for name in schema["properties"]:
            if name.endswith("_nano_usd"):
                amount = name.removesuffix("_nano_usd")
                assert {amount, f"{amount}_usd"} & schema["properties"].keys(), name
            elif name.endswith("pico_usd"):
                pass  # an integer already, of a rate and not of an amount
            elif name.endswith(("_usd", "_spend", "_limit", "_remaining")) or name == "cost":
                assert f"{name.removesuffix('_usd')}_nano_usd" in schema["properties"], name


def test_it_tells_nothing_of_this_installation(app: Flask, document: dict[str, Any]) -> None:
    assert "servers" not in document
    text = json.dumps(document)
    for secret in (
        app.config["SECRET_KEY"],
        str(Path.cwd()),
        app.config["SQLALCHEMY_DATABASE_URI"],
    ):
        assert secret not in text


def test_the_path_of_a_call_is_not_hooked(app: Flask) -> None:
    """Nothing of the API runs before or after the requests of anybody else."""
    hooks = [*app.before_request_funcs.get(None, []), *app.after_request_funcs.get(None, [])]
    modules = {hook.__module__ for hook in hooks}
    assert not [name for name in modules if name.startswith(("ai_gateway.web.api", "apispec"))]

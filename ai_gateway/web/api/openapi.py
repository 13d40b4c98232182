"""The OpenAPI 3.1 document, made from the same declarations that check requests and build answers.

The schemas are pydantic's, the frame is apispec's.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from inspect import cleandoc
from typing import Any

import orjson
from apispec import APISpec

from ai_gateway.errors import (
    AddressNotFound,
    BudgetUnavailable,
    ChangedMeanwhile,
    GatewayError,
    GatewayUnavailable,
    InvalidKey,
    InvalidRequest,
    KeyNotFound,
    NotPermitted,
    RequestNotFound,
    RequestTooLarge,
    UserNotFound,
    WrongMethod,
)
from ai_gateway.web.admin.staff import COOKIE_NAME, SECURE_PREFIX
from ai_gateway.web.api.caller import CSRF_HEADER, IDEMPOTENCY_HEADER, Access
from ai_gateway.web.api.endpoint import JSON, Endpoint
from ai_gateway.web.api.fields import LARGEST_ID, REFERENCE, schemas_of
from ai_gateway.web.error_bodies import INTERNAL_ROW, ROWS

Json = dict[str, Any]

TITLE = "AI Gateway analytics"
VERSION = "1"
ABOUT = (
    "The numbers of the staff pages for programs. Amounts are JSON numbers in USD, exact to nine "
    "decimals, and each has an integer of nano-USD beside it. Sums come from the ledger, spend "
    "from the counters that limits are enforced by."
)
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A virtual key (`agw_...`)."},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SECURE_PREFIX + COOKIE_NAME,
        "description": f"The cookie of a log-in; on plain HTTP at loopback `{COOKIE_NAME}`.",
    },
}
PATH_PARAMETER = re.compile(r"<\w+\([^)]*\):(\w+)>")
PATH_SCHEMAS: dict[str, Json] = {
    "user_id": {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
    "key_id": {"type": "string", "pattern": "^[0-9A-Za-z]{8}$"},
    "request_id": {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"},
}
READERS: list[Json] = [{name: []} for name in SECURITY]
WRITERS: list[Json] = [{"session": []}]

FAULTS: tuple[type[GatewayError], ...] = (
    InvalidRequest,
    InvalidKey,
    NotPermitted,
    UserNotFound,
    KeyNotFound,
    RequestNotFound,
    ChangedMeanwhile,
    AddressNotFound,
    WrongMethod,
    RequestTooLarge,
    BudgetUnavailable,
    GatewayUnavailable,
)
"""Every error that the API may tell, beside a fault of ours."""

WRITE_HEADERS = (
    {
        "name": CSRF_HEADER,
        "in": "header",
        "required": True,
        "description": "The CSRF token of the session.",
        "schema": {"type": "string"},
    },
    {
        "name": IDEMPOTENCY_HEADER,
        "in": "header",
        "required": False,
        "description": "Chosen by the caller; the same one acts once.",
        "schema": {"type": "string", "maxLength": 200},
    },
)


def document(prefix: str, endpoints: Sequence[Endpoint]) -> bytes:
    """The document as JSON; the addresses stand below `prefix`."""
    spec = APISpec(TITLE, VERSION, "3.1.0", info={"description": ABOUT})
    for name, scheme in SECURITY.items():
        spec.components.security_scheme(name, scheme)
    given = {endpoint.given for endpoint in endpoints}
    schemas = schemas_of(given, {endpoint.answer for endpoint in endpoints})
    queries = {e.given.__name__ for e in endpoints if e.method == "GET"}
    for name in sorted(schemas.keys() - queries):
        spec.components.schema(name, schemas[name])
    spec.components.schema("Error", _error_schema())
    for status, faults in _by_status().items():
        spec.components.response(f"Error{status}", _error_answer(status, faults))
    for endpoint in endpoints:
        path = PATH_PARAMETER.sub(r"{\1}", prefix + endpoint.rule)
        operation = _operation(endpoint, schemas[endpoint.given.__name__])
        spec.path(path, operations={endpoint.method.lower(): operation})
    return orjson.dumps(spec.to_dict())


def _operation(endpoint: Endpoint, given: Json) -> Json:
    summary, _, rest = cleandoc(endpoint.view.__doc__ or "").partition("\n")
    is_read = endpoint.method == "GET"
    operation: Json = {
        "operationId": endpoint.view.__name__,
        "summary": summary,
        "description": f"{rest.strip()}\n\n{endpoint.access}".strip(),
        "security": READERS if is_read else WRITERS,
        "parameters": [
            *_path_parameters(endpoint.rule),
            *(_query_parameters(given) if is_read else WRITE_HEADERS),
        ],
        "responses": {
            "200": {
                "description": cleandoc(endpoint.answer.__doc__ or ""),
                "content": {JSON: {"schema": _reference(endpoint.answer.__name__)}},
            },
            **{str(status): f"Error{status}" for status in _statuses(endpoint)},
        },
    }
    if not is_read:
        schema = _reference(endpoint.given.__name__)
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return operation


def _path_parameters(rule: str) -> Iterable[Json]:
    for name in PATH_PARAMETER.findall(rule):
        yield {"name": name, "in": "path", "required": True, "schema": PATH_SCHEMAS[name]}


def _query_parameters(given: Json) -> Iterable[Json]:
    for name, schema in given["properties"].items():
        told = {
            word: value for word, value in schema.items() if word not in {"title", "description"}
        }
        if told.get("default", "") is None:
            # It may be left out, which is not the same as being null.
            del told["default"]
        yield {
            "name": name,
            "in": "query",
            "required": name in given.get("required", ()),
            "description": schema.get("description", ""),
            "schema": told,
        }


def _statuses(endpoint: Endpoint) -> list[int]:
    names_user = "<" in endpoint.rule
    faults: list[type[GatewayError]] = [InvalidRequest, InvalidKey, GatewayUnavailable]
    if names_user or endpoint.access is not Access.OWN or "user_id" in endpoint.given.model_fields:
        faults.append(NotPermitted)
    if names_user or (endpoint.method == "POST" and "user_id" in endpoint.given.model_fields):
        faults.append(UserNotFound)
    if "version" in endpoint.given.model_fields:
        faults.append(ChangedMeanwhile)
    if endpoint.method == "POST":
        faults.append(RequestTooLarge)
    return sorted({ROWS[fault].status for fault in faults} | {INTERNAL_ROW.status})


def _by_status() -> Mapping[int, list[str]]:
    codes: dict[int, list[str]] = {}
    for row in (*(ROWS[fault] for fault in FAULTS), INTERNAL_ROW):
        codes.setdefault(row.status, []).append(row.code)
    return codes


def _error_answer(status: int, codes: list[str]) -> Json:
    answer: Json = {
        "description": " or ".join(f"`{code}`" for code in codes),
        "content": {JSON: {"schema": _reference("Error")}},
    }
    header = {401: "WWW-Authenticate", 405: "Allow", 503: "Retry-After"}.get(status)
    if header:
        answer["headers"] = {header: {"schema": {"type": "string"}, "required": True}}
    return answer


def _error_schema() -> Json:
    facts = {
        "message": {"type": "string", "description": "What was wrong and what to do."},
        "type": {"type": "string"},
        "param": {"type": ["string", "null"], "description": "The field that is wrong."},
        "code": {"enum": [code for codes in _by_status().values() for code in codes]},
    }
    error = {
        "type": "object",
        "properties": facts,
        "required": list(facts),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"error": error},
        "required": ["error"],
        "additionalProperties": False,
    }


def _reference(name: str) -> Json:
    return {"$ref": REFERENCE.format(model=name)}

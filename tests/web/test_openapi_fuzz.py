"""What is made up from the document, sensible or not, finds no fault and no undocumented answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, CheckFunction, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from ai_gateway.web.api import ENDPOINTS
from ai_gateway.web.api.caller import Access
from tests.postgresql import running_postgresql
from tests.redis_servers import running_redis
from tests.seeding import NOW, add_entry, add_usage, add_user
from tests.web.api.test_reset import token_of
from tests.web.api_app import Api, opened_api

DOCUMENT = "/api/v1/openapi.json"
EXAMPLES = 5
BEYOND_A_SCHEMA = {
    "activity",
    "audit",
    "create_key",
    "keys",
    "lift_pause",
    "models",
    "price_cost",
    "prices",
    "refusals",
    "requests",
    "reset_user",
    "series",
    "set_installation_limit",
    "set_key_limits",
    "set_pause",
    "set_price",
    "set_user_defaults",
    "set_user_limits",
    "users",
    "withdraw_price",
}
"""Days in the wrong order, made-up cursors and blank reasons have the right form all the same."""

ONE_USER = {
    "create_key",
    "key",
    "key_limits",
    "lift_pause",
    "price_cost",
    "reset_user",
    "revoke_key",
    "rotate_key",
    "set_installation_limit",
    "set_pause",
    "set_user_defaults",
    "user_profile",
}

bounded = settings(
    # The same cases every time: a gate must not open by luck.
    derandomize=True,
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@contextmanager
def described(variables: dict[str, str] | None = None) -> Iterator[tuple[Api, BaseSchema]]:
    with running_redis() as server, opened_api(server, variables, has_story=False) as api:
        with api.gateway.app.app_context():
            user_id = add_user("ann.fuzz")
            add_usage(NOW.replace(minute=0, second=0), user_id, cost_nano_usd=7, latency_ms=5)
            add_entry("req_fuzz", user_id=user_id)
        # Made-up credentials beside the real one would be refused, and nothing else be seen.
        config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
        yield api, schemathesis.openapi.from_wsgi(DOCUMENT, api.gateway.app, config=config)


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[tuple[Api, BaseSchema]]:
    with described() as found:
        yield found


@dataclass(frozen=True)
class Credentials:
    headers: dict[str, str]
    cookies: dict[str, str] = field(default_factory=dict)
    excluded: tuple[CheckFunction, ...] = ()


def by_key(api: Api, role: str | None) -> Credentials:
    return Credentials({"Authorization": f"Bearer {api.key(role)}"})


def by_session(api: Api) -> Credentials:
    client = api.session("admin")
    token = token_of(client)
    cookie = client.get_cookie("ai_gateway")
    assert cookie is not None
    # The document names the cookie as it is on TLS, so that the check would not know this one.
    return Credentials({"X-CSRFToken": token}, {"ai_gateway": cookie.value}, (ignored_auth,))


def check_all(schema: BaseSchema, credentials: Credentials) -> set[str]:
    """Ask every address for what is right and what is wrong; returns those that gave figures."""
    answered = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        for mode in GenerationMode:
            # Where nothing is asked for, nothing can be wrong.
            if mode is GenerationMode.POSITIVE or list(operation.iter_parameters()):
                statuses = check(operation, mode, credentials)
                if HTTPStatus.OK in statuses:
                    answered.add(name_of(operation))
    return answered


def check(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, credentials: Credentials
) -> set[int]:
    excluded: list[CheckFunction] = [*credentials.excluded]
    if name_of(operation) in BEYOND_A_SCHEMA:
        excluded.append(positive_data_acceptance)
    statuses = set()

    @bounded
    @given(operation.as_strategy(mode))
    def ask(case: Case[Any]) -> None:
        case.cookies.update(credentials.cookies)
        answer = case.call_and_validate(headers=credentials.headers, excluded_checks=excluded)
        statuses.add(answer.status_code)

    ask()
    return statuses


def name_of(operation: APIOperation[Any, Any, Any, Any]) -> str:
    return str(operation.definition.raw["operationId"])


def expected(*access: Access) -> set[str]:
    """What answers with figures, but for addresses of one user or model, which no guess hits."""
    return {
        endpoint.view.__name__
        for endpoint in ENDPOINTS
        if endpoint.access in access and "_id" not in endpoint.rule
    } - ONE_USER


def test_by_the_key_of_a_user_every_answer_is_documented(
    on_sqlite: tuple[Api, BaseSchema],
) -> None:
    api, schema = on_sqlite
    assert check_all(schema, by_key(api, None)) - ONE_USER == expected(Access.OWN)


def test_by_session_every_answer_is_documented(on_sqlite: tuple[Api, BaseSchema]) -> None:
    api, schema = on_sqlite
    answered = check_all(schema, by_session(api))
    assert answered - ONE_USER == expected(Access.OWN, Access.STAFF)


@pytest.mark.postgresql
def test_on_postgresql_every_answer_is_documented() -> None:
    with (
        running_postgresql() as url,
        described({"DATABASE_URL": url}) as (api, schema),
    ):
        answered = check_all(schema, by_key(api, "viewer"))
        assert answered - ONE_USER == expected(Access.OWN, Access.STAFF)

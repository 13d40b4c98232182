"""The whole application with a story in its ledger, asked as programs ask it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ai_gateway.domain.limits import Account, Scope, Window, window_id
from ai_gateway.stores import redis_keys
from ai_gateway.stores.tables import db
from tests.alerts import seed_alerts
from tests.gateway_app import GatewayApp, credential, opened_app
from tests.redis_servers import RedisServer
from tests.seeding import UTC_ZONE, seed_story
from tests.web.staff_app import SetClock, log_in

API = "/api/v1/ai/analytics"
USD = 10**9


@dataclass
class Api:
    """The API of an application; the clock stands still at `tests.seeding.NOW`."""

    gateway: GatewayApp
    clock: SetClock
    _logged_in: dict[str | None, FlaskClient] = field(default_factory=dict)

    def ask(self, address: str, key: str | None, **query: object) -> TestResponse:
        parameters = {name.rstrip("_"): str(value) for name, value in query.items()}
        return self.gateway.client.get(
            API + address, query_string=parameters, headers=credential(key)
        )

    def told(self, address: str, key: str | None, **query: object) -> dict[str, Any]:
        """The answer with every number as it is written."""
        answer = self.ask(address, key, **query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
        return found

    def refused(self, address: str, key: str | None, **query: object) -> tuple[int, str, str]:
        """Status, code and the field that was wrong."""
        answer = self.ask(address, key, **query)
        assert answer.json is not None
        error = answer.json["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        return answer.status_code, error["code"], error["param"] or ""

    def key(self, role: str | None = None, **limits: str) -> str:
        name = self.gateway.make_user(*(("--role", role) if role else ()))
        return self.gateway.make_key(name, **limits)

    def id_of(self, key: str) -> int:
        found: int = self.told("/user/", key)["user_id"]
        return found

    def session(self, role: str | None = None) -> FlaskClient:
        """Somebody who is logged in; one for each role, since a log-in is slow on purpose."""
        if role not in self._logged_in:
            options = ("--role", role) if role else ()
            name = self.gateway.make_staff(*options)
            client = self._logged_in[role] = self.gateway.app.test_client()
            log_in(client, name)
        return self._logged_in[role]

    def spend(self, key: str, cost: int) -> None:
        """Let the counters of the owner of a key have this day's and this month's spend."""
        services, client = self.gateway.services, self.gateway.store.client
        for window in Window:
            name = window_id(window, services.clock(), services.zone)
            account = Account(Scope.USER, self.id_of(key), window, name)
            # Not by a call: its counters would end with their window, which is over by now.
            client.hset(redis_keys.account(account), "spent", cost)


@contextmanager
def opened_api(
    server: RedisServer,
    variables: Mapping[str, str] | None = None,
    zone: ZoneInfo = UTC_ZONE,
    *,
    has_story: bool = True,
) -> Iterator[Api]:
    clock = SetClock()
    variables = {"AI_GATEWAY_TIMEZONE": zone.key, **(variables or {})}
    with opened_app(server, variables=variables, clock=clock) as gateway:
        if has_story:
            with gateway.app.app_context():
                seed_story(clock.now, zone)
                seed_alerts(db.engine, clock.now)
        yield Api(gateway, clock)

"""What one user has is told to no other: every route there is, by key and by session, is walked.

Everything of the other user carries a mark that no answer may have.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from ai_gateway.domain.limits import Limit, LimitKind, Window
from ai_gateway.domain.money import Money
from ai_gateway.stores.refusal_tables import RefusalRow
from ai_gateway.stores.response_owners import Owner, ResponseOwners
from ai_gateway.stores.tables import Base, SpendLimit, User, VirtualKey, db
from ai_gateway.web.api import ENDPOINTS
from tests.gateway_app import GatewayApp, credential, opened_app
from tests.redis_servers import RedisServer
from tests.seeding import NOW, add_entry, add_limit, add_usage, add_user
from tests.web.staff_app import SetClock, log_in

MARK = "zebra"
HER_RESPONSE = "resp_hers"
JSON = {"Content-Type": "application/json"}
ENDPOINTS_BY_NAME = {
    f"api.{endpoint.view.__name__}": endpoint.given.model_fields.keys() for endpoint in ENDPOINTS
}
FREE_OF_USERS = ("/static/", "/health/", "/metrics")


@dataclass
class Two:
    """Ann asks; all that is marked is Zoe's."""

    gateway: GatewayApp
    ann: FlaskClient
    key: str
    zoe: int
    zoes_key: str

    def rules(self, method: str) -> list[Rule]:
        return [
            rule
            for rule in self.gateway.app.url_map.iter_rules()
            if method in (rule.methods or ()) and not rule.rule.startswith(FREE_OF_USERS)
        ]

    def address(self, rule: Rule) -> str:
        """The address of a route with everything in it that is Zoe's."""
        values = {"user_id": str(self.zoe), "key_id": self.zoes_key, "response_id": HER_RESPONSE}
        return re.sub(r"<(?:[^:<>]+:)?(\w+)>", lambda name: values.get(name[1], "any"), rule.rule)

    def named(self) -> dict[str, str]:
        """Every name by which a route could take another user or key."""
        return {
            **dict.fromkeys(("user_id", "user", "owner", "id", "selected"), str(self.zoe)),
            **dict.fromkeys(("key", "key_id", "prefix"), self.zoes_key),
            # What was asked for may be said again, so it is not the whole mark.
            **dict.fromkeys(("q", "search", "actor", "target"), MARK[:-1]),
        }

    def of_zoe(self) -> list[dict[str, Any]]:
        """Her rows as they are in the tables."""
        with self.gateway.app.app_context():
            numbers = select(VirtualKey.id).where(VirtualKey.user_id == self.zoe)
            rows: list[Base] = [
                *db.session.scalars(select(User).where(User.id == self.zoe)),
                *db.session.scalars(select(VirtualKey).where(VirtualKey.user_id == self.zoe)),
                *db.session.scalars(
                    select(SpendLimit).where(
                        (SpendLimit.subject_id == self.zoe) | SpendLimit.subject_id.in_(numbers)
                    )
                ),
            ]
            return [
                {column.name: getattr(row, column.name) for column in row.__table__.columns}
                for row in rows
            ]


@pytest.fixture(scope="module")
def two(server: RedisServer) -> Iterator[Two]:
    with opened_app(server, clock=SetClock()) as gateway:
        with gateway.app.app_context():
            add_user("ann")
            zoe = add_user(MARK, email=f"{MARK}@example.com")
            add_usage(NOW.replace(minute=0, second=0), zoe, model=f"{MARK}-model", cost_nano_usd=7)
            add_limit(Window.DAY, Limit(LimitKind.AMOUNT, Money(77_000_000_000)), user_id=zoe)
            add_entry(f"req_{MARK}", user_id=zoe, model=f"{MARK}-model")
            db.session.add(_refusal(zoe))
            db.session.commit()
        key = gateway.make_key("ann")
        zoes = gateway.make_key(MARK, "--label", f"{MARK} laptop")
        owners = ResponseOwners(gateway.store.client)
        owners.remember(HER_RESPONSE, Owner(zoe, "openai"))
        ann = gateway.app.test_client()
        log_in(ann, "ann")
        yield Two(gateway, ann, key, zoe, zoes.split("_")[1])


def _refusal(user_id: int) -> RefusalRow:
    return RefusalRow(
        at=NOW,
        outcome="budget_blocked",
        reason="user_day",
        operation="chat",
        request_id=f"req_refused_{MARK}",
        user_id=user_id,
        key_id="k0000001",
        model=f"{MARK}-model",
    )


def test_nothing_that_is_read_tells_of_another(two: Two) -> None:
    stranger = two.gateway.app.test_client()
    for rule in two.rules("GET"):
        # The API refuses what it does not know, the pages pass it over.
        names = ENDPOINTS_BY_NAME.get(rule.endpoint, frozenset(two.named()))
        known = {name: text for name, text in two.named().items() if name in names}
        for query in ({}, known):
            by_session = two.ann.get(two.address(rule), query_string=query)
            by_key = stranger.get(
                two.address(rule), query_string=query, headers=credential(two.key)
            )
            for answer in (by_session, by_key):
                assert answer.status_code not in {400, 500}, (rule.rule, query)
                assert MARK not in answer.text, (rule.rule, query)


def test_nothing_of_another_is_changed(two: Two) -> None:
    before = two.of_zoe()
    assert len(before) == 3
    token = two.ann.get("/me/password/").text.partition('name="csrf_token" value="')[2]
    token = token.partition('"')[0]
    typed = {
        **two.named(),
        "grace": "0",
        "label": "mine now",
        "reason": "mine now",
        "password": "x",
    }
    for rule in two.rules("POST"):
        if rule.endpoint == "staff.logout":
            continue
        headers = {"X-CSRFToken": token}
        form = two.ann.post(two.address(rule), data={**typed, "csrf_token": token}, headers=headers)
        body = two.ann.post(two.address(rule), json=_body(rule, two), headers=headers | JSON)
        by_key = two.gateway.app.test_client().post(
            two.address(rule), json=_body(rule, two), headers=credential(two.key)
        )
        for answer in (form, body, by_key):
            assert answer.status_code != 500, rule.rule
            assert MARK not in answer.text, rule.rule
    assert two.of_zoe() == before


def _body(rule: Rule, two: Two) -> dict[str, object]:
    if rule.rule.endswith("/rotate/"):
        return {"grace": "0"}
    return {} if rule.rule.endswith("/revoke/") else {"user_id": two.zoe, "label": "mine now"}

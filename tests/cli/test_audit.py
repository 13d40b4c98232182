"""`flask audit list`: one line for people, one object for programs, narrowed as the page is."""

import json
from collections.abc import Iterator

import pytest

from ai_gateway.stores.tables import db
from tests.audit import ACTS, seed_audit
from tests.gateway_app import GatewayApp, opened_app
from tests.redis_servers import running_redis
from tests.seeding import NOW


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayApp]:
    with running_redis() as server, opened_app(server) as opened:
        with opened.app.app_context():
            seed_audit(db.engine, NOW)
        yield opened


def listed(gateway: GatewayApp, *words: str) -> list[str]:
    done = gateway.flask("audit", "list", "--target", "ben.okafor", *words)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_a_line_says_when_who_where_what_and_how(gateway: GatewayApp) -> None:
    (line,) = listed(gateway)
    assert line.split("\t") == [
        "2026-11-23T06:19:05+00:00",
        "olga",
        "192.0.2.10",
        "spend_reset",
        "user:3",
        "ben.okafor",
        "ok",
        "day: 4.12 -> 0.00",
        "a batch run by mistake, see ticket 4711",
    ]


def test_it_is_narrowed_as_the_page_is(gateway: GatewayApp) -> None:
    assert len(listed(gateway, "--since", "2026-11-23", "--actor", "olga")) == 1
    assert listed(gateway, "--since", "2026-11-24") == []
    assert listed(gateway, "--action", "pause") == []
    assert listed(gateway, "--result", "failed") == []
    done = gateway.flask("audit", "list", "--actor", "olga", "--count", "2")
    assert [line.split("\t")[3] for line in done.stdout.splitlines()] == ["export", "price_change"]


def test_programs_get_every_field(gateway: GatewayApp) -> None:
    (line,) = listed(gateway, "--json")
    entry = json.loads(line)
    assert entry.pop("entry") > 0
    assert entry == {
        "at": "2026-11-23T06:19:05+00:00",
        "actor_id": 900,
        "actor": "olga",
        "role": "operator",
        "address": "192.0.2.10",
        "action": "spend_reset",
        "target_kind": "user",
        "target_id": "3",
        "target": "ben.okafor",
        "before": {"day": "4.12"},
        "after": {"day": "0.00"},
        "reason": "a batch run by mistake, see ticket 4711",
        "request_id": "req_4711",
        "result": "ok",
    }


def test_everything_is_listed_newest_first(gateway: GatewayApp) -> None:
    done = gateway.flask("audit", "list", "--count", "1000")
    moments = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert len(moments) >= len(ACTS)
    assert moments == sorted(moments, reverse=True)

"""S61: the access list of the docs lets the gateway do all that it does, and little else.

On a node of a cluster, which refuses besides whatever would touch two slots at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from ai_gateway.stores.redis_client import connect
from simulator.testing import RunningSimulator
from tests.gateway_app import GatewayApp, opened_app
from tests.money import MoneyStore
from tests.redis_cluster import running_cluster
from tests.web.staff_app import log_in

PROJECT = Path(__file__).parents[2]
USER, PASSWORD = "gateway", "A-LONG-PASSWORD"
NO_COMMANDS_OF_REDIS = {
    *("append", "config", "copy", "dump", "keys", "ping", "rename", "sort", "wait")
}
"""Names of methods of lists, dictionaries and the like, which are commands as well."""


def access_list() -> list[str]:
    """The line of the docs, as the words of a command."""
    (line,) = re.findall(r"(?m)^(ACL SETUSER .+)$", (PROJECT / "docs/operating.md").read_text())
    return str(line).split()


@dataclass
class Restricted:
    """The gateway as its user, and the administrator of Redis beside it."""

    gateway: GatewayApp
    user: "redis.Redis"
    administrator: "redis.Redis"

    def refused(self) -> list[str]:
        """What the access list refused since it was last asked."""
        found = [f"{entry['reason']} {entry['object']}" for entry in self.administrator.acl_log()]
        self.administrator.acl_log_reset()
        return found


@pytest.fixture(scope="module")
def restricted(simulator: RunningSimulator) -> Iterator[Restricted]:
    with running_cluster(primaries=1) as cluster:
        url = cluster.url.replace("://", f"://{USER}:{PASSWORD}@")
        with connect(cluster.url, timeout_seconds=5) as administrator:
            administrator.execute_command(*access_list())
            with (
                opened_app(cluster, simulator, {"REDIS_URL": url}) as gateway,
                connect(url, timeout_seconds=5) as user,
            ):
                gateway.store = MoneyStore(user)
                gateway.open()
                yield Restricted(gateway, user, administrator)


def test_the_gateway_is_refused_nothing_that_it_does(restricted: Restricted) -> None:
    gateway = restricted.gateway
    key = gateway.make_key(daily="1")
    name = gateway.make_staff("--role", "admin")
    assert gateway.call(key).status_code == 200
    with gateway.call(key, stream=True) as stream:
        assert stream.data
    assert gateway.call(key, prompt="[[status=500]]").status_code == 502
    assert gateway.flask("user", "limit", name, "--daily", "0").exit_code == 0
    assert gateway.call(gateway.make_key(name)).status_code == 429
    stored = gateway.client.post(
        "/v1/responses",
        json={"model": "gpt-4o-mini", "input": "Hello", "max_output_tokens": 20},
        headers={"authorization": f"Bearer {key}"},
    )
    assert stored.status_code == 200
    for arguments in (
        ("pause", "set", "--everything", "--reason", "a drill"),
        ("pause", "lift", "--everything"),
        ("key", "rotate", key, "--grace", "1h"),
        ("key", "revoke", key),
        ("ledger", "verify"),
        ("ledger", "rebuild"),
        ("housekeeping", "run", "counters"),
    ):
        done = gateway.flask(*arguments)
        assert done.exit_code == 0, (arguments, done.output)
    with gateway.app.app_context():
        while gateway.bookkeeper().book(block_ms=1):
            pass
    browser = gateway.app.test_client()
    browser.post("/login", data={"username": name, "password": "wrong"})
    log_in(browser, name)
    for page in ("/admin/", "/admin/ai-analytics/system/", "/admin/ai-analytics/users/", "/me/"):
        assert browser.get(page).status_code == 200, page
    gateway.flask("doctor")
    assert restricted.refused() == []


FORBIDDEN = (
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "CONFIG GET maxmemory-policy",
    "CONFIG SET maxmemory-policy allkeys-lru",
    "EVAL return(1) 0",
    "FUNCTION LIST",
    "SCRIPT FLUSH",
    "ACL LIST",
    "CLIENT LIST",
    "MONITOR",
    "REPLICAOF NO ONE",
    "CLUSTER FAILOVER",
    "CLUSTER RESET",
    "SAVE",
    "SHUTDOWN NOSAVE",
    "DUMP {agw}:meta",
    "RENAME {agw}:meta {agw}:other",
    "SUBSCRIBE any",
    "PUBLISH any thing",
    "GET somebody:else",
    "SET somebody:else 1",
)


@pytest.mark.parametrize("command", FORBIDDEN)
def test_what_it_has_no_need_of_is_refused(restricted: Restricted, command: str) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        restricted.user.execute_command(*command.split())  # type: ignore[no-untyped-call]
    restricted.administrator.acl_log_reset()


def test_a_script_of_somebody_else_may_do_no_more_than_the_user(restricted: Restricted) -> None:
    """No list can tell one text from another: it runs, and each of its commands is looked at."""
    user = restricted.user
    assert user.evalsha(user.script_load("return 7"), 0) == 7
    for text in ("redis.call('FLUSHALL')", "return redis.call('GET', 'somebody:else')"):
        with pytest.raises(redis.exceptions.ResponseError, match=r"ACL|permission"):
            user.evalsha(user.script_load(text), 0)
    restricted.administrator.acl_log_reset()


def test_names_of_other_keys_can_be_seen_and_nothing_in_them(restricted: Restricted) -> None:
    """`SCAN` is asked for all names: the docs say so, and advise a Redis of its own."""
    restricted.administrator.set("somebody:else", "1")
    assert "somebody:else" in set(restricted.user.scan_iter())
    with pytest.raises(redis.exceptions.NoPermissionError):
        restricted.user.get("somebody:else")
    restricted.administrator.delete("somebody:else")
    restricted.administrator.acl_log_reset()


def test_every_command_of_the_stores_is_in_the_list(restricted: Restricted) -> None:
    known = {str(name).lower() for name in restricted.administrator.command_list()}
    stores = PROJECT / "ai_gateway" / "stores"
    used = {
        name.lower()
        for path in stores.rglob("*.lua")
        for name in re.findall(r"redis\.call\('(\w+)'", path.read_text())
    }
    for path in stores.rglob("*.py"):
        if "redis" in path.read_text():
            called = set(re.findall(r"\.(\w+)\(", path.read_text()))
            used |= (called & known) - NO_COMMANDS_OF_REDIS
    allowed = {word[1:] for word in access_list() if word.startswith("+")}
    assert used <= allowed, sorted(used - allowed)

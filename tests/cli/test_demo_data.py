"""`flask demo-data` on an empty installation: everything that `make demo` promises to show."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text

from ai_gateway.cli.demo.cast import BLOCKED, CAST, NEAR, OVER
from ai_gateway.domain.limits import Account, Scope, Window, window_id
from ai_gateway.serve.programs import DEMO_CONFIG
from ai_gateway.stores.meter import Counters
from ai_gateway.stores.tables import db
from simulator.testing import running_simulator
from tests.gateway_app import GatewayApp, opened_app
from tests.money import UTC_ZONE
from tests.redis_servers import running_redis

# The time is more than is promised, so that the promise is what fails.
pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

PROMISED_SECONDS = 120
DEFAULT_USD = {Window.DAY: 5, Window.MONTH: 1000}


@dataclass(frozen=True)
class Demo:
    """A demo that was made, how the command ended, and how long it took."""

    gateway: GatewayApp
    result: Result
    seconds: float

    def rows(self, query: str, **values: str) -> list[dict[str, Any]]:
        with self.gateway.app.app_context():
            return [dict(row) for row in db.session.execute(text(query), values).mappings()]

    def one(self, query: str, **values: str) -> Any:
        (row,) = self.rows(query, **values)
        return next(iter(row.values()))

    def counters(self, username: str, window: Window) -> Counters:
        """What Redis holds against a user's limit."""
        user_id = self.one("SELECT id FROM user WHERE username = :name", name=username)
        name = window_id(window, datetime.now(UTC), UTC_ZONE)
        account = Account(Scope.USER, user_id, window, name)
        return self.gateway.store.meter.counters([account])[0]

    def limit(self, username: str, window: Window) -> int | None:
        """A user's limit in nano-USD, the environment's where staff set none."""
        found = self.rows(
            "SELECT kind, amount_nano_usd FROM spend_limit JOIN user ON user.id = subject_id "
            "WHERE scope = 'user' AND username = :name AND window = :window",
            name=username,
            window=window,
        )
        if not found:
            return DEFAULT_USD[window] * 10**9
        return found[0]["amount_nano_usd"] if found[0]["kind"] == "amount" else None

    def percent(self, username: str, window: Window) -> float:
        limit = self.limit(username, window)
        spent = self.counters(username, window).spent
        return spent * 100 / limit if limit else 0.0


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    config = {"AI_GATEWAY_CONFIG": str(DEMO_CONFIG)}
    with (
        running_redis() as server,
        running_simulator() as simulator,
        opened_app(server, simulator, config) as gateway,
    ):
        started = time.monotonic()
        result = gateway.flask("demo-data")
        yield Demo(gateway, result, time.monotonic() - started)


def test_demo_is_made_in_the_promised_time(demo: Demo) -> None:
    assert demo.result.exit_code == 0, demo.result.output
    made = demo.one("SELECT count(*) FROM ledger_entry")
    assert made > 2_000
    assert demo.seconds < PROMISED_SECONDS, f"{demo.seconds:.0f} s for {made} calls"


def test_operator_is_told_whom_to_look_for(demo: Demo) -> None:
    for name in (NEAR, OVER, BLOCKED):
        assert name in demo.result.stdout
    assert f"{len(CAST)} users" in demo.result.stdout
    assert "100 %" in demo.result.stderr


def test_counters_and_ledger_agree(demo: Demo) -> None:
    verified = demo.gateway.flask("ledger", "verify")
    assert verified.exit_code == 0, verified.output


def test_one_user_is_between_80_and_100_percent_of_day_and_month(demo: Demo) -> None:
    for window in Window:
        used = {person.username: demo.percent(person.username, window) for person in CAST}
        assert [name for name, percent in used.items() if 80 <= percent < 100] == [NEAR], used


def test_one_user_is_over_both_limits_and_was_refused(demo: Demo) -> None:
    for window in Window:
        used = {person.username: demo.percent(person.username, window) for person in CAST}
        assert [name for name, percent in used.items() if percent >= 100] == [OVER], used
    assert any(demo.counters(OVER, window).is_refused for window in Window)


def test_one_user_is_blocked_by_limits_of_0_but_has_a_history(demo: Demo) -> None:
    blocked = {p.username for p in CAST if demo.limit(p.username, Window.DAY) == 0}
    assert blocked == {BLOCKED}
    assert demo.limit(BLOCKED, Window.MONTH) == 0
    assert any(demo.counters(BLOCKED, window).is_refused for window in Window)
    assert demo.one(
        "SELECT count(*) FROM ledger_entry JOIN user ON user.id = user_id WHERE username = :name",
        name=BLOCKED,
    )
    key = demo.gateway.flask("key", "create", BLOCKED).stdout.strip()
    answer = demo.gateway.call(key)
    assert answer.status_code == 429
    assert '"code":"insufficient_quota"' in answer.get_data(as_text=True)


def test_history_has_streams_clients_that_left_and_failures_of_several_kinds(demo: Demo) -> None:
    assert demo.one("SELECT sum(stream) FROM ledger_entry") > 500
    assert demo.one("SELECT sum(cancellations) FROM ledger_entry") > 20
    kinds = demo.rows(
        "SELECT outcome, usage_status, count(*) FROM ledger_entry WHERE failures = 1 GROUP BY 1, 2"
    )
    assert {kind["outcome"] for kind in kinds} == {"upstream_error", "upstream_rejected"}
    assert len(kinds) >= 3


def test_history_has_many_providers_and_a_price_that_nobody_knows(demo: Demo) -> None:
    providers = {row["provider"] for row in demo.rows("SELECT DISTINCT provider FROM ledger_entry")}
    assert providers >= {"openai", "anthropic", "mistral", "groq", "azure", "gemini", "deepseek"}
    unpriced = demo.one("SELECT count(*) FROM ledger_entry WHERE price_status = 'unpriced'")
    assert 0 < unpriced < 200


def test_history_covers_30_days_and_users_are_as_old_as_their_calls(demo: Demo) -> None:
    assert demo.one("SELECT count(DISTINCT date(admitted_at)) FROM ledger_entry") >= 30
    too_early = demo.one(
        "SELECT count(*) FROM ledger_entry JOIN user ON user.id = user_id "
        "WHERE admitted_at < user.created_at"
    )
    assert too_early == 0
    late = "SELECT count(*) FROM ledger_entry WHERE settled_at > datetime(admitted_at, '+1 second')"
    assert demo.one(late) == 0, "settled when the clock stood at a later call"


def test_a_key_is_revoked_and_another_one_expired(demo: Demo) -> None:
    listed = demo.gateway.flask("key", "list").stdout
    assert listed.count("revoked") == 1
    assert listed.count("expired") == 1


def test_users_have_names_and_addresses(demo: Demo) -> None:
    users = demo.rows("SELECT username, email FROM user WHERE role = 'none'")
    assert {user["username"] for user in users} == {person.username for person in CAST}
    assert all(user["email"] == f"{user['username']}@example.com" for user in users)


def test_demo_is_not_poured_over_what_is_there(demo: Demo) -> None:
    before = demo.one("SELECT count(*) FROM ledger_entry")
    again = demo.gateway.flask("demo-data")
    assert again.exit_code == 1
    assert "there are users already" in again.stderr
    assert demo.one("SELECT count(*) FROM ledger_entry") == before


def test_made_up_calls_go_to_no_real_provider() -> None:
    real = {"AI_GATEWAY_SIMULATOR": "off", "OPENAI_API_KEY": "sk-0123456789"}
    with running_redis() as server, opened_app(server, variables=real) as gateway:
        refused = gateway.flask("demo-data")
        assert refused.exit_code == 1
        assert "AI_GATEWAY_SIMULATOR=on" in refused.stderr
        assert gateway.flask("user", "list").stdout.count("\n") == 1

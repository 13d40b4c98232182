"""Keys on the path of a call: rotated and revoked at one worker, presented to another."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from ai_gateway.domain.audit import Actor
from ai_gateway.domain.virtual_key import Grace
from ai_gateway.errors import KeyNotFound
from ai_gateway.services.key_admin import KeyRequest
from ai_gateway.stores.tables import AuditRow, VirtualKey, db
from simulator.testing import RunningSimulator
from tests.gateway_app import GatewayApp, opened_app
from tests.keys import BY_COMMAND
from tests.redis_servers import RedisServer


@dataclass
class Clock:
    """Moves when a test wants it to."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True, slots=True)
class Workers:
    """Two applications on the same stores, as two worker processes are; `blind` has no SQL."""

    first: GatewayApp
    second: GatewayApp
    blind: GatewayApp
    clock: Clock

    def statuses(self, *keys: str) -> list[int]:
        """What the second worker answers to a call with each key."""
        return [self.second.call(key).status_code for key in keys]

    def spend(self, key: str) -> tuple[int, int]:
        """What the key spent today and this month, by the enforcement counters."""
        row = self.first.services.key_list.find(key.split("_")[1], owner_id=None)
        return row.daily.spent, row.monthly.spent

    def rotate(self, key: str, grace: Grace) -> str:
        admin = self.first.services.key_admin
        text = admin.rotate(key.split("_")[1], grace, BY_COMMAND).text
        assert text is not None
        return text


@pytest.fixture(scope="module")
def workers(server: RedisServer, simulator: RunningSimulator) -> Iterator[Workers]:
    clock = Clock()
    with opened_app(server, simulator, clock=clock) as first:
        same = {"AI_GATEWAY_DATA_DIR": str(first.data_dir)}
        gone = {"DATABASE_URL": "sqlite:////nowhere/at/all.db"}
        with (
            opened_app(server, simulator, same, is_set_up=False, clock=clock) as second,
            opened_app(server, simulator, gone, is_set_up=False, clock=clock) as blind,
        ):
            first.open()
            yield Workers(first, second, blind, clock)


@pytest.fixture
def gateway(workers: Workers) -> Iterator[Workers]:
    with workers.first.app.app_context():
        yield workers
    workers.clock.ahead = timedelta()


def test_after_a_revoke_the_very_next_call_at_another_worker_is_refused(gateway: Workers) -> None:
    key, other = gateway.first.make_key(), gateway.first.make_key()
    assert gateway.statuses(key, other) == [200, 200]
    assert gateway.first.services.key_admin.revoke(key.split("_")[1], BY_COMMAND).is_in_force
    assert gateway.statuses(key, other) == [401, 200]


def test_with_the_database_away_a_command_revokes_at_once_and_for_good(gateway: Workers) -> None:
    key = gateway.first.make_key()
    assert gateway.statuses(key) == [200]
    done = gateway.blind.flask("key", "revoke", key)
    assert done.exit_code == 0, done.output
    assert "The database does not answer; it hears of it when it is back." in done.stderr
    assert gateway.statuses(key) == [401]
    gateway.first.services.key_admin.publish_all()
    assert gateway.statuses(key) == [401]
    row = db.session.scalars(select(VirtualKey).where(VirtualKey.key_id == key.split("_")[1])).one()
    assert row.status == "revoked"
    told = select(AuditRow).where(AuditRow.target_id == row.key_id).order_by(AuditRow.id.desc())
    last = db.session.scalars(told).first()
    assert last is not None
    assert (last.action, last.actor_name) == ("key_revoke", "command line")


def test_both_secrets_work_until_the_stated_time_and_spend_goes_on(
    gateway: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    old = gateway.first.make_key(None, "--label", "ci", "--daily", "1")
    assert gateway.statuses(old) == [200]
    spent = gateway.spend(old)
    assert min(spent) > 0
    new = gateway.rotate(old, Grace.HOUR)
    assert gateway.spend(old) == spent
    assert gateway.statuses(old, new) == [200, 200]
    assert gateway.spend(old) == tuple(3 * amount for amount in spent)
    gateway.clock.ahead = timedelta(hours=1, seconds=5)
    assert gateway.statuses(old, new) == [401, 200]
    entry = gateway.first.services.key_list.find(old.split("_")[1], owner_id=None).entry
    assert (entry.label, entry.last4, entry.state) == ("ci", new[-4:], "active")
    assert entry.daily.limit.amount == 10**9
    logged = str([vars(record) for record in caplog.records])
    assert old.split("_")[1] in logged
    assert not [key for key in (old, new) if key.split("_")[2] in logged]


def test_an_owner_has_no_way_to_the_key_of_another(gateway: Workers) -> None:
    key = gateway.first.make_key()
    stranger = KeyRequest(Actor(user_id=999), owner_id=999)
    services = gateway.first.services
    assert services.key_list.of_owner(999).rows == ()
    for act in (
        lambda: services.key_list.find(key.split("_")[1], owner_id=999),
        lambda: services.key_admin.rotate(key.split("_")[1], Grace.NONE, stranger),
        lambda: services.key_admin.revoke(key.split("_")[1], stranger),
    ):
        with pytest.raises(KeyNotFound):
            act()
    assert gateway.statuses(key) == [200]

"""Keys and limits as staff change them: kept in SQL, in force in Redis at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit
from ai_gateway.domain.roles import Role
from ai_gateway.domain.virtual_key import KeyStatus, digest_key, parse_key
from ai_gateway.errors import BudgetUnavailable, InvalidKey
from ai_gateway.services.admission import KeyRing
from ai_gateway.services.key_admin import KeyAdmin, KeyOptions
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.outbox import PublishedState
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import VirtualKey
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from tests.engines import opened_engine
from tests.services.workbench import NOW, PEPPER, SetClock, nano
from tests.sql_database import sqlite_url

INSTALLATION, USER_DAY, USER_MONTH, KEY_DAY, KEY_MONTH = BUDGETS
DEFAULTS = {INSTALLATION: nano(1_000), USER_DAY: nano(50)}


@dataclass(frozen=True, slots=True)
class Office:
    """Where keys are issued and where they are checked."""

    admin: KeyAdmin
    table: KeyTable
    copies: KeyCopies
    ring: KeyRing
    ann: int
    ben: int

    def copy(self, text: str) -> KeyRecord:
        loaded = self.copies.load(text.split("_")[1])
        assert loaded is not None
        return loaded[0]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened_engine(sqlite_url(tmp_path)) as opened_one:
        yield opened_one


@pytest.fixture
def office(engine: Engine, redis_client: redis.Redis) -> Office:
    PublishedState(redis_client).restore([], "epoch-1")
    return office_on(engine, redis_client)


def office_on(engine: Engine, client: redis.Redis) -> Office:
    clock, numbers = SetClock(), count(1)
    table, copies = KeyTable(engine, DEFAULTS), KeyCopies(client)
    users = UserTable(engine)
    ann, ben = (
        users.find(name)
        or users.add(name, f"{name}@x.test", password_hash=None, role=Role.NONE, now=NOW)
        for name in ("ann", "ben")
    )
    return Office(
        admin=KeyAdmin(
            table,
            copies,
            pepper=PEPPER,
            clock=clock,
            random_bytes=lambda length: next(numbers).to_bytes(length, "little"),
        ),
        table=table,
        copies=copies,
        ring=KeyRing(copies, Meter(client), PEPPER, clock),
        ann=ann,
        ben=ben,
    )


def test_issued_key_is_accepted_at_once(office: Office) -> None:
    text = office.admin.create_key(office.ann, KeyOptions())
    assert office.ring.identify(text).record.user_id == office.ann


def test_key_text_is_stored_nowhere(
    office: Office, engine: Engine, redis_client: redis.Redis
) -> None:
    text = office.admin.create_key(office.ann, KeyOptions(label="laptop"))
    secret = text.split("_")[2]
    with Session(engine) as session:
        row = session.scalars(select(VirtualKey)).one()
        stored = " ".join(str(value) for value in vars(row).values())
    copies = str(redis_client.hgetall(redis_client.keys("{agw}:key:*")[0]))
    assert secret not in stored + copies
    assert (row.last4, row.label) == (text[-4:], "laptop")
    presented = parse_key(text)
    assert presented is not None
    assert row.digest == digest_key(presented, PEPPER)


def test_options_of_a_key_are_kept(office: Office) -> None:
    options = KeyOptions(
        allowed_models=("gpt-4o-mini",),
        expires_at=NOW + timedelta(days=1),
        limits={KEY_DAY: nano(7), KEY_MONTH: NO_LIMIT},
    )
    record = office.copy(office.admin.create_key(office.ann, options))
    assert record.allowed_models == ("gpt-4o-mini",)
    assert record.expires_at == NOW + timedelta(days=1)
    assert record.limits == (nano(1_000), nano(50), NO_LIMIT, nano(7), NO_LIMIT)


def test_limit_of_a_key_is_of_that_key_alone(office: Office) -> None:
    office.admin.create_key(office.ann, KeyOptions(limits={KEY_DAY: nano(7)}))
    other = office.copy(office.admin.create_key(office.ann, KeyOptions()))
    assert other.limits[3] == NO_LIMIT


@pytest.mark.parametrize(
    ("chosen", "limit"),
    [
        pytest.param(nano(5), nano(5), id="amount"),
        pytest.param(nano(0), nano(0), id="nothing"),
        pytest.param(NO_LIMIT, NO_LIMIT, id="none"),
        pytest.param(None, nano(50), id="inherits"),
    ],
)
def test_limit_of_a_user_acts_on_all_keys_of_that_user(
    office: Office, chosen: Limit | None, limit: Limit
) -> None:
    keys = [office.admin.create_key(office.ann, KeyOptions()) for _ in range(2)]
    other = office.admin.create_key(office.ben, KeyOptions())
    office.admin.set_user_limits(office.ann, {USER_DAY: nano(999)})
    office.admin.set_user_limits(office.ann, {USER_DAY: chosen})
    assert [office.copy(key).limits[1] for key in keys] == [limit, limit]
    assert office.copy(other).limits[1] == nano(50)


def test_each_change_makes_a_newer_version(office: Office) -> None:
    key = office.admin.create_key(office.ann, KeyOptions())
    versions = [office.copy(key).version]
    for change in (nano(5), None, nano(5)):
        office.admin.set_user_limits(office.ann, {USER_DAY: change})
        versions.append(office.copy(key).version)
    assert versions == sorted(set(versions))


def test_revoked_key_is_refused_at_once_and_others_are_not(office: Office) -> None:
    key, other = (office.admin.create_key(office.ann, KeyOptions()) for _ in range(2))
    office.ring.identify(key)
    assert office.admin.revoke_key(key.split("_")[1])
    assert office.copy(key).status is KeyStatus.REVOKED
    with pytest.raises(InvalidKey):
        office.ring.identify(key, fresh=True)
    assert office.ring.identify(other, fresh=True).record.user_id == office.ann


def test_unknown_key_cannot_be_revoked(office: Office) -> None:
    assert office.admin.revoke_key("nobody00") is False


def test_revoking_again_does_no_harm(office: Office) -> None:
    key_id = office.admin.create_key(office.ann, KeyOptions()).split("_")[1]
    assert [office.admin.revoke_key(key_id) for _ in range(2)] == [True, True]


def test_revoked_key_stays_revoked_when_limits_change(office: Office) -> None:
    key = office.admin.create_key(office.ann, KeyOptions())
    office.admin.revoke_key(key.split("_")[1])
    office.admin.set_user_limits(office.ann, {USER_DAY: nano(5)})
    office.admin.publish_all()
    assert office.copy(key).status is KeyStatus.REVOKED


def test_all_keys_are_published_again_after_a_loss(
    office: Office, redis_client: redis.Redis
) -> None:
    keys = [office.admin.create_key(user, KeyOptions()) for user in (office.ann, office.ben)]
    before = [office.copy(key) for key in keys]
    redis_client.flushall()
    office.admin.publish_all()
    assert [office.copy(key) for key in keys] == before


@pytest.fixture
def cut_off(engine: Engine) -> Iterator[Office]:
    """The same while Redis is away."""
    with connect("redis://127.0.0.1:1") as client:
        yield office_on(engine, client)


def test_key_is_issued_while_redis_is_away_and_published_later(
    office: Office, cut_off: Office
) -> None:
    text = cut_off.admin.create_key(office.ann, KeyOptions(limits={KEY_DAY: nano(7)}))
    office.admin.publish_all()
    assert office.copy(text).limits[3] == nano(7)
    assert office.ring.identify(text).record.user_id == office.ann


def test_limit_is_kept_while_redis_is_away(office: Office, cut_off: Office) -> None:
    key = office.admin.create_key(office.ann, KeyOptions())
    cut_off.admin.set_user_limits(office.ann, {USER_DAY: nano(5)})
    office.admin.publish_all()
    assert office.copy(key).limits[1] == nano(5)


def test_who_revokes_while_redis_is_away_is_told_that_it_is_not_in_force(
    office: Office, cut_off: Office
) -> None:
    key = office.admin.create_key(office.ann, KeyOptions())
    with pytest.raises(BudgetUnavailable):
        cut_off.admin.revoke_key(key.split("_")[1])
    office.admin.publish_all()
    assert office.copy(key).status is KeyStatus.REVOKED


def test_changed_limit_forgives_the_refusals_of_that_user_alone(
    office: Office, redis_client: redis.Redis
) -> None:
    marked = [f"{{agw}}:account:user:{who}:2026-11-25" for who in (office.ann, office.ben)]
    for name in marked:
        redis_client.hset(name, "refused", "1")
        redis_client.sadd("{agw}:refused", name)
    office.admin.set_user_limits(office.ann, {USER_DAY: nano(100)})
    assert redis_client.smembers("{agw}:refused") == {marked[1]}
    assert redis_client.hget(marked[0], "refused") is None

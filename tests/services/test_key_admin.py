"""Keys and limits as staff change them: kept in SQL, in force in Redis at once."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, create_engine, delete, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import Actor
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit, Scope
from ai_gateway.domain.roles import Role
from ai_gateway.domain.virtual_key import Grace, KeyStatus, digest_key, parse_key
from ai_gateway.errors import InvalidKey, InvalidRequest, KeyNotFound, NotPermitted
from ai_gateway.services.key_admin import KeyAdmin, KeyRequest
from ai_gateway.services.key_ring import KeyRing
from ai_gateway.services.key_rules import KeyOptions
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import AuditRow, VirtualKey
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from tests.engines import opened_engine
from tests.keys import BY_COMMAND, issue
from tests.limits import LimitOffice
from tests.services.workbench import NOW, PEPPER, SetClock, nano
from tests.sql_database import sqlite_url
from tests.trusting import trust

INSTALLATION, USER_DAY, USER_MONTH, KEY_DAY, KEY_MONTH = BUDGETS
DEFAULTS = {INSTALLATION: nano(1_000), USER_DAY: nano(50)}


@dataclass(frozen=True, slots=True)
class Office:
    """Where keys are issued and where they are checked."""

    admin: KeyAdmin
    table: KeyTable
    copies: KeyCopies
    ring: KeyRing
    limits: LimitOffice
    clock: SetClock
    ann: int
    ben: int

    def copy(self, text: str) -> KeyRecord:
        """The copy of a key, with the limits in force."""
        loaded, rules = self.copies.load_with_rules(text.split("_")[1])
        assert loaded is not None
        assert rules is not None
        return replace(loaded[0], limits=rules.in_force(loaded[0].limits))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened_engine(sqlite_url(tmp_path)) as opened_one:
        yield opened_one


@pytest.fixture
def office(engine: Engine, redis_client: redis.Redis) -> Office:
    trust(redis_client)
    office = office_on(engine, redis_client)
    office.admin.publish_all()
    return office


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
        limits=LimitOffice(table, engine, client, clock),
        clock=clock,
        ann=ann,
        ben=ben,
    )


def test_issued_key_is_accepted_at_once(office: Office) -> None:
    text = issue(office.admin, office.ann)
    assert office.ring.identify(text).record.user_id == office.ann


def test_key_text_is_stored_nowhere(
    office: Office, engine: Engine, redis_client: redis.Redis
) -> None:
    text = issue(office.admin, office.ann, KeyOptions(label="laptop"))
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
    record = office.copy(issue(office.admin, office.ann, options))
    assert record.allowed_models == ("gpt-4o-mini",)
    assert record.expires_at == NOW + timedelta(days=1)
    assert record.limits == (nano(1_000), nano(50), NO_LIMIT, nano(7), NO_LIMIT)


def test_limit_of_a_key_is_of_that_key_alone(office: Office) -> None:
    issue(office.admin, office.ann, KeyOptions(limits={KEY_DAY: nano(7)}))
    other = office.copy(issue(office.admin, office.ann))
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
    keys = [issue(office.admin, office.ann) for _ in range(2)]
    other = issue(office.admin, office.ben)
    office.limits.set(Scope.USER, office.ann, {USER_DAY: nano(999)})
    office.limits.set(Scope.USER, office.ann, {USER_DAY: chosen})
    assert [office.copy(key).limits[1] for key in keys] == [limit, limit]
    assert office.copy(other).limits[1] == nano(50)


def test_each_change_makes_a_newer_version(office: Office) -> None:
    key = issue(office.admin, office.ann)
    versions = [office.copy(key).version]
    for change in (nano(5), None, nano(5)):
        office.limits.set(Scope.USER, office.ann, {USER_DAY: change})
        versions.append(office.copy(key).version)
    assert versions == sorted(set(versions))


def test_revoked_key_is_refused_at_once_and_others_are_not(office: Office) -> None:
    key, other = (issue(office.admin, office.ann) for _ in range(2))
    office.ring.identify(key)
    done = office.admin.revoke(key.split("_")[1], BY_COMMAND)
    assert (done.is_in_force, done.is_recorded) == (True, True)
    assert office.copy(key).status is KeyStatus.REVOKED
    with pytest.raises(InvalidKey):
        office.ring.identify(key, fresh=True)
    assert office.ring.identify(other, fresh=True).record.user_id == office.ann


def test_unknown_key_cannot_be_revoked(office: Office) -> None:
    with pytest.raises(KeyNotFound):
        office.admin.revoke("nobody00", BY_COMMAND)


def test_revoking_again_does_no_harm(office: Office) -> None:
    key_id = issue(office.admin, office.ann).split("_")[1]
    assert all(office.admin.revoke(key_id, BY_COMMAND).is_in_force for _ in range(2))


def test_revoked_key_stays_revoked_when_limits_change(office: Office) -> None:
    key = issue(office.admin, office.ann)
    office.admin.revoke(key.split("_")[1], BY_COMMAND)
    office.limits.set(Scope.USER, office.ann, {USER_DAY: nano(5)})
    office.admin.publish_all()
    assert office.copy(key).status is KeyStatus.REVOKED


def test_all_keys_are_published_again_after_a_loss(
    office: Office, redis_client: redis.Redis
) -> None:
    keys = [issue(office.admin, user) for user in (office.ann, office.ben)]
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
    text = issue(cut_off.admin, office.ann, KeyOptions(limits={KEY_DAY: nano(7)}))
    office.admin.publish_all()
    assert office.copy(text).limits[3] == nano(7)
    assert office.ring.identify(text).record.user_id == office.ann


def test_limit_is_kept_while_redis_is_away(office: Office, cut_off: Office) -> None:
    key = issue(office.admin, office.ann)
    cut_off.limits.set(Scope.USER, office.ann, {USER_DAY: nano(5)})
    office.admin.publish_all()
    assert office.copy(key).limits[1] == nano(5)


def test_who_revokes_while_redis_is_away_is_told_that_it_is_not_in_force(
    office: Office, cut_off: Office
) -> None:
    key = issue(office.admin, office.ann)
    done = cut_off.admin.revoke(key.split("_")[1], BY_COMMAND)
    assert (done.is_in_force, done.is_recorded) == (False, True)
    office.admin.publish_all()
    assert office.copy(key).status is KeyStatus.REVOKED


def asked_by(user_id: int, request_id: str = "") -> KeyRequest:
    """A user who asks for own keys."""
    return KeyRequest(Actor(user_id, f"user {user_id}"), user_id, request_id)


def entries(engine: Engine) -> list[AuditRow]:
    with Session(engine) as session:
        return list(session.scalars(select(AuditRow).order_by(AuditRow.id)))


def test_a_request_that_is_sent_twice_makes_one_key_and_tells_it_once(
    office: Office, engine: Engine
) -> None:
    made, again = (
        office.admin.create(office.ann, KeyOptions(), asked_by(office.ann, "form-1"))
        for _ in range(2)
    )
    assert (made.key.key_id, again.text) == (again.key.key_id, None)
    other = office.admin.create(office.ben, KeyOptions(), asked_by(office.ben, "form-1"))
    assert other.text is not None
    assert [row.action for row in entries(engine)] == ["key_create", "key_create"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        pytest.param(KeyOptions(label="x" * 101), "label", id="label"),
        pytest.param(KeyOptions(label="a\nb"), "label", id="line"),
        pytest.param(KeyOptions(expires_at=NOW), "expires", id="past"),
        pytest.param(KeyOptions(allowed_models=("o3", "")), "models", id="nothing"),
        pytest.param(KeyOptions(allowed_models=("a b",)), "models", id="blank"),
        pytest.param(KeyOptions(allowed_models=("m",) * 51), "models", id="many"),
        pytest.param(KeyOptions(limits={KEY_DAY: nano(51)}), "limit_day", id="wider"),
    ],
)
def test_what_is_wider_than_the_owner_or_makes_no_sense_is_refused(
    office: Office, engine: Engine, options: KeyOptions, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        issue(office.admin, office.ann, options)
    assert refused.value.param == field
    assert entries(engine) == []


def test_limits_as_wide_as_the_owners_are_taken(office: Office) -> None:
    options = KeyOptions(limits={KEY_DAY: nano(50), KEY_MONTH: nano(9 * 10**15)})
    assert office.copy(issue(office.admin, office.ann, options)).limits[3:] == (
        nano(50),
        nano(9 * 10**15),
    )


def test_nobody_touches_the_key_of_another_user(office: Office, engine: Engine) -> None:
    key = issue(office.admin, office.ann)
    key_id, stranger = key.split("_")[1], asked_by(office.ben)
    with pytest.raises(NotPermitted):
        office.admin.create(office.ann, KeyOptions(), stranger)
    with pytest.raises(KeyNotFound):
        office.admin.rotate(key_id, Grace.NONE, stranger)
    with pytest.raises(KeyNotFound):
        office.admin.revoke(key_id, stranger)
    assert office.ring.identify(key, fresh=True).record.user_id == office.ann
    assert len(entries(engine)) == 1
    assert office.admin.revoke(key_id, asked_by(office.ann)).is_in_force


def rotated(office: Office, key: str, grace: Grace, request_id: str = "") -> str:
    asked = dataclasses.replace(BY_COMMAND, request_id=request_id)
    text = office.admin.rotate(key.split("_")[1], grace, asked).text
    assert text is not None
    return text


def accepted(office: Office, *keys: str) -> list[bool]:
    """Which of the keys a worker takes that has seen them all before."""
    answers = []
    for key in keys:
        try:
            answers.append(bool(office.ring.identify(key)))
        except InvalidKey:
            answers.append(False)
    return answers


@pytest.mark.parametrize("grace", [Grace.HOUR, Grace.DAY, Grace.WEEK])
def test_both_secrets_work_until_the_stated_time(office: Office, grace: Grace) -> None:
    old = issue(office.admin, office.ann, KeyOptions(label="laptop"))
    before = office.copy(old)
    new = rotated(office, old, grace)
    assert accepted(office, old, new) == [True, True]
    after = office.copy(new)
    assert (after.subject_id, after.limits, after.key_id) == (
        before.subject_id,
        before.limits,
        before.key_id,
    )
    office.clock.now = NOW + grace.span - timedelta(seconds=1)
    assert accepted(office, old, new) == [True, True]
    office.clock.now = NOW + grace.span
    assert accepted(office, old, new) == [False, True]


def test_without_grace_the_old_secret_ends_at_once(office: Office) -> None:
    old = issue(office.admin, office.ann)
    new = rotated(office, old, Grace.NONE)
    assert accepted(office, old, new) == [False, True]


def test_a_rotation_during_the_grace_ends_the_oldest_secret(office: Office) -> None:
    first = issue(office.admin, office.ann)
    second = rotated(office, first, Grace.WEEK)
    third = rotated(office, first, Grace.HOUR)
    assert accepted(office, first, second, third) == [False, True, True]


def test_a_rotation_that_is_sent_twice_ends_no_secret(office: Office) -> None:
    old = issue(office.admin, office.ann)
    new = rotated(office, old, Grace.HOUR, "form-1")
    asked = dataclasses.replace(BY_COMMAND, request_id="form-1")
    assert office.admin.rotate(old.split("_")[1], Grace.HOUR, asked).text is None
    assert accepted(office, old, new) == [True, True]


def test_a_key_that_is_not_in_use_is_not_rotated(office: Office) -> None:
    expired = issue(office.admin, office.ann, KeyOptions(expires_at=NOW + timedelta(hours=1)))
    revoked = issue(office.admin, office.ann)
    office.admin.revoke(revoked.split("_")[1], BY_COMMAND)
    office.clock.now = NOW + timedelta(hours=1)
    for key in (expired, revoked):
        with pytest.raises(InvalidRequest):
            rotated(office, key, Grace.HOUR)


def test_the_audit_has_every_act_with_before_and_after_and_no_secret(
    office: Office, engine: Engine
) -> None:
    options = KeyOptions("laptop", ("o3",), NOW + timedelta(days=9), {KEY_DAY: nano(7)})
    old = issue(office.admin, office.ann, options)
    new = rotated(office, old, Grace.HOUR)
    office.admin.revoke(old.split("_")[1], asked_by(office.ann))
    made, turned, ended = entries(engine)
    assert (made.action, made.actor_name, made.before) == ("key_create", "command line", {})
    assert made.after == {
        "owner": "ann",
        "label": "laptop",
        "last4": old[-4:],
        "allowed_models": "o3",
        "expires_at": (NOW + timedelta(days=9)).isoformat(),
        "day_limit": "0.000000007",
    }
    assert (turned.action, turned.before["last4"], turned.after) == (
        "key_rotate",
        old[-4:],
        {
            "last4": new[-4:],
            "previous_works_until": (NOW + timedelta(hours=1)).isoformat(),
        },
    )
    assert (ended.action, ended.actor_user_id, ended.before, ended.after) == (
        "key_revoke",
        office.ann,
        {"status": "active"},
        {"status": "revoked"},
    )
    kept = str([(row.before, row.after, row.target_name, row.target_id) for row in entries(engine)])
    assert old.split("_")[2] not in kept
    assert new.split("_")[2] not in kept


@pytest.fixture
def without_sql(engine: Engine, redis_client: redis.Redis, office: Office) -> Iterator[Office]:
    """The same while the database is away."""
    gone = create_engine("sqlite:////nowhere/at/all.db")
    clock = SetClock()
    table = KeyTable(gone, DEFAULTS)
    admin = KeyAdmin(
        table, office.copies, pepper=PEPPER, clock=clock, random_bytes=lambda size: b"\0" * size
    )
    yield dataclasses.replace(office, admin=admin, table=table, clock=clock)
    gone.dispose()


def test_with_the_database_away_a_key_is_revoked_in_redis_and_the_database_hears_of_it(
    office: Office, without_sql: Office, engine: Engine
) -> None:
    key = issue(office.admin, office.ann)
    key_id = key.split("_")[1]
    office.ring.identify(key)
    done = without_sql.admin.revoke(key_id, asked_by(office.ann))
    assert (done.is_in_force, done.is_recorded) == (True, False)
    with pytest.raises(InvalidKey):
        office.ring.identify(key, fresh=True)
    # The database is back, and knows of nothing: whatever is changed then must not bring it back.
    office.limits.set(Scope.USER, office.ann, {USER_DAY: nano(5)})
    assert office.copy(key).status is KeyStatus.REVOKED
    for _ in range(2):
        office.clock.now += timedelta(hours=1)
        office.admin.publish_all()
        assert office.copy(key).status is KeyStatus.REVOKED
    record = office.table.record(key_id)
    assert record is not None
    assert record.status is KeyStatus.REVOKED
    assert office.copies.revocations() == {}
    told = [row for row in entries(engine) if row.action != "limit_change"][1:]
    assert [(row.action, row.actor_user_id, row.at) for row in told] == [
        ("key_revoke", office.ann, NOW)
    ]


def test_with_the_database_away_the_owner_is_asked_for_too(
    office: Office, without_sql: Office
) -> None:
    key = issue(office.admin, office.ann)
    for key_id, user_id in ((key.split("_")[1], office.ben), ("nobody00", office.ann)):
        with pytest.raises(KeyNotFound):
            without_sql.admin.revoke(key_id, asked_by(user_id))
    assert accepted(office, key) == [True]


def test_a_revocation_of_a_key_that_the_database_lost_is_given_up(
    office: Office, without_sql: Office, engine: Engine
) -> None:
    key = issue(office.admin, office.ann)
    without_sql.admin.revoke(key.split("_")[1], BY_COMMAND)
    with Session(engine) as session, session.begin():
        session.execute(delete(VirtualKey))
    office.admin.publish_all()
    assert office.copies.revocations() == {}
    assert accepted(office, key) == [False]


def test_changed_limit_forgives_the_refusals_of_that_user_alone(
    office: Office, redis_client: redis.Redis
) -> None:
    marked = [f"{{agw}}:account:user:{who}:2026-11-25" for who in (office.ann, office.ben)]
    for name in marked:
        redis_client.hset(name, "refused", "1")
        redis_client.sadd("{agw}:refused", name)
    office.limits.set(Scope.USER, office.ann, {USER_DAY: nano(100)})
    assert redis_client.smembers("{agw}:refused") == {marked[1]}
    assert redis_client.hget(marked[0], "refused") is None

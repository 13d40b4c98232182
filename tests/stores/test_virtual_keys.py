"""Virtual keys: the truth in SQL, the copies in Redis, and the versions between them."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session

from ai_gateway.domain.key_record import KeyRecord, OutgoingSecret
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Budget, Limit, Scope, Window
from ai_gateway.domain.roles import Role
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.stores import redis_keys, virtual_keys
from ai_gateway.stores.key_acts import NewKey
from ai_gateway.stores.meter import Heartbeat
from ai_gateway.stores.tables import User, VirtualKey
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import COPIES_AT_ONCE, KEYS_AT_ONCE, KeyTable
from tests.engines import another_writer, opened_engine
from tests.keys import PLAIN_ACT
from tests.limits import choose
from tests.money import MoneyStore, admitted_call, amount, floor, key_record
from tests.sql_database import sqlite_url

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
INSTALLATION, USER_DAY, USER_MONTH, KEY_DAY, KEY_MONTH = BUDGETS
DEFAULTS: Mapping[Budget, Limit] = {
    INSTALLATION: amount(1000),
    USER_DAY: amount(5),
    USER_MONTH: amount(100),
}


@pytest.fixture
def table(engine: Engine) -> KeyTable:
    return KeyTable(engine, DEFAULTS)


@pytest.fixture
def ann(engine: Engine) -> int:
    return _user(engine, "ann")


@pytest.fixture
def ben(engine: Engine) -> int:
    return _user(engine, "ben")


def _user(engine: Engine, name: str) -> int:
    mail = f"{name}@example.com"
    return UserTable(engine).add(name, mail, password_hash=None, role=Role.NONE, now=NOW)


def new_key(user_id: int, key_id: str = "k0000001", **changes: object) -> NewKey:
    usual = NewKey(
        key_id=key_id,
        digest="d" * 64,
        last4="wxyz",
        label="laptop",
        user_id=user_id,
        allowed_models=(),
        expires_at=None,
        created_at=NOW,
    )
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]  # any field of it


def add(table: KeyTable, new: NewKey) -> int:
    return table.acts.add(new, {}, PLAIN_ACT).number


def known(table: KeyTable, key_id: str = "k0000001") -> KeyRecord:
    found = table.record(key_id)
    assert found is not None
    return found


class TestTruth:
    """Keys as SQL has them."""

    def test_a_key_comes_back_as_it_was_stored(self, table: KeyTable, ann: int) -> None:
        new = new_key(ann, allowed_models=("gpt-4o-mini", "openai/o3"), expires_at=NOW)
        number = add(table, new)
        assert known(table) == KeyRecord(
            key_id="k0000001",
            subject_id=number,
            digest="d" * 64,
            user_id=ann,
            status=KeyStatus.ACTIVE,
            expires_at=NOW,
            allowed_models=("gpt-4o-mini", "openai/o3"),
            limits=(None,) * len(BUDGETS),
            version=1,
        )

    def test_an_unknown_key_is_none(self, table: KeyTable) -> None:
        assert table.record("k0000404") is None

    def test_keys_are_listed_in_the_order_they_were_made(
        self, table: KeyTable, ann: int, ben: int
    ) -> None:
        for user_id, key_id in ((ben, "k0000002"), (ann, "k0000001"), (ben, "k0000003")):
            add(table, new_key(user_id, key_id))
        assert [r.key_id for r in table.records()] == ["k0000002", "k0000001", "k0000003"]
        assert [r.key_id for r in table.records(user_id=ben)] == ["k0000002", "k0000003"]
        assert list(table.records(user_id=404)) == []

    def test_a_disabled_owner_disables_the_key(
        self, table: KeyTable, engine: Engine, ann: int
    ) -> None:
        add(table, new_key(ann))
        with Session(engine) as session, session.begin():
            session.execute(update(User).values(is_enabled=False))
        assert known(table).status is KeyStatus.REVOKED


class TestLimits:
    """What staff chose stands before the environment's."""

    def test_a_choice_stands_before_the_default(self, table: KeyTable, ann: int, ben: int) -> None:
        number = add(table, new_key(ann))
        add(table, new_key(ben, "k0000002"))
        choose(table, Scope.USER, ann, {USER_DAY: amount(7), USER_MONTH: NO_LIMIT})
        choose(table, Scope.KEY, number, {KEY_MONTH: amount(0)})
        rules = table.house_rules.read()
        assert known(table).limits == (None, amount(7), NO_LIMIT, None, amount(0))
        assert rules.in_force(known(table).limits) == (
            amount(1000), amount(7), NO_LIMIT, NO_LIMIT, amount(0),
        )  # fmt: skip
        assert rules.in_force(known(table, "k0000002").limits) == (
            amount(1000), amount(5), amount(100), NO_LIMIT, NO_LIMIT,
        )  # fmt: skip

    def test_a_choice_can_be_changed_and_taken_back(self, table: KeyTable, ann: int) -> None:
        for choice, in_force in ((amount(7), amount(7)), (amount(8), amount(8)), (None, amount(5))):
            choose(table, Scope.USER, ann, {USER_DAY: choice})
            assert table.limits({Scope.USER: ann})[USER_DAY] == in_force
        choose(table, Scope.USER, ann, {USER_DAY: None})
        assert table.limits({Scope.USER: ann})[USER_DAY] == amount(5)

    def test_whoever_has_no_key_has_limits_too(self, table: KeyTable, ann: int) -> None:
        assert table.limits({Scope.USER: ann}) == {USER_DAY: amount(5), USER_MONTH: amount(100)}
        assert table.limits({Scope.INSTALLATION: 0}) == {INSTALLATION: amount(1000)}

    def test_a_change_makes_a_version_of_the_keys_that_it_touches(
        self, table: KeyTable, ann: int, ben: int
    ) -> None:
        first = add(table, new_key(ann, "k0000001"))
        add(table, new_key(ann, "k0000002"))
        add(table, new_key(ben, "k0000003"))
        choose(table, Scope.USER, ann, {USER_DAY: amount(7)})
        choose(table, Scope.KEY, first, {KEY_DAY: amount(3)})
        assert {r.key_id: r.version for r in table.records()} == {
            "k0000001": 3,
            "k0000002": 2,
            "k0000003": 1,
        }

    def test_the_highest_limit_is_kept_exactly(self, table: KeyTable, ann: int) -> None:
        choose(table, Scope.USER, ann, {USER_DAY: amount(9_000_000 * 10**9)})
        assert table.limits({Scope.USER: ann})[USER_DAY].amount == 9_000_000_000_000_000

    def test_keys_and_users_of_the_same_number_are_told_apart(
        self, table: KeyTable, ann: int
    ) -> None:
        number = add(table, new_key(ann))
        assert number == ann
        choose(table, Scope.KEY, number, {Budget(Scope.KEY, Window.DAY): amount(3)})
        assert table.limits({Scope.USER: ann})[USER_DAY] == amount(5)


def test_reading_waits_for_no_writer(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    with opened_engine(url, busy_ms=1) as engine, another_writer(tmp_path / "test.db"):
        table = KeyTable(engine, DEFAULTS)
        assert table.limits({Scope.INSTALLATION: 0}) == {INSTALLATION: amount(1000)}
        assert (table.record("k0000009"), list(table.records())) == (None, [])


class TestCopies:
    """What workers check against."""

    FULL = key_record(
        status=KeyStatus.REVOKED,
        expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        allowed_models=("openai/o3",),
        limits=(amount(1), NO_LIMIT, amount(0), amount(9 * 10**15), NO_LIMIT),
        version=7,
    )

    ROTATING = key_record(outgoing=OutgoingSecret("1" * 64, NOW))

    @pytest.mark.parametrize(
        "record", [key_record(), FULL, ROTATING], ids=["plain", "full", "rotating"]
    )
    def test_a_copy_is_the_same_as_what_was_published(
        self, store: MoneyStore, record: KeyRecord
    ) -> None:
        store.client.delete(redis_keys.key_record(record.key_id))
        store.copies.publish([record])
        loaded = store.copies.load(record.key_id)
        assert loaded is not None
        assert loaded[0] == record
        assert loaded[1].startswith(f"{record.version}.")

    def test_a_key_that_is_not_published_has_no_copy(self, store: MoneyStore) -> None:
        assert store.copies.load("k0000404") is None

    def test_an_older_version_never_replaces_a_newer_one(self, store: MoneyStore) -> None:
        store.copies.publish([key_record(status=KeyStatus.REVOKED, version=10)])
        before = store.dump()
        store.copies.publish([key_record(version=9)])
        assert store.dump() == before

    def test_a_newer_version_replaces_an_older_one(self, store: MoneyStore) -> None:
        store.copies.publish([key_record(version=9)])
        store.copies.publish([key_record(status=KeyStatus.REVOKED, version=10)])
        loaded = store.copies.load("k0000001")
        assert loaded is not None
        assert loaded[0].status is KeyStatus.REVOKED

    def test_limits_of_the_environment_change_the_version_without_a_new_number(
        self, store: MoneyStore
    ) -> None:
        versions = set()
        for limit in (amount(5), amount(6), NO_LIMIT):
            store.copies.publish([key_record(limits=(limit,) * 5)])
            versions.add(store.version())
        assert len(versions) == 3

    def test_the_same_record_has_the_same_version_everywhere(self, store: MoneyStore) -> None:
        store.copies.publish([self.FULL])
        before = store.version()
        store.client.flushall()
        store.copies.publish([self.FULL])
        assert store.version() == before

    def test_many_are_published_at_once(self, store: MoneyStore) -> None:
        records = [key_record(f"k{number:07}", subject_id=number) for number in range(500)]
        store.client.script_flush()
        store.copies.publish(records)
        loaded = store.copies.load("k0000499")
        assert loaded is not None
        assert loaded[0].subject_id == 499

    def test_a_copy_of_a_version_without_rotations_is_read(self, store: MoneyStore) -> None:
        text = store.client.hget(redis_keys.key_record("k0000001"), "record")
        facts = orjson.loads(text or "")
        del facts["outgoing"]
        store.client.hset(redis_keys.key_record("k0000001"), "record", orjson.dumps(facts).decode())
        loaded = store.copies.load("k0000001")
        assert loaded is not None
        assert loaded[0] == key_record()

    def test_a_key_revoked_here_alone_is_revoked_whatever_sql_says_later(
        self, store: MoneyStore
    ) -> None:
        before, running = store.version(), admitted_call()
        store.reserve(running)
        store.copies.revoke("k0000001", {"name": "ann"})
        for version in (1, 2, 99):
            store.copies.publish([key_record(version=version)])
        assert store.meter.heartbeat([(running, floor())]) == [Heartbeat.REVOKED]
        loaded = store.copies.load("k0000001")
        assert loaded is not None
        assert loaded[0].status is KeyStatus.REVOKED
        assert loaded[1] != before
        assert store.copies.revocations() == {"k0000001": {"name": "ann"}}

    def test_what_sql_knows_too_is_forgotten_here(self, store: MoneyStore) -> None:
        store.copies.revoke("k0000001", {"name": "ann"})
        store.copies.publish([key_record(status=KeyStatus.REVOKED, version=2)])
        store.copies.forget_revocation("k0000001")
        assert store.copies.revocations() == {}
        loaded = store.copies.load("k0000001")
        assert loaded is not None
        assert loaded[0] == key_record(status=KeyStatus.REVOKED, version=2)

    def test_nothing_to_publish_is_no_fault(self, store: MoneyStore) -> None:
        store.copies.publish([])


def test_what_sql_has_is_what_workers_check(
    table: KeyTable, valkey: MoneyStore, ann: int, engine: Engine
) -> None:
    add(table, new_key(ann, expires_at=NOW + timedelta(days=3), allowed_models=("o3",)))
    with Session(engine) as session, session.begin():
        session.execute(update(VirtualKey).values(version=2**40))
    valkey.copies.publish(table.records())
    loaded = valkey.copies.load("k0000001")
    assert loaded is not None
    assert loaded[0] == known(table)


def test_more_keys_than_are_read_at_once_are_all_read(
    table: KeyTable, engine: Engine, ann: int
) -> None:
    names = [f"{number:08x}" for number in range(KEYS_AT_ONCE + 1)]
    facts = dataclasses.asdict(new_key(ann)) | {"status": "active", "allowed_models": []}
    with Session(engine) as session, session.begin():
        session.execute(insert(VirtualKey), [facts | {"key_id": name} for name in names])
    assert [record.key_id for record in table.records()] == names


def test_more_copies_than_are_written_at_once_are_all_written(valkey: MoneyStore) -> None:
    records = [key_record(key_id=f"{number:08x}") for number in range(COPIES_AT_ONCE + 1)]
    valkey.copies.publish(iter(records))
    loaded = [valkey.copies.load(record.key_id) for record in records]
    assert [found[0] for found in loaded if found] == records


def test_the_version_of_a_record_is_the_same_in_every_process() -> None:
    """Two gateways side by side in an upgrade must not publish in turns."""
    record = key_record(limits=(None, amount(5), None, None, None))
    text = virtual_keys._to_json(record)
    assert orjson.loads(text)["limits"][1] == {"amount": 5, "kind": "amount"}
    sorted_text = orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
    assert text == sorted_text

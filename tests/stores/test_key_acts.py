"""Acts on virtual keys in SQL: once for each order, with their audit, and only on one's own."""

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import Action, Actor, AuditEntry, Change, Result
from ai_gateway.domain.key_record import OutgoingSecret
from ai_gateway.domain.limits import BUDGETS, Limit, LimitKind
from ai_gateway.domain.money import Money
from ai_gateway.domain.roles import Role
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import KeyNotFound, UserNotFound
from ai_gateway.stores.key_acts import KeyAct, KeyChange, KeyFacts, NewKey, NewSecret, OrderRepeated
from ai_gateway.stores.tables import AuditRow, KeyOrder, VirtualKey
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyTable

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
KEY_DAY = BUDGETS[3]
SECRET = NewSecret("e" * 64, "new4", NOW + timedelta(hours=1))


def told(change: KeyChange) -> Iterable[AuditEntry]:
    after = {"last4": change.after.last4, "status": change.after.status.value}
    yield AuditEntry(NOW, Action.KEY_CREATE, Actor(), None, Change(after=after), Result.OK)


ACT = KeyAct(NOW, told, owner_id=None)


def refuse(_change: KeyChange) -> Iterable[AuditEntry]:
    raise PermissionError


def under(order_id: str | None = None, owner_id: int | None = None) -> KeyAct:
    return dataclasses.replace(ACT, order_id=order_id, owner_id=owner_id)


@pytest.fixture
def table(engine: Engine) -> KeyTable:
    return KeyTable(engine, {})


@pytest.fixture
def ann(engine: Engine) -> int:
    users = UserTable(engine)
    return users.add("ann", "ann@example.com", password_hash=None, role=Role.NONE, now=NOW)


def new_key(user_id: int, key_id: str = "k0000001") -> NewKey:
    return NewKey(
        key_id=key_id,
        digest="d" * 64,
        last4="old4",
        label="laptop",
        user_id=user_id,
        allowed_models=("o3",),
        expires_at=None,
        created_at=NOW,
        created_by="olivia",
    )


def audits(engine: Engine) -> list[dict[str, str | int | bool | None]]:
    with Session(engine) as session:
        return list(session.scalars(select(AuditRow.after).order_by(AuditRow.id)))


def count(engine: Engine, table: type[VirtualKey | KeyOrder]) -> int:
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_key_is_made_with_its_limits_its_maker_and_its_audit(
    table: KeyTable, engine: Engine, ann: int
) -> None:
    limit = Limit(LimitKind.AMOUNT, Money(7))
    made = table.acts.add(new_key(ann), {KEY_DAY: limit}, ACT)
    assert (made.username, made.label, made.allowed_models) == ("ann", "laptop", ("o3",))
    record = table.record("k0000001")
    assert record is not None
    assert record.limits[3] == limit
    assert audits(engine) == [{"last4": "old4", "status": "active"}]
    with Session(engine) as session:
        assert session.scalars(select(VirtualKey)).one().created_by == "olivia"


def test_a_key_of_nobody_is_not_made(table: KeyTable, engine: Engine) -> None:
    with pytest.raises(UserNotFound):
        table.acts.add(new_key(404), {}, ACT)
    assert (count(engine, VirtualKey), audits(engine)) == (0, [])


def test_what_the_review_refuses_leaves_nothing(table: KeyTable, engine: Engine, ann: int) -> None:
    act = dataclasses.replace(under("order"), review=refuse)
    with pytest.raises(PermissionError):
        table.acts.add(new_key(ann), {}, act)
    assert (count(engine, VirtualKey), count(engine, KeyOrder), audits(engine)) == (0, 0, [])


def test_a_rotation_keeps_all_but_the_secret(table: KeyTable, ann: int) -> None:
    table.acts.add(new_key(ann), {KEY_DAY: Limit(LimitKind.AMOUNT, Money(7))}, ACT)
    before = table.record("k0000001")
    assert before is not None
    facts = table.acts.rotate("k0000001", SECRET, ACT)
    assert (facts.last4, facts.previous_until) == ("new4", SECRET.previous_until)
    assert table.record("k0000001") == dataclasses.replace(
        before,
        digest="e" * 64,
        version=2,
        outgoing=OutgoingSecret("d" * 64, SECRET.previous_until),
    )


def test_another_rotation_ends_the_oldest_secret(table: KeyTable, ann: int) -> None:
    table.acts.add(new_key(ann), {}, ACT)
    table.acts.rotate("k0000001", SECRET, ACT)
    newest = dataclasses.replace(SECRET, digest="f" * 64)
    table.acts.rotate("k0000001", newest, ACT)
    record = table.record("k0000001")
    assert record is not None
    assert (record.digest, record.outgoing) == (
        "f" * 64,
        OutgoingSecret("e" * 64, SECRET.previous_until),
    )


def test_revoking_is_for_good_makes_a_version_and_is_told_once(
    table: KeyTable, engine: Engine, ann: int
) -> None:
    table.acts.add(new_key(ann), {}, ACT)
    assert table.acts.revoke("k0000001", ACT).status is KeyStatus.REVOKED
    assert table.acts.revoke("k0000001", ACT).status is KeyStatus.REVOKED
    record = table.record("k0000001")
    assert record is not None
    assert (record.status, record.version) == (KeyStatus.REVOKED, 2)
    assert [one["status"] for one in audits(engine)] == ["active", "revoked"]


def test_an_unknown_key_and_one_of_another_owner_are_not_found(
    table: KeyTable, engine: Engine, ann: int
) -> None:
    table.acts.add(new_key(ann), {}, ACT)
    for key_id, owner_id in (("k0000404", None), ("k0000001", ann + 1)):
        with pytest.raises(KeyNotFound):
            table.acts.rotate(key_id, SECRET, under(owner_id=owner_id))
        with pytest.raises(KeyNotFound):
            table.acts.revoke(key_id, under(owner_id=owner_id))
    assert len(audits(engine)) == 1
    assert table.acts.revoke("k0000001", under(owner_id=ann)).status is KeyStatus.REVOKED


def test_an_order_that_is_repeated_acts_once_and_says_on_what(
    table: KeyTable, engine: Engine, ann: int
) -> None:
    table.acts.add(new_key(ann), {}, under("first"))
    with pytest.raises(OrderRepeated) as repeated:
        table.acts.add(new_key(ann, "k0000002"), {}, under("first"))
    assert repeated.value.key.key_id == "k0000001"
    table.acts.rotate("k0000001", SECRET, under("second"))
    with pytest.raises(OrderRepeated):
        table.acts.rotate("k0000001", dataclasses.replace(SECRET, digest="f" * 64), under("second"))
    record = table.record("k0000001")
    assert record is not None
    assert (record.digest, count(engine, VirtualKey), len(audits(engine))) == ("e" * 64, 1, 2)


def test_of_two_equal_orders_at_once_one_acts(table: KeyTable, engine: Engine, ann: int) -> None:
    start, ends = Barrier(4), list[KeyFacts | OrderRepeated]()

    def order(number: int) -> None:
        start.wait(timeout=20)
        try:
            ends.append(table.acts.add(new_key(ann, f"k000000{number}"), {}, under("same")))
        except OrderRepeated as repeated:
            ends.append(repeated)

    threads = [Thread(target=order, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(type(end).__name__ for end in ends) == ["KeyFacts", *["OrderRepeated"] * 3]
    assert (count(engine, VirtualKey), count(engine, KeyOrder), len(audits(engine))) == (1, 1, 1)

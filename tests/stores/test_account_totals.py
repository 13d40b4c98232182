"""What the ledger says of accounts: all of them, some, and those that changed since."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry
from ai_gateway.domain.roles import Role
from ai_gateway.stores.account_totals import AccountTotals
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import FIRST_POSITION
from ai_gateway.stores.tables import VirtualKey
from ai_gateway.stores.users import UserTable
from tests.money import NOON, UTC_ZONE, outbox_entry

DAY, MONTH = "2026-11-25", "2026-11"


def accounts(user_id: int, key: int) -> tuple[Account, ...]:
    return (
        Account(Scope.INSTALLATION, 0, Window.MONTH, MONTH),
        Account(Scope.USER, user_id, Window.DAY, DAY),
        Account(Scope.USER, user_id, Window.MONTH, MONTH),
        Account(Scope.KEY, key, Window.DAY, DAY),
        Account(Scope.KEY, key, Window.MONTH, MONTH),
    )


@pytest.fixture
def totals(engine: Engine) -> AccountTotals:
    """Two calls of ann, then two of ben, at 40 each."""
    ledger = Ledger(engine, UTC_ZONE)
    entries: list[OutboxEntry] = []
    for name in ("ann", "ben"):
        user_id = UserTable(engine).add(
            name, f"{name}@b.test", password_hash=None, role=Role.NONE, now=NOON
        )
        with Session(engine) as session, session.begin():
            key = VirtualKey(
                key_id=f"key{name}00"[:8], digest=name, last4="abcd", label="", user_id=user_id,
                status="active", allowed_models=[], created_at=NOON, version=1,
            )  # fmt: skip
            session.add(key)
            session.flush()
            touched, key_id = accounts(user_id, key.id), key.key_id
        entries += [
            outbox_entry(number, accounts=touched, user_id=user_id, key_id=key_id)
            for number in range(len(entries) + 1, len(entries) + 3)
        ]
    assert ledger.position() == FIRST_POSITION
    ledger.book(entries, after=FIRST_POSITION, now=NOON)
    return ledger.totals


def test_every_account_of_the_windows(totals: AccountTotals) -> None:
    ann, ben = accounts(1, 1), accounts(2, 2)
    expected = dict.fromkeys((*ann, *ben), Money(80)) | {ann[0]: Money(160)}
    assert dict(totals.spent([DAY, MONTH])) == expected
    assert {account.window_id for account, _ in totals.spent([DAY])} == {DAY}
    assert list(totals.spent(["1999-01"])) == []


def test_some_accounts_where_they_have_any(totals: AccountTotals) -> None:
    ann, nobody = accounts(1, 1), Account(Scope.USER, 404, Window.DAY, DAY)
    assert totals.spent_of([ann[0], ann[3], nobody]) == {ann[0]: 160, ann[3]: 80}
    assert totals.spent_of([]) == {}


def test_what_later_entries_changed(totals: AccountTotals) -> None:
    """User, key and installation; what only earlier ones touched need not be read again."""
    assert set(dict(totals.spent_since(2, [DAY, MONTH]))) == set(accounts(2, 2))
    assert set(dict(totals.spent_since(0, [DAY, MONTH]))) == {*accounts(1, 1), *accounts(2, 2)}

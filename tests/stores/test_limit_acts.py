"""Limits in SQL: what was chosen, what is inherited and from whom, and how that is changed."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import COMMAND_LINE, Action, AuditEntry, Change, Result
from ai_gateway.domain.limit_choices import (
    INSTALLATION,
    USER_DEFAULTS,
    LimitSource,
    LimitSubject,
)
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit, LimitKind, Scope
from ai_gateway.domain.money import Money
from ai_gateway.domain.roles import Role
from ai_gateway.errors import ChangedMeanwhile, KeyNotFound, UserNotFound
from ai_gateway.stores.limit_acts import LimitActs, LimitChange, SubjectLimits
from ai_gateway.stores.tables import AuditRow, SpendLimit
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyTable
from tests.keys import PLAIN_ACT
from tests.limits import choose
from tests.money import amount
from tests.stores.test_virtual_keys import new_key

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MONTH, USER_DAY, USER_MONTH, KEY_DAY, KEY_MONTH = BUDGETS
WARN = Limit(LimitKind.WARN, Money(7))


@pytest.fixture
def table(engine: Engine) -> KeyTable:
    return KeyTable(engine, {MONTH: amount(1000), USER_DAY: amount(5)})


@pytest.fixture
def acts(table: KeyTable) -> LimitActs:
    return table.limit_acts


@pytest.fixture
def ann(engine: Engine) -> LimitSubject:
    user_id = UserTable(engine).add("ann", "a@x.test", password_hash=None, role=Role.NONE, now=NOW)
    return LimitSubject(Scope.USER, user_id)


@pytest.fixture
def laptop(table: KeyTable, ann: LimitSubject) -> LimitSubject:
    number = table.acts.add(new_key(ann.subject_id), {}, PLAIN_ACT).number
    return LimitSubject(Scope.KEY, number)


def choices(limits: SubjectLimits) -> list[tuple[Limit | None, Limit, LimitSource]]:
    return [(one.own, one.inherited, one.source) for one in limits.choices]


def unseen(_change: LimitChange) -> Iterable[AuditEntry]:
    return ()


def test_what_is_inherited_says_from_whom(
    acts: LimitActs, table: KeyTable, ann: LimitSubject, laptop: LimitSubject
) -> None:
    of_environment = (None, amount(5), LimitSource.ENVIRONMENT)
    of_nobody = (None, NO_LIMIT, LimitSource.NOBODY)
    assert choices(acts.read(ann)) == [of_environment, of_nobody]
    assert choices(acts.read(laptop)) == [of_nobody, of_nobody]
    choose(table, Scope.USER, 0, {USER_DAY: amount(9), USER_MONTH: NO_LIMIT})
    assert choices(acts.read(ann)) == [
        (None, amount(9), LimitSource.STAFF),
        (None, NO_LIMIT, LimitSource.STAFF),
    ]
    assert choices(acts.read(USER_DEFAULTS))[0] == (amount(9), amount(5), LimitSource.ENVIRONMENT)
    assert choices(acts.read(INSTALLATION)) == [(None, amount(1000), LimitSource.ENVIRONMENT)]


@pytest.mark.parametrize("chosen", [None, NO_LIMIT, amount(0), amount(3), WARN])
def test_a_choice_comes_back_as_it_was_made(
    acts: LimitActs, ann: LimitSubject, chosen: Limit | None
) -> None:
    acts.change(ann, {USER_DAY: chosen}, seen=None, review=unseen)
    found = acts.read(ann)
    assert found.own == {USER_DAY: chosen, USER_MONTH: None}
    assert found.choices[0].in_force == (amount(5) if chosen is None else chosen)


def test_a_key_is_held_to_every_budget_of_its_chain(
    acts: LimitActs, table: KeyTable, ann: LimitSubject, laptop: LimitSubject
) -> None:
    choose(table, Scope.USER, ann.subject_id, {USER_MONTH: WARN})
    choose(table, Scope.KEY, laptop.subject_id, {KEY_DAY: amount(2)})
    found = acts.read(laptop)
    assert (found.name, found.user_id, found.key_id) == ("ann", ann.subject_id, "k0000001")
    assert found.touched == {
        MONTH: amount(1000),
        USER_DAY: amount(5),
        USER_MONTH: WARN,
        KEY_DAY: amount(2),
        KEY_MONTH: NO_LIMIT,
    }
    assert acts.key("k0000001") == laptop
    assert acts.read(USER_DEFAULTS).touched == {}


def test_whoever_saw_older_choices_changes_nothing(acts: LimitActs, ann: LimitSubject) -> None:
    seen = acts.read(ann).version
    acts.change(ann, {USER_DAY: amount(1)}, seen=seen, review=unseen)
    with pytest.raises(ChangedMeanwhile):
        acts.change(ann, {USER_MONTH: amount(2)}, seen=seen, review=unseen)
    assert acts.read(ann).own == {USER_DAY: amount(1), USER_MONTH: None}
    acts.change(ann, {USER_MONTH: amount(2)}, seen=acts.read(ann).version, review=unseen)
    assert acts.read(ann).own == {USER_DAY: amount(1), USER_MONTH: amount(2)}


def test_a_form_that_is_sent_twice_is_no_conflict_and_one_line_of_the_audit(
    acts: LimitActs, ann: LimitSubject, engine: Engine
) -> None:
    seen = acts.read(ann).version

    def review(change: LimitChange) -> Iterable[AuditEntry]:
        told = Change(after={"version": change.before.version})
        return [AuditEntry(NOW, Action.LIMIT_CHANGE, COMMAND_LINE, None, told, Result.OK)]

    for _ in range(2):
        acts.change(ann, {USER_DAY: amount(1)}, seen=seen, review=review)
    with Session(engine) as session:
        (row,) = session.scalars(select(AuditRow))
    assert row.after == {"version": "day=inherit month=inherit"}


def test_a_change_that_cannot_be_recorded_is_not_made(
    acts: LimitActs, ann: LimitSubject, engine: Engine
) -> None:
    def review(_change: LimitChange) -> Iterable[AuditEntry]:
        raise RuntimeError("no audit")

    with pytest.raises(RuntimeError):
        acts.change(ann, {USER_DAY: amount(1)}, seen=None, review=review)
    with Session(engine) as session:
        assert session.scalars(select(SpendLimit)).all() == []


def test_a_change_makes_versions_of_the_copies_that_it_touches(
    acts: LimitActs, table: KeyTable, ann: LimitSubject, laptop: LimitSubject
) -> None:
    def versions() -> tuple[int, int]:
        record = table.record("k0000001")
        assert record is not None
        return record.version, table.house_rules.read().number

    before = versions()
    for subject, budget in ((ann, USER_DAY), (laptop, KEY_DAY)):
        acts.change(subject, {budget: amount(1)}, seen=None, review=unseen)
    assert versions() == (before[0] + 2, before[1])
    for common, budget in ((INSTALLATION, MONTH), (USER_DEFAULTS, USER_DAY)):
        acts.change(common, {budget: amount(1)}, seen=None, review=unseen)
    assert versions() == (before[0] + 2, before[1] + 2)


def test_who_has_a_choice_of_their_own_is_known(
    acts: LimitActs, table: KeyTable, ann: LimitSubject
) -> None:
    choose(table, Scope.USER, ann.subject_id, {USER_DAY: NO_LIMIT})
    assert acts.with_own(USER_DAY, [ann.subject_id, 404]) == {ann.subject_id}
    assert acts.with_own(USER_MONTH, [ann.subject_id]) == set()


def test_nobody_has_no_limits(acts: LimitActs) -> None:
    with pytest.raises(UserNotFound):
        acts.read(LimitSubject(Scope.USER, 404))
    with pytest.raises(KeyNotFound):
        acts.change(LimitSubject(Scope.KEY, 404), {KEY_DAY: None}, seen=None, review=unseen)
    with pytest.raises(KeyNotFound):
        acts.key("k0000404")

"""Resets of users: who is given room again, once, and what is kept of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from sqlalchemy import func, select

from ai_gateway.domain.audit import Action, Actor
from ai_gateway.domain.limits import Scope, Window, accounts_of
from ai_gateway.domain.roles import Role
from ai_gateway.errors import BudgetUnavailable, InvalidRequest, UserNotFound
from ai_gateway.services.audit import Audit
from ai_gateway.services.spend_reset import MAX_USERS, ResetOrder, SpendReset
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.reset_records import ResetRecords
from ai_gateway.stores.resets import SpendResets
from ai_gateway.stores.tables import AuditRow, LedgerEntry, db
from tests.money import UTC_ZONE, MoneyStore, admitted_call, finished_call
from tests.seeding import add_user
from tests.sql_database import opened, sqlite_url
from tests.trusting import trust
from tests.web.staff_app import NO_REDIS

STAFF = Actor(7, "sam", Role.OPERATOR, "127.0.0.1")
ORDER = ResetOrder("form-1", STAFF, "quarter end")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Desk:
    """The service, with a look at all that it touches."""

    store: MoneyStore
    service: SpendReset
    ledger: Ledger

    def spend(self, user_id: int, cost: int, name: str) -> None:
        call = admitted_call(name)
        subjects = {Scope.INSTALLATION: 0, Scope.USER: user_id, Scope.KEY: user_id}
        call = replace(
            call, user_id=user_id, accounts=accounts_of(subjects, call.admitted_at, UTC_ZONE)
        )
        self.store.reserve(call)
        self.store.meter.settle(call, finished_call(cost))

    def counters(self, user_id: int) -> list[int]:
        """Of the day and of the month."""
        subjects = {Scope.INSTALLATION: 0, Scope.USER: user_id, Scope.KEY: user_id}
        accounts = [a for a in accounts_of(subjects, now(), UTC_ZONE) if a.scope is Scope.USER]
        return [counter.spent for counter in self.store.meter.counters(accounts)]

    def book(self) -> None:
        position = self.ledger.position()
        if batch := self.store.outbox.read(position, count=500):
            assert self.ledger.book(batch, after=position, now=now()) == 0
            self.store.outbox.trim(batch[-1].stream_id)

    def audited(self) -> list[AuditRow]:
        db.session.rollback()
        return list(db.session.scalars(select(AuditRow).order_by(AuditRow.id)))


@pytest.fixture
def desk(redis_client: "redis.Redis", tmp_path: Path) -> Iterator[Desk]:
    with opened(sqlite_url(tmp_path)):
        store = MoneyStore(redis_client)
        store.open()
        yield Desk(store, _service(redis_client), Ledger(db.engine, UTC_ZONE))


def _service(client: "redis.Redis") -> SpendReset:
    return SpendReset(
        SpendResets(client),
        ResetRecords(db.engine),
        audit=Audit(AuditTable(db.engine), now),
        clock=now,
        zone=UTC_ZONE,
    )


def test_day_and_month_of_one_user_are_reset_by_default(desk: Desk) -> None:
    ann, ben = add_user("ann"), add_user("ben")
    desk.spend(ann, 40, "req_1")
    desk.spend(ben, 9, "req_2")
    done = desk.service.reset_user(ann, reset_id="r1", actor=STAFF, reason="quarter end")
    assert (done.user_id, done.username) == (ann, "ann")
    assert done.taken == {Window.DAY: 40, Window.MONTH: 40}
    assert (desk.counters(ann), desk.counters(ben)) == ([0, 0], [9, 9])


def test_the_day_alone_leaves_the_month(desk: Desk) -> None:
    ann = add_user("ann")
    desk.spend(ann, 40, "req_1")
    done = desk.service.reset_user(
        ann, reset_id="r1", actor=STAFF, reason="today only", windows=(Window.DAY,)
    )
    assert done.taken == {Window.DAY: 40}
    assert desk.counters(ann) == [0, 40]


def test_the_ledger_keeps_its_costs_and_gets_one_adjustment_for_each_window(desk: Desk) -> None:
    ann = add_user("ann")
    desk.spend(ann, 40, "req_1")
    for _ in range(2):
        desk.service.reset_users([ann], ORDER)
        desk.book()
    assert desk.ledger.total_cost() == 40
    kinds = select(LedgerEntry.kind, func.count()).group_by(LedgerEntry.kind)
    assert dict(db.session.execute(kinds).all()) == {"call": 1, "adjustment": 2}


def test_a_form_that_is_sent_twice_acts_and_is_recorded_once(desk: Desk) -> None:
    ann = add_user("ann")
    desk.spend(ann, 40, "req_1")
    first = desk.service.reset_users([ann], ORDER)
    desk.spend(ann, 7, "req_2")
    again = desk.service.reset_users([ann], ORDER)
    assert [reset.taken for reset in again] == [reset.taken for reset in first]
    assert desk.counters(ann) == [7, 7]
    assert len(desk.audited()) == 1


def test_a_repeat_is_known_from_the_ledger_when_redis_has_forgotten_it(desk: Desk) -> None:
    ann = add_user("ann")
    desk.spend(ann, 40, "req_1")
    desk.service.reset_users([ann], ORDER)
    desk.book()
    desk.store.client.flushall()
    desk.store.open()
    desk.spend(ann, 7, "req_2")
    (again,) = desk.service.reset_users([ann], ORDER)
    assert again.taken == {Window.DAY: 40, Window.MONTH: 40}
    assert desk.counters(ann) == [7, 7]


def test_each_user_is_recorded_with_who_why_and_how_much(desk: Desk) -> None:
    ann, ben = add_user("ann"), add_user("ben")
    desk.spend(ann, 1_500_000_000, "req_1")
    desk.service.reset_users([ann, ben], ORDER)
    of_ann, of_ben = desk.audited()
    assert (of_ann.action, of_ann.actor_name, of_ann.reason) == (
        Action.SPEND_RESET,
        "sam",
        "quarter end",
    )
    assert (of_ann.target_id, of_ann.target_name) == (str(ann), "ann")
    assert of_ann.before == {"day_spend_usd": "1.50", "month_spend_usd": "1.50"}
    assert of_ann.after == {"day_spend_usd": "0.00", "month_spend_usd": "0.00"}
    assert of_ben.before == {"day_spend_usd": "0.00", "month_spend_usd": "0.00"}
    # The ledger has the adjustments under the name that the audit has.
    names = {f"{of_ann.request_id}:{window}" for window in Window}
    db.session.rollback()
    desk.book()
    adjusted = select(LedgerEntry.request_id).where(LedgerEntry.kind == "adjustment")
    assert set(db.session.scalars(adjusted)) == names


def test_users_that_are_gone_are_left_out(desk: Desk) -> None:
    ann = add_user("ann")
    assert [reset.username for reset in desk.service.reset_users([999, ann], ORDER)] == ["ann"]
    assert desk.service.reset_users([999], ORDER) == ()
    with pytest.raises(UserNotFound):
        desk.service.reset_user(999, reset_id="r1", actor=STAFF, reason="gone")
    assert len(desk.audited()) == 1


@pytest.mark.parametrize(
    ("users", "changes", "param"),
    [
        (0, {}, "selected"),
        (MAX_USERS + 1, {}, "selected"),
        (1, {"windows": ()}, "windows"),
        (1, {"reason": ""}, "reason"),
        (1, {"reason": "  \n"}, "reason"),
        (1, {"reason": "x" * 501}, "reason"),
    ],
)
def test_an_order_that_is_not_whole_changes_nothing(
    desk: Desk, users: int, changes: dict[str, object], param: str
) -> None:
    ann = add_user("ann")
    desk.spend(ann, 40, "req_1")
    with pytest.raises(InvalidRequest) as refused:
        desk.service.reset_users(range(ann, ann + users), replace(ORDER, **changes))  # type: ignore[arg-type]  # one of each kind
    assert refused.value.param == param
    assert desk.counters(ann) == [40, 40]
    assert desk.audited() == []


def test_two_hundred_users_are_reset_at_once(desk: Desk) -> None:
    users = [add_user(f"user{number:03}") for number in range(MAX_USERS)]
    desk.spend(users[0], 40, "req_1")
    done = desk.service.reset_users(users, ORDER)
    assert [reset.taken[Window.DAY] for reset in done] == [40] + [0] * (MAX_USERS - 1)
    assert len(desk.audited()) == MAX_USERS


def test_counters_that_are_not_restored_refuse_and_remember_nothing(desk: Desk) -> None:
    ann = add_user("ann")
    desk.spend(ann, 40, "req_1")
    desk.book()
    position = desk.ledger.position()
    desk.store.published.forget_epoch()
    with pytest.raises(BudgetUnavailable):
        desk.service.reset_users([ann], ORDER)
    assert desk.audited() == []
    assert trust(desk.store.client, position=position, seq=99)
    (done,) = desk.service.reset_users([ann], ORDER)
    assert done.taken == {Window.DAY: 40, Window.MONTH: 40}


def test_a_reset_while_redis_is_away_is_refused_and_not_recorded(desk: Desk) -> None:
    ann = add_user("ann")
    with pytest.raises(BudgetUnavailable):
        _service(connect(NO_REDIS)).reset_users([ann], ORDER)
    assert desk.audited() == []


def test_what_was_done_before_its_record_was_lost_is_recorded_by_the_repeat(desk: Desk) -> None:
    ann = add_user("ann")
    desk.spend(ann, 40, "req_1")
    desk.service.reset_users([ann], ORDER)
    for row in desk.audited():
        db.session.delete(row)
    db.session.commit()
    (again,) = desk.service.reset_users([ann], ORDER)
    assert again.taken[Window.DAY] == 40
    assert [row.before["day_spend_usd"] for row in desk.audited()] == ["0.00000004"]

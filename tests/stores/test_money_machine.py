"""The whole way of the money, in any order that hypothesis can think of.

Reserve, heartbeat, lapse, settle, repeat, limits that change, bookkeepers that die, and a Redis
that loses everything.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, delete, event, select
from sqlalchemy.orm import Session

from ai_gateway.domain.call import TALLY_FIELDS, AdmittedCall, Outcome
from ai_gateway.domain.house_rules import NO_RULES
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limit_choices import INSTALLATION, USER_DEFAULTS, LimitSubject
from ai_gateway.domain.limits import (
    BUDGETS,
    NO_LIMIT,
    Account,
    Limit,
    LimitKind,
    Scope,
    Window,
    accounts_of,
    window_id,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.roles import Role
from ai_gateway.domain.usage import Usage
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.verification import Verification
from ai_gateway.stores import redis_keys
from ai_gateway.stores.key_acts import NewKey
from ai_gateway.stores.ledger import AnotherBookkeeperWasFaster, Ledger
from ai_gateway.stores.meter import Denied, Granted, Heartbeat, Stale
from ai_gateway.stores.outbox import Outbox
from ai_gateway.stores.outbox_tables import OutboxPosition, SetAsideEntry
from ai_gateway.stores.resets import AccountReset, SpendResets
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.tables import (
    AccountTotal,
    LedgerEntry,
    SpendLimit,
    VirtualKey,
)
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyTable
from tests.engines import opened_engine
from tests.keys import BY_COMMAND, PLAIN_ACT
from tests.limits import LimitOffice
from tests.money import (
    MOST,
    UTC_ZONE,
    Invariants,
    MoneyStore,
    admitted_call,
    facts_of,
    finished_call,
    floor,
)
from tests.sql_database import sqlite_url

pytestmark = pytest.mark.long

KEYS = ("k0000001", "k0000002", "k0000003")
"""The first two are of one user, the third one is of another."""

SMALL, LARGE = st.integers(0, 60), st.integers(0, MOST // 40)
SUBJECTS = (
    INSTALLATION,
    USER_DEFAULTS,
    *(LimitSubject(Scope.USER, number) for number in (1, 2)),
    *(LimitSubject(Scope.KEY, number) for number in (1, 2, 3)),
)
AMOUNTS = st.one_of(SMALL, SMALL, LARGE)
LIMITS = st.one_of(st.none(), st.integers(0, 150), st.integers(0, MOST))
PICKS = st.integers(0, 10**6)
EMPTIED = (LedgerEntry, UsageHour, AccountTotal, OutboxPosition, SetAsideEntry, SpendLimit)


class Killed(Exception):
    """The process is gone at this point."""


class DyingOutbox(Outbox):
    """Its bookkeeper is killed after the commit, before anything is trimmed."""

    def trim(self, position: str) -> None:
        raise Killed(position)


@contextmanager
def killed_at_commit(engine: Engine, number: int) -> Iterator[None]:
    """Kill whoever works with the engine just before its commit of that number."""
    commits = []

    def kill(_connection: object) -> None:
        commits.append(1)
        if len(commits) == number:
            raise Killed

    event.listen(engine, "commit", kill)
    try:
        yield
    finally:
        event.remove(engine, "commit", kill)


@dataclass
class Life:
    """What the test knows of one call; `cost` is what was told last, None before the end."""

    call: AdmittedCall
    limits: tuple[Limit, ...]
    cost: int | None = None
    progress: int = 0


class MoneyMachine(RuleBasedStateMachine):
    """One worker and any number of bookkeepers; each rule is one step of one of them."""

    def __init__(self, store: MoneyStore, engine: Engine) -> None:
        super().__init__()
        self.store = store
        self.engine = engine
        self.now = datetime.now(UTC)
        self.ledger = Ledger(engine, UTC_ZONE)
        self.table = KeyTable(engine, {BUDGETS[0]: _amount(MOST)})
        self.admin = KeyAdmin(
            self.table, store.copies, pepper=b"p", clock=self.clock, random_bytes=bytes
        )
        self.limits = LimitOffice(self.table, engine, store.client, self.clock)
        self.house_rules = NO_RULES
        self.resets = SpendResets(store.client)
        self.bookkeeper = self.bookkeeper_with(store.outbox)
        self.lives: dict[str, Life] = {}
        self.past: list[Callable[[], object]] = []
        self.known: dict[str, tuple[KeyRecord, str] | None] = {}
        self.has_lost = False
        self.adjusted: dict[str, str] = {}
        self.numbers = count(1)
        self.checker = Invariants(store)

    def clock(self) -> datetime:
        return self.now

    def bookkeeper_with(self, outbox: Outbox) -> Bookkeeper:
        stores = BookkeeperStores(outbox, self.store.published, self.ledger)
        return Bookkeeper(stores, self.admin, clock=self.clock, zone=UTC_ZONE)

    @initialize()
    def begin(self) -> None:
        self.store.client.flushall()
        with Session(self.engine) as session, session.begin():
            for table in EMPTIED:
                session.execute(delete(table))
            for key in session.scalars(select(VirtualKey)):
                key.status, key.version = KeyStatus.ACTIVE.value, 1
        assert self.bookkeeper.restore()
        self.known = {key_id: self.store.copies.load(key_id) for key_id in KEYS}
        self.house_rules = self.store.copies.house_rules.load() or NO_RULES

    @rule(key_id=st.sampled_from(KEYS), wanted=AMOUNTS, share=st.integers(1, 4), days=st.booleans())
    def reserve(self, key_id: str, wanted: int, share: int, *, days: bool) -> None:
        known = self.known[key_id]
        assert known is not None
        record, version = known
        if record.status is not KeyStatus.ACTIVE:
            return
        moment = self.now - timedelta(days=1 if days else 0, hours=share)
        call = replace(
            admitted_call(f"req_{next(self.numbers)}", wanted, record=record, admitted_at=moment),
            model=f"model-{share}",
            accounts=accounts_of(record.subjects, moment, UTC_ZONE),
        )
        least = wanted // share
        before = self.store.counters(call)
        limits = self.house_rules.in_force(record.limits)
        asked = replace(
            self.store.request(
                call,
                limits,
                least=least,
                version=version,
                lost=floor(wanted // 3, web_searches=1),
            ),
            rules_version=self.house_rules.version,
        )
        answer = self.store.meter.reserve(asked)
        self.past.append(lambda: self.store.meter.reserve(asked))
        rules = self.store.copies.house_rules.load() or NO_RULES
        if (version, self.house_rules.version) != (self.store.version(key_id), rules.version):
            assert isinstance(answer, Stale)
            self.known[key_id], self.house_rules = self.store.copies.load(key_id), rules
            return
        room = [
            limit.amount - spent - held
            for limit, (spent, held) in zip(limits, before, strict=True)
            if limit.is_amount
        ]
        granted = min([wanted, *room])
        if granted < max(least, 0):
            assert isinstance(answer, Denied)
            assert answer.limit - answer.spent - answer.held == granted
            return
        assert answer == Granted(Money(granted))
        for limit, (spent, held) in zip(limits, self.store.counters(call), strict=True):
            assert not limit.is_amount or spent + held <= limit.amount  # I3
        self.lives[call.request_id] = Life(replace(call, held=Money(granted)), limits)

    def pick(self, number: int) -> Life:
        return list(self.lives.values())[number % len(self.lives)]

    @precondition(lambda self: self.lives)
    @rule(number=PICKS, cost=AMOUNTS, tokens=SMALL, failed=st.booleans())
    def settle(self, number: int, cost: int, tokens: int, *, failed: bool) -> None:
        life = self.pick(number)
        finished = finished_call(
            cost,
            usage=Usage(input_tokens=tokens, output_tokens=cost % 7),
            outcome=Outcome.UPSTREAM_ERROR if failed else Outcome.SUCCESS,
        )
        assert self.store.meter.settle(life.call, finished)
        self.past.append(lambda: self.store.meter.settle(life.call, finished))
        life.cost = cost if life.cost is None else life.cost

    @precondition(lambda self: self.lives)
    @rule(number=PICKS, more=SMALL)
    def heartbeat(self, number: int, more: int) -> None:
        life = self.pick(number)
        record = self.store.record(life.call)
        life.progress = min(life.progress + more, life.call.held)
        progress = floor(life.progress, output_tokens=life.progress % 1000)
        [told] = self.store.meter.heartbeat([(life.call, progress)])
        self.past.append(lambda: self.store.meter.heartbeat([(life.call, progress)]))
        has_lease = self.store.client.zscore(redis_keys.LEASES, life.call.request_id) is not None
        if record["open"] == "0":
            assert told is Heartbeat.CLOSED
        elif not has_lease:
            assert told is Heartbeat.LAPSED
        else:
            loaded = self.store.copies.load(life.call.key_id)
            assert loaded is not None
            is_active = loaded[0].status is KeyStatus.ACTIVE
            assert told is (Heartbeat.OK if is_active else Heartbeat.REVOKED)

    @precondition(lambda self: self.lives)
    @rule(numbers=st.lists(PICKS, min_size=1, max_size=3))
    def reap(self, numbers: list[int]) -> None:
        """The bookkeeper books whatever lapsed; some workers stood still for too long."""
        for number in numbers:
            request_id = self.pick(number).call.request_id
            self.store.client.zadd(redis_keys.LEASES, {request_id: 1}, xx=True)
        lapsed = self.store.outbox.lapsed(count=100)
        assert self.bookkeeper.reap() == len(lapsed)
        assert self.bookkeeper.reap() == 0
        self.past += [
            lambda request_id=request_id: self.store.outbox.expire(request_id, self.now)  # type: ignore[misc]  # the loop's own value
            for request_id in lapsed
        ]

    @precondition(lambda self: self.lives)
    @rule(number=PICKS)
    def rehold(self, number: int) -> None:
        life = self.pick(number)
        record = self.store.record(life.call)
        before = self.store.counters(life.call)
        stands = self.store.client.zscore(redis_keys.LEASES, life.call.request_id) is not None
        fits = self.store.meter.rehold(life.call, life.limits)
        self.past.append(lambda: self.store.meter.rehold(life.call, life.limits))
        rest = max(0, int(record["granted"]) - int(record["chg"]))
        has_room = all(
            not limit.is_amount or limit.amount - spent - held >= rest
            for limit, (spent, held) in zip(life.limits, before, strict=True)
        )
        assert fits is (record["open"] == "1" and (stands or has_room))

    @precondition(lambda self: self.past)
    @rule(number=PICKS)
    def repeat(self, number: int) -> None:
        """A reply was lost, or comes late; anything may be repeated at any time."""
        self.past[number % len(self.past)]()

    @rule(subject=st.sampled_from(SUBJECTS), number=PICKS, limit=LIMITS)
    def change_limit(self, subject: LimitSubject, number: int, limit: int | None) -> None:
        """Of the installation, of all users that have none of their own, of a user or a key."""
        budget = subject.budgets[number % len(subject.budgets)]
        chosen = NO_LIMIT if limit is None else _amount(limit)
        self.limits.set(subject.scope, subject.subject_id, {budget: chosen})

    @rule(user_id=st.integers(1, 2), window=st.sampled_from(Window), again=st.booleans())
    def reset(self, user_id: int, window: Window, *, again: bool) -> None:
        """Staff give a user room again; the ledger keeps what was spent."""
        account = Account(Scope.USER, user_id, window, window_id(window, self.now, UTC_ZONE))
        [before] = self.store.meter.counters([account])
        reset_id = f"reset_{next(self.numbers)}"
        wanted = [AccountReset(reset_id, account)]
        for _ in range(2 if again else 1):
            assert self.resets.reset(wanted, self.now) == [before.spent]
        [after] = self.store.meter.counters([account])
        assert (after.spent, after.held, after.is_refused) == (0, before.held, False)

    @precondition(lambda self: self.lives)
    @rule(number=PICKS)
    def withdraw(self, number: int) -> None:
        """The reply to a reserve was lost, so that the call was never sent."""
        life = self.pick(number)
        record = self.store.record(life.call)
        if record["n"] != "0" or record["open"] == "0":
            return
        self.store.meter.withdraw(life.call)
        self.past.append(lambda: self.store.meter.withdraw(life.call))
        assert self.store.record(life.call)["open"] == "0"
        del self.lives[life.call.request_id]

    @rule()
    def revoke(self) -> None:
        assert self.admin.revoke(KEYS[1], BY_COMMAND).is_in_force

    @rule()
    def publish_an_old_copy(self) -> None:
        """A bookkeeper that read the keys some time ago comes late."""
        found = [known[0] for known in self.known.values() if known is not None]
        before = {key_id: self.store.version(key_id) for key_id in KEYS}
        self.store.copies.publish(found)
        assert {key_id: self.store.version(key_id) for key_id in KEYS} == before

    @rule()
    def flush_scripts(self) -> None:
        self.store.client.script_flush()

    @rule()
    def book(self) -> None:
        position = self.ledger.position()
        waiting = len(self.store.outbox.read(position, count=500))
        assert self.bookkeeper.book(block_ms=None) == waiting
        assert self.bookkeeper.book(block_ms=None) == 0
        # What one has booked that died before its trim goes with the next batch.
        assert not waiting or self.store.stream() == {}

    @rule(at_commit=st.integers(1, 3))
    def book_and_die_before_the_commit(self, at_commit: int) -> None:
        with killed_at_commit(self.engine, at_commit), suppress(Killed):
            self.bookkeeper.book(block_ms=None)

    @rule()
    def book_and_die_before_the_trim(self) -> None:
        dying = self.bookkeeper_with(DyingOutbox(self.store.client))
        with suppress(Killed):
            dying.book(block_ms=None)

    @rule()
    def book_what_another_one_books(self) -> None:
        """Two bookkeepers have read the same, and both write it."""
        position = self.ledger.position()
        batch = self.store.outbox.read(position, count=500)
        if not batch:
            return
        self.ledger.book(batch, after=position, now=self.now)
        with pytest.raises(AnotherBookkeeperWasFaster):
            self.ledger.book(batch, after=position, now=self.now)

    @rule()
    def mirror_refusals(self) -> None:
        self.bookkeeper.mirror_refusals()

    @precondition(lambda self: self.lives and not self.has_lost)
    @rule()
    def lose_redis(self) -> None:
        """What is in the ledger comes back; what was not, is lost with Redis (P5)."""
        self.store.client.flushall()
        life = self.pick(0)
        with pytest.raises(BudgetUnavailable):
            self.store.meter.reserve(
                self.store.request(life.call, life.limits, version="1.anything")
            )
        assert self.store.meter.settle(life.call, finished_call(1)) is False
        assert self.bookkeeper.restore()
        assert not self.bookkeeper.restore()
        self.lives.clear()
        self.past.clear()
        self.has_lost = True
        windows = [window_id(window, self.now, UTC_ZONE) for window in Window]
        self.checker = Invariants(self.store)
        self.checker.first_seq = self.ledger.last_seq()
        # Windows that are over take no more calls, so that their counters are of no use.
        totals = self.ledger.totals.spent(windows)
        self.checker.base = {redis_keys.account(account): spent for account, spent in totals}

    @invariant()
    def everything_adds_up(self) -> None:
        self.checker.check()
        for row in self.store.entries():
            if row["kind"] == "adjustment":
                [self.adjusted[row["request_id"]]] = facts_of(row)["accounts"]

    def teardown(self) -> None:
        """Let everything end, and compare counters, roll-ups and entries."""
        for life in self.lives.values():
            if life.cost is None:
                life.cost = life.call.held // 2
                assert self.store.meter.settle(life.call, finished_call(life.cost))
        # After a reset the last settlements may have brought adjustments too.
        self.everything_adds_up()
        assert self.store.client.zcard(redis_keys.LEASES) == 0
        while self.bookkeeper.book(block_ms=None):
            pass
        self.compare()

    def compare(self) -> None:
        with Session(self.engine) as session:
            entries = session.scalars(select(LedgerEntry).order_by(LedgerEntry.id)).all()
            hours = session.scalars(select(UsageHour)).all()
            totals = {
                f"{row.scope}:{row.subject_id}:{row.window_id}": row.spent_nano_usd
                for row in session.scalars(select(AccountTotal))
            }
            assert not session.scalars(select(SetAsideEntry)).all()
        spent: dict[str, int] = defaultdict(int)
        by_call: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in entries:
            by_call[entry.request_id].append(entry)
            for account in self.accounts_of(entry):
                spent[account] += entry.cost_nano_usd
        assert {name: cost for name, cost in totals.items() if cost} == {
            name: cost for name, cost in spent.items() if cost
        }
        calls = [entry for entry in entries if entry.kind == "call"]
        for name in ("cost_nano_usd", *TALLY_FIELDS):
            assert sum(getattr(r, name) for r in hours) == sum(getattr(r, name) for r in calls)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        for life in self.lives.values():
            found = by_call[life.call.request_id][-self._entries_of(life) :]
            assert [entry.entry_no for entry in found] == list(range(1, len(found) + 1))
            assert sum(entry.cost_nano_usd for entry in found) == life.cost
            assert found[-1].total_after_nano_usd == life.cost
            assert sum(entry.requests for entry in found) == 1
        verification = Verification(self.ledger, self.store.outbox, clock=self.clock, zone=UTC_ZONE)
        assert verification.differences() == []

    def accounts_of(self, entry: LedgerEntry) -> list[str]:
        """Where an entry was booked; adjustments are of the one account that was reset."""
        if entry.kind == "adjustment":
            return [self.adjusted[entry.request_id]]
        subjects = {
            Scope.INSTALLATION: 0,
            Scope.USER: entry.user_id,
            Scope.KEY: KEYS.index(entry.key_id) + 1,
        }
        return [account.name for account in accounts_of(subjects, entry.admitted_at, UTC_ZONE)]

    def _entries_of(self, life: Life) -> int:
        return int(self.store.record(life.call)["n"])


def _amount(nano_usd: int) -> Limit:
    return Limit(LimitKind.AMOUNT, Money(nano_usd))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Engine]:
    """SQLite with two users and their keys, whose numbers are 1, 2 and 3."""
    with opened_engine(sqlite_url(tmp_path)) as engine:
        users = UserTable(engine)
        ann, ben = (
            users.add(name, f"{name}@b", password_hash=None, role=Role.NONE, now=datetime.now(UTC))
            for name in ("ann", "ben")
        )
        table = KeyTable(engine, {})
        for key_id, owner in zip(KEYS, (ann, ann, ben), strict=True):
            new = NewKey(
                key_id=key_id, digest="0" * 64, last4="wxyz", label="", user_id=owner,
                allowed_models=(), expires_at=None, created_at=datetime.now(UTC),
            )  # fmt: skip
            table.acts.add(new, {}, PLAIN_ACT)
        yield engine


@pytest.mark.timeout(300)
def test_no_order_of_events_loses_or_doubles_a_nano_dollar(
    valkey: MoneyStore, books: Engine
) -> None:
    make: Any = lambda: MoneyMachine(valkey, books)  # noqa: E731 - it is typed as a class
    run_state_machine_as_test(
        make,
        settings=settings(
            max_examples=150,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

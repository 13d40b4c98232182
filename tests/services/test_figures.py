"""The bookkeeper's figures, read from a real Redis and real databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ai_gateway.domain.limits import Account, Budget, Scope, Window, window_end, window_id
from ai_gateway.domain.outbox import OutboxEntry, UnreadableEntry
from ai_gateway.domain.tasks import FinishedRun, RunOutcome, TaskName
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.services.figures import (
    EVENTS,
    TOP,
    BudgetFigures,
    FigureMap,
    Figures,
    FigureSource,
    HoldFigures,
    PairFigures,
    ReconcileFigures,
    UserFigures,
)
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.pauses import PauseFigures
from ai_gateway.services.price_book import PriceFigures, PriceRecords
from ai_gateway.services.task_report import TaskFigures
from ai_gateway.services.verification import Verification
from ai_gateway.stores import redis_keys
from ai_gateway.stores.figure_sums import FigureSums
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.open_holds import OpenHolds
from ai_gateway.stores.pauses import PauseActs
from ai_gateway.stores.price_entries import PriceEntryTable
from ai_gateway.stores.price_lists import PriceListTable
from ai_gateway.stores.published_prices import PublishedPrices
from ai_gateway.stores.tables import SpendLimit, User, VirtualKey
from ai_gateway.stores.tasks import Claim, TaskTable
from ai_gateway.stores.virtual_keys import KeyTable
from ai_gateway.telemetry.metrics_state import FIGURES, PAIR
from tests.engines import opened_engine
from tests.money import (
    UTC_ZONE,
    MoneyStore,
    admitted_call,
    amount,
    finished_call,
    outbox_entry,
)
from tests.postgresql import running_postgresql
from tests.sql_database import sqlite_url
from tests.tools import has_programs

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DEFAULTS = {
    Budget(Scope.INSTALLATION, Window.MONTH): amount(10_000),
    Budget(Scope.USER, Window.DAY): amount(100),
    Budget(Scope.USER, Window.MONTH): amount(1_000),
}
USERS = 30


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    if not has_programs("initdb", "pg_ctl"):
        pytest.skip("PostgreSQL is not here")
    with running_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    is_sqlite = request.param == "sqlite"
    url = sqlite_url(tmp_path) if is_sqlite else request.getfixturevalue("postgresql_url")
    with opened_engine(url) as opened:
        yield opened


class LedgerThatGoes(Ledger):
    """A ledger whose database is away when it is told so."""

    is_away = False

    def position(self) -> str:
        if self.is_away:
            raise GatewayUnavailable
        return super().position()


class Site:
    """Stores, with thirty users who each have one key."""

    def __init__(self, engine: Engine, client: redis.Redis) -> None:
        self.engine = engine
        self.store = MoneyStore(client)
        self.store.open()
        self.ledger = Ledger(engine, UTC_ZONE)
        self.sums = FigureSums(engine)
        self.now = NOW
        self._numbers = 0
        with Session(engine) as session, session.begin():
            for number in range(1, USERS + 1):
                session.add(_user(number))
                session.flush()
                session.add(_key(number))

    def clock(self) -> datetime:
        return self.now

    def spend(self, user_id: int, cost: int, *, tokens: int = 10, ago: int = 0) -> None:
        """Book a call of so many days ago."""
        self._numbers += 1
        position = self.ledger.position()
        entry: OutboxEntry = outbox_entry(
            self._numbers, cost, user_id=user_id, admitted_at=NOW - timedelta(days=ago)
        )
        entry.tally["input_tokens"] = tokens
        entry.tally["output_tokens"] = 0
        self.ledger.book([entry], after=position, now=NOW)

    def limit(self, scope: Scope, subject: int, window: Window, nano_usd: int) -> None:
        row = {"scope": scope, "subject_id": subject, "window": window, "kind": "amount"}
        with Session(self.engine) as session, session.begin():
            session.add(SpendLimit(**row, amount_nano_usd=nano_usd))

    def verification(self) -> Verification:
        return Verification(self.ledger, self.store.outbox, clock=self.clock, zone=UTC_ZONE)

    def sources(self) -> tuple[FigureSource, ...]:
        counters = LiveCounters(self.store.client)
        budgets = BudgetFigures(self.sums, counters, defaults=DEFAULTS, zone=UTC_ZONE)
        holds = HoldFigures(OpenHolds(self.store.client))
        reconcile = ReconcileFigures(self.verification(), self.sums)
        return (
            FigureSource("holds", 5, holds.read),
            FigureSource("budgets", 15, budgets.read),
            FigureSource("users", 30, UserFigures(self.sums, UTC_ZONE).read),
            FigureSource("pauses", 5, PauseFigures(PauseActs(self.engine)).read),
            FigureSource("pairs", 60, PairFigures(self.sums).read),
            FigureSource("reconcile", 60, reconcile.read),
            FigureSource("prices", 60, PriceFigures(self.prices()).read),
            FigureSource("tasks", 30, TaskFigures(TaskTable(self.engine)).read),
        )

    def run_task(self) -> None:
        """Let one task have been run."""
        tasks, minute = TaskTable(self.engine), timedelta(minutes=1)
        tasks.schedule({TaskName.STAFF_SESSIONS: NOW})
        tasks.claim(TaskName.STAFF_SESSIONS, Claim("one", NOW, NOW + minute), due_by=NOW)
        tasks.finish(
            TaskName.STAFF_SESSIONS, "one", FinishedRun(RunOutcome.OK, minute, "done", NOW + minute)
        )

    def prices(self) -> PriceRecords:
        return PriceRecords(
            PriceEntryTable(self.engine),
            PriceListTable(self.engine),
            PublishedPrices(self.store.client),
        )

    def read(self, name: str) -> FigureMap:
        (source,) = [source for source in self.sources() if source.name == name]
        return source.read(NOW)

    def bookkeeper(self) -> Bookkeeper:
        keys = KeyAdmin(
            KeyTable(self.engine, DEFAULTS),
            self.store.copies,
            pepper=b"pepper",
            clock=self.clock,
            random_bytes=lambda count: b"0" * count,
        )
        stores = BookkeeperStores(
            self.store.outbox, self.store.published, self.ledger, figures=self.sources()
        )
        return Bookkeeper(stores, keys, clock=self.clock, zone=UTC_ZONE)


def _user(number: int) -> User:
    name = f"user{number}"
    return User(id=number, username=name, email=f"{name}@example.com", created_at=NOW)


def _key(number: int) -> VirtualKey:
    key_id = f"k{number:07}"
    return VirtualKey(
        id=number,
        key_id=key_id,
        digest="0" * 64,
        last4="0000",
        user_id=number,
        created_at=NOW,
    )


@pytest.fixture
def site(engine: Engine, redis_client: redis.Redis) -> Site:
    return Site(engine, redis_client)


@pytest.fixture
def small_site(redis_client: redis.Redis, tmp_path: Path) -> Iterator[Site]:
    """On SQLite alone, for what does not depend on the database."""
    with opened_engine(sqlite_url(tmp_path)) as engine:
        yield Site(engine, redis_client)


def labels_of(figures: FigureMap, family: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(name.split("|")[1:]): value
        for name, value in figures.items()
        if name.split("|")[0] == family
    }


class TestUsers:
    """Who spent most, and everybody else."""

    def test_the_dearest_are_named_and_the_rest_is_one(self, site: Site) -> None:
        for user_id in range(1, USERS + 1):
            site.spend(user_id, 100 + user_id, tokens=user_id)
        figures = site.read("users")
        spend = labels_of(figures, "user_spend_usd")
        named = {str(user_id) for user_id in range(USERS - TOP + 1, USERS + 1)}
        assert {user for user, _ in spend} == {*named, "__other__"}
        assert spend["30", "day"] == 130
        assert spend["__other__", "day"] == sum(100 + user_id for user_id in range(1, 11))
        assert labels_of(figures, "user_requests")["__other__", "month"] == USERS - TOP
        assert labels_of(figures, "user_tokens")["__other__", "month"] == sum(range(1, 11))

    def test_all_together_are_what_the_ledger_says(self, site: Site) -> None:
        for user_id in range(1, USERS + 1):
            site.spend(user_id, user_id * 7)
            site.spend(user_id, 3)
        figures = site.read("users")
        for window in Window:
            spend = labels_of(figures, "user_spend_usd")
            total = sum(value for (_, name), value in spend.items() if name == window)
            assert total == site.ledger.cost_since(window, NOW)
        assert labels_of(figures, "active_users") == {("day",): USERS, ("month",): USERS}

    def test_yesterday_counts_in_no_window_of_today(self, site: Site) -> None:
        site.spend(1, 50, ago=1, tokens=5)
        site.spend(2, 7, tokens=1)
        figures = site.read("users")
        assert labels_of(figures, "user_spend_usd")["2", "day"] == 7
        assert ("1", "day") not in labels_of(figures, "user_spend_usd")
        assert labels_of(figures, "user_tokens")["2", "day"] == 1
        assert labels_of(figures, "active_users")["day",] == 1

    def test_nobody_is_left_over_where_all_are_named(self, site: Site) -> None:
        site.spend(1, 50)
        spend = labels_of(site.read("users"), "user_spend_usd")
        assert spend == {
            ("1", "day"): 50,
            ("__other__", "day"): 0,
            ("1", "month"): 50,
            ("__other__", "month"): 0,
        }


class TestBudgets:
    """How many are in which state, and which are nearest to their limit."""

    def test_all_budgets_are_counted_by_state(self, site: Site) -> None:
        site.spend(1, 79)
        site.spend(2, 80)
        site.spend(3, 100)
        site.limit(Scope.KEY, 4, Window.DAY, 50)
        states = labels_of(site.read("budgets"), "budgets")
        assert states == {
            ("installation", "ok"): 1,
            ("installation", "warning"): 0,
            ("installation", "exceeded"): 0,
            # Each user has a budget for the day and one for the month.
            ("user", "ok"): 2 * USERS - 2,
            ("user", "warning"): 1,
            ("user", "exceeded"): 1,
            ("key", "ok"): 1,
            ("key", "warning"): 0,
            ("key", "exceeded"): 0,
        }

    def test_the_installation_and_the_nearest_are_named(self, site: Site) -> None:
        for user_id in range(1, USERS + 1):
            site.spend(user_id, user_id)
        site.limit(Scope.KEY, 5, Window.MONTH, 5)
        figures = site.read("budgets")
        spent = labels_of(figures, "budget_spent_usd")
        assert spent["installation", "installation", "month"] == sum(range(1, USERS + 1))
        assert spent["key", "5", "month"] == 5
        days = {name for scope, name, window in spent if (scope, window) == ("user", "day")}
        assert days == {str(user_id) for user_id in range(USERS - TOP + 2, USERS + 1)}
        assert len(spent) == TOP + 1
        assert labels_of(figures, "budget_limit_usd")["user", "30", "day"] == 100
        ends = labels_of(figures, "budget_reset_timestamp_seconds")["user", "30", "day"]
        assert ends == window_end(Window.DAY, NOW, UTC_ZONE).timestamp()

    def test_what_is_held_is_read_from_the_counters(self, site: Site) -> None:
        site.spend(1, 5)
        site.store.reserve(admitted_call("req_1", 30, admitted_at=NOW))
        figures = site.read("budgets")
        assert labels_of(figures, "budget_reserved_usd") == {
            ("installation", "installation", "month"): 30,
            ("user", "1", "day"): 30,
            ("user", "1", "month"): 30,
        }

    def test_the_installation_is_named_before_its_first_call(self, site: Site) -> None:
        spent = labels_of(site.read("budgets"), "budget_spent_usd")
        assert spent == {("installation", "installation", "month"): 0}

    def test_who_has_no_limit_has_no_budget(self, small_site: Site) -> None:
        small_site.spend(1, 5)
        unlimited = BudgetFigures(
            small_site.sums, LiveCounters(small_site.store.client), defaults={}, zone=UTC_ZONE
        )
        figures = unlimited.read(NOW)
        assert set(labels_of(figures, "budgets").values()) == {0}
        assert labels_of(figures, "budget_limit_usd") == {}


class TestHolds:
    """Calls that run."""

    def test_open_holds_are_summed_with_their_oldest(self, small_site: Site) -> None:
        for number, minutes in enumerate((1, 5, 3)):
            began = NOW - timedelta(minutes=minutes)
            call = admitted_call(f"req_{number}", 40, admitted_at=began)
            small_site.store.reserve(call)
        assert small_site.read("holds") == {
            "reservations_outstanding": 3,
            "reservations_outstanding_usd": 120,
            "reservation_oldest_age_seconds": 300,
        }

    def test_no_hold_is_no_age(self, small_site: Site) -> None:
        call = admitted_call("req_1", 40, admitted_at=NOW)
        small_site.store.reserve(call)
        small_site.store.meter.settle(call, finished_call(7))
        assert set(small_site.read("holds").values()) == {0}


class TestReconciliation:
    """Redis against the ledger."""

    def settle(self, site: Site, cost: int) -> None:
        call = admitted_call(f"req_{cost}", cost, admitted_at=NOW)
        site.store.reserve(call)
        site.store.meter.settle(call, finished_call(cost))

    def test_what_waits_in_the_outbox_is_no_difference(self, site: Site) -> None:
        self.settle(site, 40)
        assert site.read("reconcile")["ledger_drift_usd"] == 0
        site.bookkeeper().book(block_ms=None)
        self.settle(site, 2)
        figures = site.read("reconcile")
        assert figures["ledger_drift_usd"] == 0
        assert figures["ledger_last_reconcile_timestamp_seconds"] == NOW.timestamp()

    @pytest.mark.parametrize("error", [5, -3])
    def test_a_counter_that_is_wrong_is_told_to_the_digit(self, site: Site, error: int) -> None:
        self.settle(site, 40)
        site.bookkeeper().book(block_ms=None)
        month = window_id(Window.MONTH, NOW, UTC_ZONE)
        account = Account(Scope.INSTALLATION, 0, Window.MONTH, month)
        site.store.client.hincrby(redis_keys.account(account), "spent", error)
        assert site.read("reconcile")["ledger_drift_usd"] == error

    def test_what_could_not_be_booked_is_counted(self, site: Site) -> None:
        assert site.read("reconcile")["ledger_conflicts_total"] == 0
        bad = UnreadableEntry("9-0", "no cost", "{}")
        site.ledger.book([bad], after=site.ledger.position(), now=NOW)
        assert site.read("reconcile")["ledger_conflicts_total"] == 1


class TestPublishing:
    """All at once, and only what is known."""

    def test_every_declared_figure_is_published_and_no_other(self, small_site: Site) -> None:
        small_site.store.reserve(admitted_call("req_1", 30, admitted_at=NOW))
        small_site.spend(1, 5)
        small_site.run_task()
        small_site.bookkeeper()._run_due()
        published = small_site.store.published.figures()
        families = {name.split("|")[0]: len(name.split("|")) - 1 for name in published}
        assert families.pop("updated_at") == 0
        assert families.pop(PAIR) == len(("provider", "model"))
        assert families == {family.name: len(family.labels) for family in FIGURES}

    def test_who_is_no_longer_among_the_first_vanishes(self, small_site: Site) -> None:
        figures = self.figures(small_site)
        source = FigureSource("users", 1, lambda _: {"user_spend_usd|1|day": 5})
        figures.refresh(source)
        figures.write()
        figures.refresh(FigureSource("users", 1, lambda _: {"user_spend_usd|2|day": 6}))
        figures.write()
        published = small_site.store.published.figures()
        assert "user_spend_usd|1|day" not in published
        assert published["user_spend_usd|2|day"] == "6"

    def test_what_can_no_longer_be_read_is_not_repeated(self, small_site: Site) -> None:
        def fail(_now: datetime) -> FigureMap:
            raise GatewayUnavailable

        figures = self.figures(small_site)
        figures.refresh(FigureSource("users", 1, lambda _: {"active_users|day": 5}))
        with pytest.raises(GatewayUnavailable):
            figures.refresh(FigureSource("users", 1, fail))
        figures.write()
        published = small_site.store.published.figures()
        assert "active_users|day" not in published
        assert published["ledger_spend_usd|day"] == "0"

    def test_the_lag_is_told_while_the_ledger_is_away(self, small_site: Site) -> None:
        store = small_site.store
        ledger = LedgerThatGoes(small_site.engine, UTC_ZONE)
        figures = Figures(store.published, ledger, store.outbox, small_site.clock)
        figures.write()
        store.reserve(admitted_call("req_1", 30, admitted_at=NOW))
        store.meter.settle(admitted_call("req_1", 30, admitted_at=NOW), finished_call(5))
        ledger.is_away = True
        figures.write()
        published = store.published.figures()
        assert float(published["ledger_lag_seconds"]) >= 0
        assert "ledger_spend_usd|day" not in published

    def test_nothing_is_told_of_a_ledger_that_never_was_there(self, small_site: Site) -> None:
        ledger = LedgerThatGoes(small_site.engine, UTC_ZONE)
        ledger.is_away = True
        store = small_site.store
        with pytest.raises(GatewayUnavailable):
            Figures(store.published, ledger, store.outbox, small_site.clock).write()
        assert store.published.figures() == {}

    def test_events_of_all_bookkeepers_are_added_up(self, small_site: Site) -> None:
        for _ in range(2):
            figures = self.figures(small_site)
            figures.write()
            figures.count("ledger_writes_total|ok", 3)
            figures.write()
            figures.write()
        published = small_site.store.published.figures()
        assert published["ledger_writes_total|ok"] == "6"
        assert {published[event] for event in EVENTS} == {"0", "6"}

    def test_events_that_could_not_be_written_are_kept(self, small_site: Site) -> None:
        figures = self.figures(small_site)
        figures.count("ledger_rebuilds_total")
        small_site.store.client.set(redis_keys.FIGURE_COUNTS, "no hash")
        with pytest.raises(GatewayUnavailable):
            figures.write()
        small_site.store.client.delete(redis_keys.FIGURE_COUNTS)
        figures.write()
        assert small_site.store.published.figures()["ledger_rebuilds_total"] == "1"

    def figures(self, site: Site) -> Figures:
        return Figures(site.store.published, site.ledger, site.store.outbox, site.clock)


class TestEvents:
    """What the bookkeeper counts."""

    def counted(self, site: Site, bookkeeper: Bookkeeper) -> dict[str, int]:
        bookkeeper.write_figures()
        published = site.store.published.figures()
        return {event: int(published[event]) for event in EVENTS if published[event] != "0"}

    def test_batches_lapses_and_rebuilds_are_counted(self, small_site: Site) -> None:
        bookkeeper = small_site.bookkeeper()
        call = admitted_call("req_1", 40, admitted_at=NOW)
        small_site.store.reserve(call)
        small_site.store.let_lapse(call)
        assert bookkeeper.reap() == 1
        assert bookkeeper.book(block_ms=None) == 1
        bookkeeper.distrust()
        assert bookkeeper.restore()
        assert self.counted(small_site, bookkeeper) == {
            "reservations_expired_total": 1,
            "ledger_writes_total|ok": 1,
            "ledger_rebuilds_total": 1,
        }

    def test_a_redis_that_went_back_is_counted(self, small_site: Site) -> None:
        small_site.spend(1, 5)
        bookkeeper = small_site.bookkeeper()
        assert bookkeeper.watch_sequence()
        assert self.counted(small_site, bookkeeper) == {"ledger_epoch_rollbacks_total": 1}

    def test_an_entry_that_the_database_refuses_is_an_error(self, small_site: Site) -> None:
        call = admitted_call("req_1", 40, admitted_at=NOW)
        small_site.store.reserve(call)
        small_site.store.meter.settle(call, finished_call(7))
        ((stream_id, row),) = small_site.store.stream().items()
        small_site.store.client.xtrim(redis_keys.OUTBOX, maxlen=0)
        small_site.store.put(row | {"cost": str(2**63)}, f"{stream_id.split('-')[0]}-9")
        bookkeeper = small_site.bookkeeper()
        bookkeeper.book(block_ms=None)
        counted = self.counted(small_site, bookkeeper)
        assert counted["ledger_writes_total|error"] >= 1
        assert small_site.read("reconcile")["ledger_conflicts_total"] == 1


def test_pairs_are_the_models_that_were_asked_in_the_last_days(site: Site) -> None:
    site.spend(1, 100)
    site.spend(2, 100)
    assert site.read("pairs") == {"pair|openai|gpt-4o-mini": 2}


def test_a_model_that_nobody_asked_of_late_is_no_pair(site: Site) -> None:
    site.spend(1, 100, ago=20)
    assert site.read("pairs") == {}

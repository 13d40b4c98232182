"""What users have spent of their limits: SQL has to agree with the domain."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ai_gateway.domain.limits import (
    NO_LIMIT,
    BudgetState,
    Limit,
    LimitKind,
    Window,
    state_of,
    worse,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.projection import Trailing, projected_month
from ai_gateway.domain.spend_list import (
    EVERYBODY,
    BudgetUse,
    FilterCounts,
    OpenWindow,
    OpenWindows,
    PageCut,
    Selection,
    SpendFilter,
    SpendSort,
    UserBudgets,
)
from ai_gateway.stores.budget_use import BudgetUseStore, UserBatches
from ai_gateway.stores.tables import db
from tests.seeding import NOW, add_account, add_limit, add_usage, add_user, amount
from tests.sql_database import counted_statements, opened, sqlite_url

DAY, MONTH = "2026-11-23", "2026-11"
WINDOWS = OpenWindows(
    daily=OpenWindow(DAY, amount(1000)),
    monthly=OpenWindow(MONTH, NO_LIMIT),
    trailing_since="2026-11-16",
    days_left=7,
)
ALL = PageCut(SpendSort.USER, is_descending=False, offset=0, count=100)


@dataclass(frozen=True)
class Case:
    """An account, the limit that staff set or None, and the state that follows."""

    name: str
    spent: int
    own: Limit | None
    state: BudgetState
    is_refused: bool = False


NONE = Limit(LimitKind.NONE)
CASES = (
    Case("79.99 %", 7999, amount(10_000), BudgetState.OK),
    Case("80 %", 8000, amount(10_000), BudgetState.WARNING),
    Case("99.99 %", 9999, amount(10_000), BudgetState.WARNING),
    Case("100 %", 10_000, amount(10_000), BudgetState.EXCEEDED),
    Case("123 %", 12_300, amount(10_000), BudgetState.EXCEEDED),
    Case("refused at 97 %", 9700, amount(10_000), BudgetState.EXCEEDED, is_refused=True),
    Case("refused at 3 %", 300, amount(10_000), BudgetState.EXCEEDED, is_refused=True),
    Case("no limit", 10**15, NONE, BudgetState.OK),
    Case("no limit and refused", 10**15, NONE, BudgetState.OK, is_refused=True),
    Case("limit 0", 0, amount(0), BudgetState.EXCEEDED),
    Case("inherits, 79 %", 799, None, BudgetState.OK),
    Case("inherits, 80 %", 800, None, BudgetState.WARNING),
    Case("inherits, over", 1001, None, BudgetState.EXCEEDED),
    Case("the largest limit", 9 * 10**15 - 1, amount(9 * 10**15), BudgetState.WARNING),
)


@pytest.fixture
def store(sql_database: str) -> BudgetUseStore:
    return BudgetUseStore()


def _state(user: UserBudgets) -> BudgetState:
    uses = (user.daily, user.monthly)
    return worse(*(state_of(u.spent, u.limit, is_refused=u.is_refused) for u in uses))


def _names(store: BudgetUseStore, chosen: SpendFilter, search: str = "") -> set[str]:
    return {user.username for user in store.page(WINDOWS, ALL, Selection(chosen, search))}


def _seed_cases() -> None:
    for case in CASES:
        user_id = add_user(case.name, email=f"{case.name}@example.com")
        add_account(DAY, case.spent, user_id=user_id, is_refused=case.is_refused)
        if case.own is not None:
            add_limit(Window.DAY, case.own, user_id=user_id)


def test_filters_hold_exactly_those_whose_state_the_domain_names(store: BudgetUseStore) -> None:
    _seed_cases()
    add_user("no account")
    expected = {case.name: case.state for case in CASES} | {"no account": BudgetState.OK}
    found = store.page(WINDOWS, ALL, EVERYBODY)
    assert {user.username: _state(user) for user in found} == expected
    exceeded = {name for name, state in expected.items() if state is BudgetState.EXCEEDED}
    warning = {name for name, state in expected.items() if state is BudgetState.WARNING}
    assert _names(store, SpendFilter.EXCEEDED) == exceeded
    assert _names(store, SpendFilter.WARNING) == exceeded | warning
    unlimited = {"no limit", "no limit and refused"}
    assert _names(store, SpendFilter.NO_LIMIT) == unlimited
    assert store.count(WINDOWS) == FilterCounts(
        len(expected), len(exceeded | warning), len(exceeded), len(unlimited)
    )


def test_the_worse_of_day_and_month_counts(store: BudgetUseStore) -> None:
    for name, daily, monthly in (("day", 100, 10), ("month", 10, 100), ("neither", 10, 10)):
        user_id = add_user(name)
        for window, window_id, spent in ((Window.DAY, DAY, daily), (Window.MONTH, MONTH, monthly)):
            add_account(window_id, spent, user_id=user_id)
            add_limit(window, amount(100), user_id=user_id)
    assert _names(store, SpendFilter.EXCEEDED) == {"day", "month"}


def test_only_the_open_windows_of_users_count(store: BudgetUseStore) -> None:
    user_id = add_user("ann")
    add_account("2026-11-22", 5000, user_id=user_id)
    add_account("2026-10", 5000, user_id=user_id)
    add_account(DAY, 5000)
    (ann,) = store.page(WINDOWS, ALL, EVERYBODY)
    assert (ann.daily.spent, ann.monthly.spent) == (0, 0)
    assert store.count(WINDOWS) == FilterCounts(1, 0, 0, 0)


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("%", {"50%_off"}),
        ("_", {"50%_off"}),
        ("/", set()),
        ("'; drop", set()),
        ("ANN", {"ann"}),
        ("example.org", {"bob"}),
        ("", {"ann", "bob", "50%_off"}),
        ("🦆", set()),
        ("<script>", set()),
    ],
)
def test_a_search_is_text_and_no_pattern(
    store: BudgetUseStore, search: str, names: set[str]
) -> None:
    add_user("ann")
    add_user("bob", email="bob@example.org")
    add_user("50%_off", email="x@example.com")
    assert _names(store, SpendFilter.ALL, search) == names
    assert store.count(WINDOWS, search).everyone == len(names)


@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize("sort", SpendSort)
def test_pages_hold_every_user_once_where_values_tie(
    store: BudgetUseStore, sort: SpendSort, *, is_descending: bool
) -> None:
    ids = [add_user(f"user{number}") for number in range(7)]
    seen = []
    for offset in (0, 2, 4, 6):
        cut = PageCut(sort, is_descending=is_descending, offset=offset, count=2)
        page = store.page(WINDOWS, cut, EVERYBODY)
        seen += [user.user_id for user in page]
    is_by_name = sort in {SpendSort.USER, SpendSort.EMAIL}
    assert seen == (ids[::-1] if is_descending and is_by_name else ids)


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        (SpendSort.USER, ["blocked", "free", "poor", "rich"]),
        (SpendSort.EMAIL, ["poor", "rich", "blocked", "free"]),
        (SpendSort.DAILY_SPEND, ["blocked", "poor", "rich", "free"]),
        (SpendSort.DAILY_USED, ["free", "rich", "poor", "blocked"]),
        (SpendSort.MONTHLY_SPEND, ["rich", "free", "blocked", "poor"]),
        (SpendSort.MONTHLY_USED, ["free", "blocked", "rich", "poor"]),
        (SpendSort.STATE, ["rich", "free", "poor", "blocked"]),
    ],
)
def test_each_column_sorts(store: BudgetUseStore, sort: SpendSort, names: list[str]) -> None:
    rows = (
        # name, email, spent today, its limit, spent this month, its limit
        ("rich", "b@x", 500, amount(1000), 10, amount(1000)),
        ("poor", "a@x", 90, amount(100), 90, amount(1000)),
        ("free", "d@x", 900, NONE, 30, NONE),
        ("blocked", "c@x", 0, amount(0), 50, NONE),
    )
    for name, email, today, daily, month, monthly in rows:
        user_id = add_user(name, email=email)
        add_account(DAY, today, user_id=user_id)
        add_account(MONTH, month, user_id=user_id)
        add_limit(Window.DAY, daily, user_id=user_id)
        add_limit(Window.MONTH, monthly, user_id=user_id)
    cut = PageCut(sort, is_descending=False, offset=0, count=9)
    assert [u.username for u in store.page(WINDOWS, cut, EVERYBODY)] == names


def test_limits_in_force_are_own_or_inherited(store: BudgetUseStore) -> None:
    own, heir = add_user("own"), add_user("heir")
    add_limit(Window.DAY, amount(7), user_id=own)
    found = store.of_users(WINDOWS, [own, heir, 999])
    assert found.keys() == {own, heir}
    assert found[own].daily.limit == amount(7)
    assert found[heir].daily.limit == amount(1000)
    assert found[heir].monthly.limit == NO_LIMIT


def test_the_installation_has_a_month_of_its_own(store: BudgetUseStore) -> None:
    window = OpenWindow(MONTH, amount(500))
    assert store.installation(window) == BudgetUse(Money(0), amount(500), is_refused=False)
    add_account(MONTH, 77, is_refused=True)
    add_account(MONTH, 5, user_id=add_user("ann"))
    add_limit(Window.MONTH, amount(80))
    assert store.installation(window) == BudgetUse(Money(77), amount(80), is_refused=True)


def test_what_begins_with_the_search_comes_first(store: BudgetUseStore) -> None:
    for name in ("joanna", "susan", "ANNE", "zoe"):
        add_user(name, email="ann.z@x" if name == "zoe" else f"{name}@y")
    found = store.page(WINDOWS, ALL, Selection(search="ann"))
    assert [user.username for user in found] == ["ANNE", "zoe", "joanna"]


def _seed_activity() -> dict[str, int]:
    """`steady` calls every day, `rare` did on two, `early` last month, `never` never."""
    ids = {name: add_user(name) for name in ("steady", "rare", "early", "never")}
    for day in range(16, 24):
        add_usage(NOW.replace(day=day), ids["steady"], cost_nano_usd=100 * day, requests=2)
    for day in (20, 21):
        add_usage(NOW.replace(day=day), ids["rare"], cost_nano_usd=9_000_000)
    add_usage(NOW.replace(month=10, day=3), ids["early"], cost_nano_usd=5)
    return ids


def test_activity_is_of_calls_alone(store: BudgetUseStore) -> None:
    ids = _seed_activity()
    # As after a reset: the counter is 0, what was done stays.
    add_account(DAY, 0, user_id=ids["steady"])
    found = store.of_users(WINDOWS, list(ids.values()))
    steady, early = found[ids["steady"]], found[ids["early"]]
    assert (steady.daily.spent, steady.activity.requests_today) == (0, 2)
    assert (steady.activity.cost_today, steady.activity.cost_this_month) == (2300, 15_600)
    assert steady.activity.trailing == Trailing(Money(13_300), 7)
    assert steady.activity.last_active_at == NOW
    assert (early.activity.cost_this_month, early.activity.trailing) == (0, Trailing())
    assert early.activity.last_active_at == NOW.replace(month=10, day=3)
    assert found[ids["never"]].activity.last_active_at is None


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        (SpendSort.REQUESTS_TODAY, ["steady", "rare", "early", "never"]),
        (SpendSort.COST_TODAY, ["steady", "rare", "early", "never"]),
        (SpendSort.COST_MONTH, ["rare", "steady", "early", "never"]),
        (SpendSort.PROJECTED, ["steady", "rare", "early", "never"]),
        (SpendSort.LAST_ACTIVE, ["steady", "rare", "early", "never"]),
    ],
)
def test_what_was_done_sorts_too(store: BudgetUseStore, sort: SpendSort, names: list[str]) -> None:
    _seed_activity()
    for is_descending in (True, False):
        cut = PageCut(sort, is_descending=is_descending, offset=0, count=9)
        found = [user.username for user in store.page(WINDOWS, cut, EVERYBODY)]
        ties = [user for user in names if user not in {"steady", "rare"}]
        if is_descending:
            assert found == names, sort
        else:
            assert [name for name in found if name not in ties] == [
                name for name in reversed(names) if name not in ties
            ]


def test_projections_sort_as_the_domain_computes_them(store: BudgetUseStore) -> None:
    for number in range(6):
        user_id = add_user(f"user{number}")
        for day in range(14, 14 + number + 4):
            cost = (number * 37 + day * 101) % 90 + 1
            add_usage(NOW.replace(day=day), user_id, cost_nano_usd=cost)
    cut = PageCut(SpendSort.PROJECTED, is_descending=True, offset=0, count=9)
    found = [
        projected_month(user.activity.cost_this_month, user.activity.trailing, WINDOWS.days_left)
        for user in store.page(WINDOWS, cut, EVERYBODY)
    ]
    known = [money for money in found if money is not None]
    assert len(known) == 5
    assert known == sorted(known, reverse=True)
    assert found[5:] == [None]


def test_days_of_the_month_before_are_no_month_of_their_own(store: BudgetUseStore) -> None:
    """`2026-11` lies between `2026-10-31` and `2026-11-01`."""
    user_id = add_user("ann")
    for day in (29, 30, 31):
        add_usage(NOW.replace(month=10, day=day), user_id, cost_nano_usd=10)
    add_usage(NOW.replace(day=1), user_id, cost_nano_usd=1000)
    add_usage(NOW.replace(day=4), user_id, cost_nano_usd=7)
    windows = OpenWindows(
        daily=OpenWindow("2026-11-04", NO_LIMIT),
        monthly=OpenWindow(MONTH, NO_LIMIT),
        trailing_since="2026-10-28",
        days_left=26,
    )
    activity = store.of_users(windows, [user_id])[user_id].activity
    assert activity.trailing == Trailing(Money(1030), 4)


def test_batches_hold_every_chosen_user_once(store: BudgetUseStore) -> None:
    _seed_cases()
    for chosen in SpendFilter:
        selection = Selection(chosen)
        with counted_statements() as sent:
            batches = list(UserBatches(db.engine, rows_at_once=3).read(WINDOWS, selection))
        names = [user.username for batch in batches for user in batch]
        assert len(names) == len(set(names))
        assert set(names) == _names(store, chosen)
        assert len(sent) == len(batches) + 1
        assert all(len(batch) <= 3 for batch in batches)


def test_no_page_reads_accounts_but_by_their_key(tmp_path: Path) -> None:
    with opened(sqlite_url(tmp_path)), counted_statements() as sent:
        store = BudgetUseStore()
        store.count(WINDOWS, "a")
        for sort in SpendSort:
            cut = PageCut(sort, is_descending=True, offset=0, count=100)
            store.page(WINDOWS, cut, Selection(SpendFilter.WARNING, "a"))
        connection = db.session.connection().connection.driver_connection
        assert connection is not None
        for statement in [text for text in sent if "PRAGMA" not in text]:
            values = ("x",) * statement.count("?")
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            steps = [step[3] for step in plan]
            assert [step for step in steps if step.startswith("SEARCH account_total")]
            assert not [step for step in steps if "SCAN account" in step or "SCAN spend" in step]

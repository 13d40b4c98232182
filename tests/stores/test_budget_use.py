"""What users have spent of their limits: SQL has to agree with the domain."""

from dataclasses import dataclass

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
from ai_gateway.domain.spend_list import SpendFilter, SpendSort
from ai_gateway.stores.budget_use import (
    BudgetUse,
    BudgetUseStore,
    FilterCounts,
    OpenWindow,
    OpenWindows,
    PageCut,
    UserBudgets,
)
from tests.seeding import add_account, add_limit, add_user, amount

DAY, MONTH = "2026-11-23", "2026-11"
WINDOWS = OpenWindows(daily=OpenWindow(DAY, amount(1000)), monthly=OpenWindow(MONTH, NO_LIMIT))
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
    return {user.username for user in store.page(WINDOWS, ALL, chosen=chosen, search=search)}


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
    found = store.page(WINDOWS, ALL, chosen=SpendFilter.ALL)
    assert {user.username: _state(user) for user in found} == expected
    exceeded = {name for name, state in expected.items() if state is BudgetState.EXCEEDED}
    warning = {name for name, state in expected.items() if state is BudgetState.WARNING}
    assert _names(store, SpendFilter.EXCEEDED) == exceeded
    assert _names(store, SpendFilter.WARNING) == exceeded | warning
    assert store.count(WINDOWS) == FilterCounts(
        len(expected), len(exceeded | warning), len(exceeded)
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
    (ann,) = store.page(WINDOWS, ALL, chosen=SpendFilter.ALL)
    assert (ann.daily.spent, ann.monthly.spent) == (0, 0)
    assert store.count(WINDOWS) == FilterCounts(1, 0, 0)


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
        page = store.page(WINDOWS, cut, chosen=SpendFilter.ALL)
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
    assert [u.username for u in store.page(WINDOWS, cut, chosen=SpendFilter.ALL)] == names


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

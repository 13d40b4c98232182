"""The rig that measures pages before a long ledger, on a short one: it must not rot unseen."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from ai_gateway.stores.rollup_tables import ModelDay
from ai_gateway.stores.tables import AccountTotal, LedgerEntry, User
from bench.errors import BenchError
from bench.scale import bounds, report
from bench.scale.addresses import USERS, Address, addresses
from bench.scale.bounds import Compared
from bench.scale.checking import differences_of_accounts, differences_of_day
from bench.scale.databases import KINDS, POSTGRESQL, SQLITE, Server, server
from bench.scale.measuring import Measured, Stopwatch
from bench.scale.memory import LEDGER_CSV, USERS_CSV, Growth, growth
from bench.scale.population import FIRST_DAY, FIRST_USER, ONE_HOUR, Population
from bench.scale.progress import silent
from bench.scale.site import Site, opened_site
from tests.tools import has_programs

PEOPLE = Population(users=150, rows=3_000)
DAYS = [FIRST_DAY + 24 * day * ONE_HOUR for day in range(31)]
EVERYBODY = range(FIRST_USER, FIRST_USER + PEOPLE.users)
PAGE = Measured(Address(USERS, "/a/", USERS), 4, 100.0, 20.0, 30.0, 10.0, "SELECT 1")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with opened_site(Server(SQLITE), PEOPLE, silent) as opened:
        yield opened


@pytest.fixture(
    params=[
        kind if kind == SQLITE else pytest.param(kind, marks=pytest.mark.postgresql)
        for kind in KINDS
    ]
)
def any_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site that a test may change."""
    if request.param == POSTGRESQL and not has_programs("initdb", "pg_ctl"):
        pytest.skip("PostgreSQL is not here")
    with server(request.param) as opened, opened_site(opened, PEOPLE, silent) as made:
        yield made


def test_seeded_sums_are_those_that_the_ledger_makes(any_site: Site) -> None:
    engine = any_site.engine
    assert [differences_of_day(engine, day) for day in DAYS] == [[]] * len(DAYS)
    assert differences_of_accounts(engine, EVERYBODY) == []
    with engine.begin() as connection:
        assert connection.scalar(select(func.count(LedgerEntry.id))) == PEOPLE.rows
        assert connection.scalar(select(func.count(User.id))) == PEOPLE.users + 1
        connection.execute(update(ModelDay).values(requests=ModelDay.requests + 1))
        of_one = AccountTotal.subject_id == PEOPLE.heaviest
        connection.execute(update(AccountTotal).where(of_one).values(cost_nano_usd=1))
    assert differences_of_day(engine, DAYS[3]) == ["model_day"]
    wrong = differences_of_accounts(engine, EVERYBODY)
    assert any(f"'user', {PEOPLE.heaviest}" in account for account in wrong)


def test_every_page_keeps_to_its_statements_and_size(site: Site) -> None:
    watch = Stopwatch(site.client, site.engine)
    counted = [watch.count(one) for one in addresses(site.client, PEOPLE)]
    assert list(bounds.statement_faults(counted)) == []
    assert list(bounds.size_faults(counted)) == []
    assert {"overview", "users", "user", "user accounts", "REST /activity/"} <= {
        one.address.group for one in counted
    }


def test_an_address_is_timed_with_its_slowest_statement(site: Site) -> None:
    measured = Stopwatch(site.client, site.engine).measure(Address(USERS, "/admin/user/"))
    assert measured.cpu_ms > measured.slowest_ms > 0
    assert measured.slowest.startswith("SELECT")


def test_what_is_no_page_ends_the_run(site: Site) -> None:
    with pytest.raises(BenchError, match="/admin/nothing/: 404"):
        Stopwatch(site.client, site.engine).count(Address(USERS, "/admin/nothing/"))


def test_exports_are_measured_whole_in_a_process_of_their_own(site: Site) -> None:
    with site.engine.connect() as connection:
        calls = connection.scalar(select(func.count()).where(LedgerEntry.entry_no == 1))
    for name, lines in ((USERS_CSV, 1 + PEOPLE.users + 1), (LEDGER_CSV, 1 + (calls or 0))):
        found = growth(name, site.environment)
        assert (found.name, found.lines) == (name, lines)
        assert 0 <= found.megabytes < bounds.MOST_MEGABYTES


def test_an_export_that_fails_ends_the_run(site: Site) -> None:
    with pytest.raises(BenchError, match=USERS_CSV):
        growth(USERS_CSV, {**site.environment, "AI_GATEWAY_LOG_LEVEL": "nonsense"})


def test_too_many_statements_and_unequal_pages_are_faults() -> None:
    other = replace(PAGE, address=replace(PAGE.address, path="/b/"), statements=7)
    assert list(bounds.statement_faults([PAGE, PAGE])) == []
    assert list(bounds.statement_faults([PAGE, other])) == [
        "/b/: 7 statements, 6 are allowed",
        "users: pages of one list need [4, 7] statements",
    ]


def test_a_large_page_is_a_fault() -> None:
    assert list(bounds.size_faults([PAGE, replace(PAGE, kilobytes=401.0)])) == [
        "/a/: 401 KB, 400 are allowed"
    ]


@pytest.mark.parametrize(
    ("short", "long", "faults"),
    [
        (20.0, 40.0, []),
        (20.0, 41.0, ["/a/: 41 ms, 2.0 times as long on the long ledger"]),
        (2.0, 16.9, []),
    ],
)
def test_growing_with_the_ledger_is_a_fault(short: float, long: float, faults: list[str]) -> None:
    compared = Compared(replace(PAGE, cpu_ms=short), replace(PAGE, cpu_ms=long))
    assert list(bounds.time_faults(SQLITE, [compared])) == faults


def test_what_is_of_one_user_has_a_bound_of_its_own() -> None:
    of_one = replace(PAGE, address=replace(PAGE.address, of_one=True))
    slow, slower = (replace(of_one, cpu_ms=cpu_ms) for cpu_ms in (150.0, 151.0))
    faults = bounds.time_faults(SQLITE, [Compared(of_one, slow), Compared(of_one, slower)])
    assert list(faults) == ["/a/: 151 ms, 7.5 times as long on the long ledger"]


def test_a_slow_statement_and_a_large_memory_are_faults() -> None:
    slow = Compared(PAGE, replace(PAGE, slowest_ms=51.0))
    assert list(bounds.time_faults(SQLITE, [slow])) == ["/a/: a statement of 51 ms"]
    assert list(bounds.time_faults(POSTGRESQL, [slow])) == []
    grown = [Growth("small", 1, 50.0), Growth("large", 1, 50.1)]
    assert list(bounds.memory_faults(grown)) == ["large: memory grows by 50 MB"]


def test_the_docs_get_one_row_for_each_kind_of_page(tmp_path: Path) -> None:
    dearer = replace(PAGE, cpu_ms=30.0)
    result = report.Result(
        SQLITE, (Compared(PAGE, PAGE), Compared(PAGE, dearer)), (Growth("CSV", 10, 1.5),)
    )
    machine = dict.fromkeys(("date", "cores", "cpu", "python", "linux"), "x")
    text = report.markdown([result], machine, "few rows")
    assert "| users | 2 | 4 | 100 | 20.0 | 30.0 | 1.5 | 10.0 |" in text
    assert "- CSV: 10 lines, memory grows by 1.5 MB" in text
    page = f"before {report.BEGIN} old {report.END} after"
    assert report.with_figures(page, text) == (
        f"before {report.BEGIN}\n\n{text}\n\n{report.END} after"
    )
    assert "/a/" in report.text_table(result)
    report.write_json(tmp_path / "scale.json", [result], machine)
    (written,) = json.loads((tmp_path / "scale.json").read_text())["results"]
    assert [one["long_cpu_ms"] for one in written["pages"]] == [20.0, 30.0]
    assert written["slowest_statements"] == {"SELECT 1": 10.0}
    with pytest.raises(BenchError, match="marks"):
        report.with_figures("no marks", text)

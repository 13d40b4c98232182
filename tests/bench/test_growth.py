"""What grows is measured on a small scale here; the page of scaling says what the figures say."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import func, select

from ai_gateway.stores.tables import LedgerEntry
from bench.errors import BenchError
from bench.growth import accounts, booking, report, results, room, scaling, scraping
from bench.growth.__main__ import PAGE
from bench.scale.checking import differences_of_day
from bench.scale.databases import SQLITE, Server
from bench.scale.earlier_months import DAYS
from bench.scale.population import FIRST_DAY, ONE_HOUR, Population
from bench.scale.progress import silent
from bench.scale.site import Site, opened_site
from tests.running import PROJECT

PEOPLE = Population(users=20, rows=300)
BEFORE = 2
KNOWN = MappingProxyType(
    {
        "accounts": {"figures": [{"users": 1_000, "account_bytes": 150.0, "key_bytes": 700.0}]},
        "ledger": {
            "figures": {
                "PostgreSQL": {
                    "booked_a_cpu_second": 5_000,
                    "bytes_of_a_row": 1_500,
                    "publish_key_us": 30.0,
                }
            }
        },
        "call": {"figures": {"worker": 1_000, "redis": 100, "bookkeeper": 100}},
    }
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with opened_site(Server(SQLITE), PEOPLE, silent, months_before=BEFORE) as opened:
        yield opened


def test_earlier_months_are_the_same_calls_with_sums_that_the_ledger_would_make(site: Site) -> None:
    engine, day = site.engine, 24 * ONE_HOUR
    with engine.connect() as connection:
        # Another test may have booked some more.
        is_seeded = LedgerEntry.request_id.not_like("req_grown_%")
        seeded = select(func.count(LedgerEntry.id)).where(is_seeded)
        assert connection.scalar(seeded) == (1 + BEFORE) * PEOPLE.rows
        counts = [
            connection.scalar(
                select(func.count(LedgerEntry.id)).where(
                    LedgerEntry.admitted_at >= FIRST_DAY - DAYS * day * month,
                    LedgerEntry.admitted_at < FIRST_DAY - DAYS * day * (month - 1),
                )
            )
            for month in range(1, BEFORE + 1)
        ]
    assert counts == [PEOPLE.rows] * BEFORE
    for month in range(BEFORE + 1):
        sampled = FIRST_DAY + (3 - DAYS * month) * day
        assert differences_of_day(engine, sampled) == []


def test_bookings_are_timed_and_all_of_them_are_in_the_ledger(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking, "ENTRIES", 60)
    monkeypatch.setattr(booking, "WARM_UP", 10)
    before = _booked(site)
    found = booking.measure(site)
    assert _booked(site) == before + 70
    assert found.seconds >= found.cpu_seconds * 0.5 > 0
    assert found.rows_per_cpu_second == pytest.approx(60 / found.cpu_seconds)


def test_users_are_in_redis_as_the_gateway_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no call of theirs would be let in, and settled."""
    monkeypatch.setattr(accounts, "CALLS", 24)
    few, more = accounts.measure([5, 400], silent)
    assert (few.users, more.users) == (5, 400)
    assert more.redis_bytes > few.redis_bytes
    assert 50 < more.account_bytes < 500 < more.key_bytes < 2_000
    assert min(more.redis_us, more.client_us, more.publish_us) > 0


def test_scrape_has_more_series_with_more_models() -> None:
    few, more = (scraping._in_a_child(models) for models in (1, 3))
    assert more.series > 2 * few.series
    assert more.kilobytes > few.kilobytes > 10
    assert more.cpu_ms > 0


def test_run_that_does_not_fit_is_refused_with_what_it_needs() -> None:
    room.check_disk(1)
    room.check_memory(1)
    with pytest.raises(
        BenchError, match=r"need 2,?600,?000.* GB in .*name another folder by TMPDIR"
    ):
        room.check_disk(10**15)
    with pytest.raises(BenchError, match="name fewer by --users"):
        room.check_memory(10**13)


def test_hosts_are_what_the_figures_carry() -> None:
    few, _, many = scaling.hosts(KNOWN)
    # 1,000 µs a call are 1,000 calls of a core, of which 600 are planned.
    assert (few.calls, few.workers, few.worker_hosts) == (100, 1, 2)
    assert (many.calls, many.workers, many.worker_hosts) == (10_000, 17, 4)
    assert (many.redis_busy, many.bookkeeper_busy) == (1.0, 2.0)
    # The bookkeeper is planned for 3,000.
    assert (few.installations, many.installations) == (1, 4)
    year = 365 * 24 * 3600 // 4 * (1_500 + 450)
    assert few.database_gigabytes == pytest.approx(100 * year / 1e9)
    assert scaling.redis_gigabytes(KNOWN, 1_000_000) == pytest.approx(1.3)
    assert scaling.keys_in_time(KNOWN) == 500_000


def test_parts_are_renewed_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "growth.json"
    results.write("ledger", {"SQLite": 1}, {"date": "x"}, path)
    results.write("metrics", [1], {"date": "x"}, path)
    results.write("ledger", {"PostgreSQL": 2}, {"date": "y"}, path)
    assert results.read(path) == {
        "ledger": {"machine": {"date": "y"}, "figures": {"SQLite": 1, "PostgreSQL": 2}},
        "metrics": {"machine": {"date": "x"}, "figures": [1]},
    }
    assert results.read(tmp_path / "none.json") == {}


def test_page_has_a_place_for_every_table_and_says_what_was_measured() -> None:
    """After a run: make growth ARGS=--write-docs."""
    page, known = PAGE.read_text(encoding="utf-8"), results.read()
    assert [name for name, _ in report.sections(known)] == list(report.SECTIONS)
    assert report.with_figures(page, known) == page
    changed = json.loads(json.dumps(known))
    changed["call"]["figures"]["worker"] *= 2
    assert report.with_figures(page, changed) != page
    with pytest.raises(BenchError, match="lost its marks"):
        report.with_figures("no marks", known)


def test_text_of_the_page_says_the_numbers_that_the_arithmetic_uses() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for number in (
        f"{scaling.BUSY:.0%}".replace("%", " %"),
        f"{scaling.CORES_OF_A_HOST} cores",
        f"{scaling.TEXTS_OF_A_ROW} bytes",
    ):
        assert number in text
    told = re.search(r"some ([\d,]+) keys", text)
    assert told is not None
    assert int(told[1].replace(",", "")) == round(scaling.keys_in_time(results.read()), -4)


def test_command_is_in_the_list_of_targets() -> None:
    assert "make growth" in (PROJECT / "Makefile").read_text(encoding="utf-8")


def _booked(site: Site) -> Any:
    with site.engine.connect() as connection:
        return connection.scalar(select(func.count(LedgerEntry.id)))

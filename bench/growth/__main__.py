"""`python -m bench.growth`: what grows with users, rows and series, and how far it carries.

Each part writes its figures when it ends, so that one alone may be measured anew.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

from bench import report as machine_report
from bench.cpu import OtherWork
from bench.errors import BenchError
from bench.gateway import ROOT
from bench.growth import accounts, long_ledger, report, results, scraping
from bench.growth.results import ACCOUNTS, CALL, LEDGER, METRICS, PARTS
from bench.growth.room import check_disk, check_memory
from bench.scale.databases import KINDS, server
from bench.scale.population import Population
from bench.scale.progress import shown
from bench.scale.site import opened_site

PAGE = ROOT / "docs" / "scaling.md"
MOST_STATEMENT_MS = 50.0


def main() -> int:
    arguments = _arguments()
    try:
        for part in arguments.parts:
            others = OtherWork()
            figures = _MEASURES[part](arguments)
            machine = machine_report.machine(others.share())
            results.write(part, figures, results.machine_of_calls() if part == CALL else machine)
        known = results.read()
        if arguments.write_docs:
            page = PAGE.read_text(encoding="utf-8")
            PAGE.write_text(report.with_figures(page, known), encoding="utf-8")
    except BenchError as error:
        sys.stderr.write(f"growth: {error}\n")
        return 1
    print(report.text(known))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--users", type=int, nargs="+", default=[10, 10_000, 1_000_000])
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the ledger, in a month")
    parser.add_argument("--months", type=int, default=10, help="of the ledger")
    parser.add_argument("--databases", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.name} too")
    return parser.parse_args()


def _accounts(arguments: argparse.Namespace) -> Any:
    check_memory(max(arguments.users))
    return results.of_crowds(accounts.measure(sorted(arguments.users), shown))


def _metrics(_arguments: argparse.Namespace) -> Any:
    return results.of_scrapes(scraping.measure())


def _ledger(arguments: argparse.Namespace) -> Any:
    check_disk(arguments.rows * arguments.months)
    people = Population(users=10_000, rows=arguments.rows)
    found: dict[str, Any] = {}
    for kind in arguments.databases:
        with (
            server(kind) as opened,
            opened_site(opened, people, shown, months_before=arguments.months - 1) as site,
        ):
            measured = long_ledger.measure(kind, site, shown)
        for page in long_ledger.slow(measured.pages, MOST_STATEMENT_MS):
            print(f"{kind}: {page.address.path}: a statement of {page.slowest_ms:.0f} ms")
        found |= results.of_ledger(measured)
    return found


def _call(_arguments: argparse.Namespace) -> Any:
    return results.of_calls()


_MEASURES: Mapping[str, Callable[[argparse.Namespace], Any]] = {
    ACCOUNTS: _accounts,
    METRICS: _metrics,
    LEDGER: _ledger,
    CALL: _call,
}

if __name__ == "__main__":
    sys.exit(main())

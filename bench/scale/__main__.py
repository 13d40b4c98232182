"""`python -m bench.scale`: do the staff pages and the API stay quick before a long ledger?

Exit status 1 where a page is beyond its bounds.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

from bench import report as machine_report
from bench.cpu import OtherWork
from bench.errors import BenchError
from bench.gateway import ROOT
from bench.scale import bounds, report
from bench.scale.addresses import addresses, left_out
from bench.scale.bounds import Compared
from bench.scale.databases import KINDS, Server, server
from bench.scale.measuring import Measured, Stopwatch
from bench.scale.memory import LEDGER_CSV, USERS_CSV, Growth, growth
from bench.scale.population import Population
from bench.scale.progress import shown
from bench.scale.report import Result
from bench.scale.site import opened_site

RESULTS = ROOT / "bench" / "results" / "scale.json"
PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    arguments = _arguments()
    others = OtherWork()
    try:
        results = [_measure(kind, arguments) for kind in arguments.databases]
    except BenchError as error:
        sys.stderr.write(f"scale: {error}\n")
        return 1
    machine = machine_report.machine(others.share())
    print("\n\n".join(map(report.text_table, results)))
    print(f"Other work took {machine['other_work']} of the machine.")
    for page in left_out():
        print(f"Not measured: /admin/{page}/")
    report.write_json(RESULTS, results, machine)
    if arguments.write_docs:
        figures = report.markdown(results, machine, _size(arguments))
        page_text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(report.with_figures(page_text, figures), encoding="utf-8")
    faults = [f"{result.database}: {fault}" for result in results for fault in _faults(result)]
    for fault in faults:
        print(f"Beyond its bound: {fault}")
    return 1 if faults else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description="Measure the staff pages before a long ledger."
    )
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the long ledger")
    parser.add_argument("--short", type=int, default=100_000, help="rows of the short ledger")
    parser.add_argument("--csv", type=int, default=200_000, help="rows of the exports")
    parser.add_argument("--databases", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.name} too")
    return parser.parse_args()


def _measure(kind: str, arguments: argparse.Namespace) -> Result:
    with server(kind) as opened:
        short, long = (
            _pages(opened, Population(arguments.users, rows))
            for rows in (arguments.short, arguments.rows)
        )
        by_path = {_place(one): one for one in short}
        compared = tuple(Compared(by_path[_place(one)], one) for one in long)
        return Result(kind, compared, _memory(opened, Population(arguments.csv, arguments.csv)))


def _pages(opened: Server, people: Population) -> list[Measured]:
    with opened_site(opened, people, shown) as site:
        watch = Stopwatch(site.client, site.engine)
        asked = addresses(site.client, people)
        return [watch.measure(one) for one in shown(asked, "pages")]


def _memory(opened: Server, people: Population) -> tuple[Growth, ...]:
    with opened_site(opened, people, shown) as site:
        return tuple(growth(name, site.environment) for name in (USERS_CSV, LEDGER_CSV))


def _place(one: Measured) -> tuple[str, str]:
    """The same page of both ledgers: a cursor names another place in each."""
    address = one.address
    return address.group, address.path.partition("&cursor=")[0] + str("&cursor=" in address.path)


def _faults(result: Result) -> Iterator[str]:
    long: Sequence[Measured] = [one.long for one in result.compared]
    yield from bounds.statement_faults(long)
    yield from bounds.size_faults(long)
    yield from bounds.time_faults(result.database, result.compared)
    yield from bounds.memory_faults(result.memory)


def _size(arguments: argparse.Namespace) -> str:
    return (
        f"{arguments.users:,} users, {arguments.short:,} rows in the short ledger and "
        f"{arguments.rows:,} in the long one, {arguments.csv:,} rows in the exports"
    )


if __name__ == "__main__":
    sys.exit(main())

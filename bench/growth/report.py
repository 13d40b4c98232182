"""The figures as tables: for the terminal, and between the marks of `docs/scaling.md`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import BenchError
from bench.growth import scaling
from bench.growth.results import ACCOUNTS, CALL, LEDGER, METRICS

MARK = "<!-- growth {name}: written by make growth -->"
END = "<!-- end of growth -->"
USERS = (1_000, 10_000, 100_000, 1_000_000)

Known = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and cells."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        lines = [self.headings, ["---"] * len(self.headings), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def text(self) -> str:
        lines = [self.headings, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


def sections(known: Known) -> Iterator[tuple[str, str]]:
    """What stands between each pair of marks; those parts that were never measured are left out."""
    for name, (parts, make) in _SECTIONS.items():
        if all(part in known for part in parts):
            yield name, f"{_measured(known, parts)}\n\n{make(known).markdown()}"


def text(known: Known) -> str:
    return "\n\n".join(
        make(known).text()
        for parts, make in _SECTIONS.values()
        if all(part in known for part in parts)
    )


def with_figures(page: str, known: Known) -> str:
    """The page with other figures between its marks."""
    for name, figures in sections(known):
        mark = MARK.format(name=name)
        head, begin, rest = page.partition(mark)
        _, end, tail = rest.partition(END)
        if not begin or not end:
            raise BenchError(f"the page of scaling has lost its marks: {mark}")
        page = f"{head}{mark}\n\n{figures}\n\n{END}{tail}"
    return page


def _measured(known: Known, parts: Sequence[str]) -> str:
    dates = sorted({known[part]["machine"]["date"] for part in parts})
    machine = known[parts[0]]["machine"]
    others = " and ".join(dict.fromkeys(known[part]["machine"]["other_work"] for part in parts))
    return (
        f"Measured on {' and '.join(dates)}: {machine['cores']} cores of {machine['cpu']}, "
        f"Python {machine['python']}; other work took {others} of the machine."
    )


def _accounts(known: Known) -> Table:
    rows = [
        [
            f"{one['users']:,}",
            f"{one['redis_us']:.0f}",
            f"{one['client_us']:.0f}",
            f"{one['redis_bytes'] / 1e6:,.0f}",
        ]
        for one in known[ACCOUNTS]["figures"]
    ]
    return Table(("users", "Redis, µs a call", "asking, µs a call", "Redis holds, MB"), rows)


def _scrapes(known: Known) -> Table:
    rows = [
        [
            str(one["models"]),
            f"{one['series']:,}",
            f"{one['kilobytes']:,.0f}",
            f"{one['cpu_ms']:.0f}",
        ]
        for one in known[METRICS]["figures"]
    ]
    return Table(("models", "series", "KB", "CPU, ms a scrape"), rows)


def _ledgers(known: Known) -> Table:
    ledgers: Mapping[str, Any] = known[LEDGER]["figures"]
    lines: Sequence[tuple[str, Callable[[Any], str]]] = (
        ("rows in the ledger", lambda one: f"{one['rows']:,}"),
        ("bytes of a row, with its indexes and sums", lambda one: f"{one['bytes_of_a_row']:,}"),
        ("pages and endpoints asked", lambda one: str(one["pages"])),
        ("dearest of them, ms of CPU", lambda one: f"{one['dearest_page_ms']:.0f}"),
        ("slowest statement, ms", lambda one: f"{one['slowest_statements'][0]['ms']:.0f}"),
        ("`flask ledger verify`, ms of CPU", lambda one: f"{one['verify_cpu_ms']:,.0f}"),
        ("rows booked in a second of CPU", lambda one: f"{one['booked_a_cpu_second']:,}"),
        ("publishing a key, µs of CPU", lambda one: f"{one['publish_key_us']:.0f}"),
    )
    rows = [[what, *map(shown, ledgers.values())] for what, shown in lines]
    return Table(("", *ledgers), rows)


def _carried(known: Known) -> Table:
    rows = [
        [one.what, f"{one.cost_us:.0f}", f"{one.most:,.0f}", f"{one.planned:,.0f}", one.from_where]
        for one in scaling.carried(known)
    ]
    headings = ("one core as", "µs a call", "calls/s, all of it", "calls/s, 60 % of it", "from")
    return Table(headings, rows)


def _hosts(known: Known) -> Table:
    rows = [
        [
            f"{one.calls:,}",
            str(one.workers),
            str(one.worker_hosts),
            f"{one.redis_busy:.0%}",
            f"{one.bookkeeper_busy:.0%}",
            str(one.installations),
            f"{one.database_gigabytes:,.0f}",
        ]
        for one in scaling.hosts(known)
    ]
    headings = (
        *("calls/s", "workers", "hosts of 8 cores", "Redis busy", "bookkeeper busy"),
        "installations",
        "ledger, GB a year",
    )
    return Table(headings, rows)


def _memory(known: Known) -> Table:
    largest = known[ACCOUNTS]["figures"][-1]["users"]
    rows = [
        [
            f"{users:,}",
            f"{scaling.redis_gigabytes(known, users):,.2f}",
            "measured" if users == largest else "by the bytes of each",
        ]
        for users in USERS
    ]
    return Table(("users, one key each", "Redis, GB", ""), rows)


_SECTIONS: Mapping[str, tuple[Sequence[str], Callable[[Known], Table]]] = {
    "accounts": ((ACCOUNTS,), _accounts),
    "memory": ((ACCOUNTS,), _memory),
    "ledger": ((LEDGER,), _ledgers),
    "metrics": ((METRICS,), _scrapes),
    "carried": ((CALL, LEDGER), _carried),
    "hosts": ((CALL, LEDGER), _hosts),
}
SECTIONS = tuple(_SECTIONS)

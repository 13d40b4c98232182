"""The figures of all parts in one file, each as of its own last run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.gateway import ROOT
from bench.growth.accounts import Crowd
from bench.growth.long_ledger import LongLedger
from bench.growth.scraping import Scrape

RESULTS = ROOT / "bench" / "results" / "growth.json"
CALLS = ROOT / "bench" / "results" / "latest.json"
CONNECTIONS = 32
SLOWEST_SHOWN = 8

ACCOUNTS, METRICS, LEDGER, CALL = "accounts", "metrics", "ledger", "call"
PARTS = (ACCOUNTS, METRICS, LEDGER, CALL)

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallCost:
    """CPU time of one call in microseconds, as `make bench` measured it last."""

    worker: float
    redis: float
    bookkeeper: float


def read(path: Path = RESULTS) -> dict[str, Any]:
    """What is known so far; nothing is no fault."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write(part: str, figures: Any, machine: Mapping[str, str], path: Path = RESULTS) -> None:
    """Put a part in the place of what it was."""
    known = read(path)
    if part == LEDGER:
        figures = known.get(LEDGER, {}).get("figures", {}) | figures
    known[part] = {"machine": dict(machine), "figures": figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def of_crowds(crowds: list[Crowd]) -> list[Figures]:
    return [_rounded(asdict(one)) for one in crowds]


def of_scrapes(scrapes: list[Scrape]) -> list[Figures]:
    return [_rounded(asdict(one)) for one in scrapes]


def of_ledger(found: LongLedger) -> dict[str, Figures]:
    """Not every page: the dearest ones, and how many there were."""
    dearest = sorted(found.pages, key=lambda page: -page.slowest_ms)[:SLOWEST_SHOWN]
    return {
        found.database: {
            "rows": found.rows,
            "bytes_of_a_row": round(found.disk_bytes / found.rows),
            "pages": len(found.pages),
            "dearest_page_ms": round(max(page.cpu_ms for page in found.pages), 1),
            "slowest_statements": [
                {"page": page.address.path, "ms": round(page.slowest_ms, 1)} for page in dearest
            ],
            "verify_cpu_ms": round(found.verify.cpu_ms, 1),
            "keys": found.keys,
            "publish_key_us": round(found.publish.cpu_ms * 1000 / found.keys, 1),
            "booked_a_second": round(found.booking.rows_per_second),
            "booked_a_cpu_second": round(found.booking.rows_per_cpu_second),
        }
    }


def of_calls(path: Path = CALLS) -> Figures:
    """What a call costs, by those who take part in it."""
    for one in json.loads(path.read_text(encoding="utf-8")).get("calls", ()):
        if one["server"] == "AI Gateway" and one["connections"] == CONNECTIONS:
            cost = one["cpu_us"]["by_role"]
            return asdict(
                CallCost(round(cost["worker"]), round(cost["valkey"]), round(cost["bookkeeper"]))
            )
    raise BenchError(f"{path.name} knows nothing of {CONNECTIONS} connections: make bench")


def machine_of_calls(path: Path = CALLS) -> Mapping[str, str]:
    """On what `make bench` ran."""
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["machine"]
    return found


def _rounded(figures: dict[str, Any]) -> Figures:
    return {name: round(value, 1) for name, value in figures.items()}

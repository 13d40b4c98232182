"""Writes `docs/faults.md` from the matrix: `python -m tests.faults.document > docs/faults.md`."""

import sys
from collections.abc import Iterator

from tests.faults.matrix import Fault, faults
from tests.faults.scenarios import SCENARIOS

HEAD = """# What goes wrong, and what then has to be seen

Generated from `tests/faults/`; a test compares. Each row is a fault that a gateway meets in its \
life, with what the client, the staff, the ledger and the metrics have to show of it. "est." is \
a row of the ledger with the confidence `estimated`; metrics are without their prefix \
`ai_gateway_`.

```sh
make faults                                         # all scenarios, some ten minutes
make faults ARGS="--only F3 F11 --seed 7"           # some of them, with other chances
make faults ARGS="--store redis --sql postgresql"   # Debian's Redis and PostgreSQL
make faults ARGS="--store cluster"                  # what only a cluster can have
```

A rig is two workers, the bookkeeper, the simulator as provider, a Redis and a database. Faults \
come from outside: signals, a line to Redis or PostgreSQL that delays, loses, holds or cuts \
(`tests/faults/line.py`, `tests/protocol/lossy_line.py`), and what an operator may do to a \
store. A lease of 45 s is not waited for: its end is moved into the past. After each scenario \
every call that a client was told of is compared with the ledger, the ledger with the counters \
and with what the provider billed, and `flask ledger verify` has to agree. What staff see of it \
is shown by the tests of the pages. The exit status is 1 where one differs; the raw history of \
what clients were told stays in `var/faults/`.

Scenarios marked `sqlite` or `postgresql` need that database, `cluster` three primaries and a \
replica. F17 and F28 mount a small file \
system, F38 sets a route and F9 makes a control group (of the first version), for which one has \
to be root. F31 to F34 turn clocks by a small library that is loaded before the C library's \
(`tests/faults/clock.c`), for which there has to be a C compiler; each has a rig of its own. The \
money protocol by itself, under random faults: `make protocol`.
"""


def document() -> str:
    """The whole page."""
    lines = [HEAD, "## The matrix\n"]
    lines += ["| # | Fault | Client | Staff | Ledger | Metric |", "|---|---|---|---|---|---|"]
    for fault in faults():
        cells = (fault.row, fault.fault, fault.client, fault.staff, fault.ledger, fault.metric)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["\n## What shows it\n", "| # | By what | Scenario | Tests | Remark |"]
    lines.append("|---|---|---|---|---|")
    lines += [f"| {' | '.join(_shown(fault))} |" for fault in faults()]
    return "\n".join(lines) + "\n"


def _shown(fault: Fault) -> Iterator[str]:
    scenario = SCENARIOS.get(fault.row)
    yield fault.row
    yield fault.inject
    needs = f" ({scenario.needs})" if scenario and scenario.needs else ""
    yield f"{scenario.name.replace('_', ' ')}{needs}" if scenario else "–"
    yield "<br>".join(f"`{test}`" for test in fault.tests) or "–"
    yield fault.remark


if __name__ == "__main__":
    sys.stdout.write(document())

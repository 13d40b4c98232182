"""`python -m tests.many_hosts`: two hosts under load; one dies, Redis dies, and the totals stay.

The exit status is 1 where anything is not exact.
"""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.history import History
from tests.many_hosts.load import CALLERS, Load
from tests.many_hosts.site import Site, running_site
from tests.many_hosts.totals import books_of, come_to_rest, complaints, figures

HISTORIES = Path("var") / "hosts"
BEGAN = time.monotonic()
USERS = 6
TIGHT_USD = "0.0005"
"""The limit of one of the users, who reaches it soon: for the others nothing is refused."""


def main() -> int:
    chosen = _arguments()
    HISTORIES.mkdir(parents=True, exist_ok=True)
    history = History(HISTORIES / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{chosen.seed}.jsonl")
    try:
        with running_site(chosen.store) as site:
            return _play(site, history, chosen)
    finally:
        history.close()


def _play(site: Site, history: History, chosen: argparse.Namespace) -> int:
    keys = [site.hosts[0].make_key(monthly="100") for _ in range(USERS - 1)]
    keys.append(site.hosts[0].make_key(daily=TIGHT_USD))
    load = Load(site.hosts, keys, history, chosen.seed)
    quarter = chosen.calls // 4
    with load.running():
        _say(f"{CALLERS} clients, two hosts")
        load.wait_for(quarter)
        _say("host two killed with -9")
        site.hosts[1].kill()
        load.wait_for(quarter)
        site.hosts[1].start()
        _say("host two started again")
        load.wait_for(quarter)
        _say(site.hurt_store())
        load.wait_for(quarter)
    _say("the load is over")
    come_to_rest(site)
    told, books = list(history.of("")), books_of(site)
    wrong = complaints(told, books)
    _say(site.verify().strip())
    width = max(map(len, figures(told, books)))
    for name, value in figures(told, books).items():
        sys.stdout.write(f"{name:{width}}  {value:>14,}\n")
    for complaint in wrong:
        sys.stdout.write(f"WRONG  {complaint}\n")
    sys.stdout.write(
        f"{'NOT EXACT' if wrong else 'Exact'}: {chosen.store}, PostgreSQL, seed {chosen.seed}."
        f" Raw history: {history.path}\n"
    )
    return 1 if wrong else 0


def _say(what: str) -> None:
    sys.stdout.write(f"{time.monotonic() - BEGAN:6.1f} s  {what}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.many_hosts", description=__doc__)
    parser.add_argument("--calls", type=int, default=4000, help="that come to a good end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=["valkey", "redis", "cluster"], default="valkey")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

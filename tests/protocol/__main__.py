"""`python -m tests.protocol`: runs any number of seeds of the simulator of the money protocol."""

import argparse
import logging
import sys
from time import monotonic

from tests.protocol.plan import plan_of
from tests.protocol.run import run_plan


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.ERROR)
    failed = []
    for seed in range(arguments.start, arguments.start + arguments.seeds):
        started = monotonic()
        verdict = run_plan(plan_of(seed, arguments.seconds), arguments.redis, arguments.database)
        seen = ", ".join(f"{number} {what}" for what, number in sorted(verdict.seen.items()))
        word = "FAILED" if verdict.complaints else "ok"
        sys.stdout.write(f"seed {seed}: {word}, {monotonic() - started:.1f} s: {seen}\n")
        sys.stdout.flush()
        if verdict.complaints:
            failed.append(seed)
            sys.stdout.write("".join(f"  {line}\n" for line in verdict.complaints[:20]))
    sys.stdout.write(f"{arguments.seeds - len(failed)} of {arguments.seeds} seeds are right\n")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.protocol", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many runs")
    parser.add_argument("--from", type=int, default=0, dest="start", help="the first seed")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one run")
    parser.add_argument("--redis", choices=["valkey", "redis"], default="valkey")
    parser.add_argument("--database", help="URL of an empty PostgreSQL; else SQLite")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

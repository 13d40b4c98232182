"""`python -m bench.total_loss`: Redis loses everything; how soon is it exact again?

Exit status 1 where a counter differs afterwards, a call got another answer than 503 meanwhile, or
it took longer than asked for.
"""

import argparse
import sys
from datetime import UTC, datetime

from bench.scale.databases import KINDS, server
from bench.total_loss.crowd import ACCOUNTS_OF_ONE, Crowd
from bench.total_loss.loss import Loss, measure


def main() -> int:
    arguments = _arguments()
    crowd = Crowd(arguments.accounts // ACCOUNTS_OF_ONE, arguments.rows, datetime.now(UTC))
    is_good = True
    for kind in arguments.databases:
        with server(kind) as opened:
            losses = measure(
                opened, crowd, bookkeepers=arguments.bookkeepers, times=arguments.times
            )
            for loss in losses:
                print(f"{kind}, {_told(loss)}", flush=True)
                is_good &= _is_good(loss, arguments.within)
    return 0 if is_good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.total_loss", description="Empty Redis and see how soon it is exact."
    )
    parser.add_argument("--accounts", type=int, default=100_000, help="counters of open windows")
    parser.add_argument("--rows", type=int, default=1_000_000, help="ledger rows of this month")
    parser.add_argument("--bookkeepers", type=int, default=1, help="how many at once")
    parser.add_argument("--times", type=int, default=3, help="losses of each database")
    parser.add_argument("--within", type=float, default=60.0, help="seconds that it may take")
    parser.add_argument("--databases", nargs="+", choices=KINDS, default=KINDS)
    return parser.parse_args()


def _told(loss: Loss) -> str:
    steps = ", ".join(f"{name.removesuffix('_seconds')} {s:.2f}" for name, s in loss.steps.items())
    answers = ", ".join(f"{count} of {status}" for status, count in sorted(loss.answers.items()))
    return (
        f"{loss.accounts:,} accounts, {loss.rows:,} rows: served after "
        f"{loss.refused_for_seconds:.2f} s ({steps}); {loss.differences} differ; CPU: bookkeepers "
        f"{loss.cpu_seconds:.2f} s, Redis {loss.redis_cpu_seconds:.2f} s; answers: {answers}"
    )


def _is_good(loss: Loss, within: float) -> bool:
    is_exact = loss.differences == 0
    return is_exact and set(loss.answers) <= {200, 503} and loss.refused_for_seconds <= within


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.guard`: count what a call costs; `--write 'why'` makes that the limit."""

import argparse
import sys

from tests.guard.counting import KINDS, count
from tests.guard.limits import LIMITS, complaint, read_limits, read_parts, renewed, shown, write
from tests.guard.rig import opened_rig


def main() -> int:
    arguments = _arguments()
    with opened_rig() as rig:
        counts = {kind: count(rig, kind, with_strace=True) for kind in KINDS}
    sys.stdout.writelines(f"{line}\n" for line in shown(counts))
    if arguments.write is not None:
        old = read_limits() if LIMITS.exists() else None
        write(renewed(old, counts, arguments.write), counts)
        return 0
    limits, parts = read_limits(), read_parts()
    complaints = [
        f"{kind} call, {what}: {said}"
        for kind, of_kind in counts.items()
        for what, one in of_kind.items()
        if (said := complaint(limits.of[kind][what], one, parts[kind][what]))
    ]
    sys.stdout.writelines(f"{said}\n" for said in complaints)
    return 1 if complaints else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.guard", description=__doc__)
    parser.add_argument("--write", metavar="WHY", help="let it cost what it does, for this reason")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""`make operating`: tries the upgrades of docs/operating.md with streams open; some two minutes.

Exit status 1 where a stream was cut, a call was refused, or the sums differ afterwards.
"""

import sys

from tests.operating.upgrade import WAYS


def main() -> int:
    is_good = True
    for name, switch in WAYS.items():
        done = switch()
        faults = done.faults()
        is_good &= not faults
        said = "; ".join(faults) or f"{done.whole_streams} streams whole, {done.verdict.strip()}"
        print(f"{name}: {dict(done.answers)} calls: {said}", flush=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())

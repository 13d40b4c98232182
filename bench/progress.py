"""How far a run is, on standard error, one line for each step."""

import sys
import time

_STARTED = time.monotonic()


def say(what: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    sys.stderr.write(f"bench {minutes:2}:{seconds:02}  {what}\n")

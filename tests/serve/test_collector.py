"""What is loaded is left alone, and cycles that calls leave are still found."""

import subprocess
import sys

from tests.running import PROJECT

# In a process of its own: what is frozen here would stay so for every other test.
WATCHED = """
import gc, weakref
from ai_gateway.serve.collector import COLLECT_AFTER, spare_what_is_loaded

class Call:
    pass

loaded = [Call() for _ in range(1000)]
spare_what_is_loaded()
assert gc.get_freeze_count() > 1000, gc.get_freeze_count()
assert not any(isinstance(one, Call) for one in gc.get_objects())
seen = []
for _ in range(COLLECT_AFTER[0] + 1):
    call = Call()
    call.itself = call
    seen.append(weakref.ref(call))
assert any(one() is None for one in seen), "a cycle is never collected"
"""


def test_what_is_loaded_is_left_alone_and_later_cycles_are_collected() -> None:
    subprocess.run([sys.executable, "-c", WATCHED], cwd=PROJECT, check=True, timeout=60)

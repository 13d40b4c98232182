"""Counters that are trusted from the start, as the bookkeeper leaves them after a restore."""

from collections.abc import Iterable

import redis

from ai_gateway.stores.counter_restore import Counter, CounterRestore
from ai_gateway.stores.outbox import FIRST_POSITION


def trust(
    client: "redis.Redis",
    counters: Iterable[Counter] = (),
    epoch: str = "epoch-1",
    *,
    position: str = FIRST_POSITION,
    seq: int = 0,
) -> bool:
    """Write them and the epoch; False where they are trusted already, or an entry waits."""
    restore = CounterRestore(client)
    claim = restore.begin(position=position, seq=seq)
    if claim is None:
        return False
    restore.write(claim, counters)
    return restore.finish(claim, (), epoch=epoch, position=position)

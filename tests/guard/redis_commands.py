"""What calls make a Redis server do, scripts from the inside: its MONITOR tells every command."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import redis

from ai_gateway.stores import redis_keys

BY_ITSELF = (f"HGET {redis_keys.META} epoch", f"GET {redis_keys.CONFIG_VERSION}")
"""What a worker asks once a second, however many calls run."""

MARK = "ECHO guard"
IN_A_SCRIPT = "lua"


def commands_of(redis_url: str, act: Callable[[], None]) -> Counter[str]:
    """Count the commands that come while `act` runs, by their names."""
    counted: Counter[str] = Counter()
    with (
        redis.Redis.from_url(redis_url, decode_responses=True) as client,
        client.monitor() as monitor,
    ):
        act()
        client.echo("guard")
        heard: Any = monitor.next_command()
        while heard["command"] != MARK:
            is_in_script = heard["client_type"] == IN_A_SCRIPT
            if is_in_script or heard["command"] not in BY_ITSELF:
                counted[heard["command"].split(" ")[0].upper()] += 1
            heard = monitor.next_command()
    return counted

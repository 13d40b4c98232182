"""What the gateway is to reach, and what it reached in a run."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.calling import MAIN_CONNECTIONS
from bench.contestants import NGINX, OURS
from bench.figures import Calls, Results
from bench.peers.litellm import NAME as LITELLM
from bench.peers.portkey import NAME as PORTKEY
from bench.streaming import ONE_BY_ONE

MOST_STREAMS = 5000
FLAT_SHARE = 1.05


@dataclass(frozen=True, slots=True)
class Aim:
    """`reached` is None where a run has not got what it takes."""

    what: str
    most: float
    reached: float | None
    unit: str = ""

    @property
    def verdict(self) -> str:
        if self.reached is None:
            return "not measured"
        return "yes" if self.reached <= self.most else "no"


def aims(results: Results) -> list[Aim]:
    return [Aim(what, most, reached(results), unit) for what, most, unit, reached in AIMS]


def _calls(results: Results, server: str, connections: int) -> Calls | None:
    found = (one for one in results.calls if (one.server, one.connections) == (server, connections))
    return next(found, None)


def _cost_ratio(peer: str, role: str | None) -> Callable[[Results], float | None]:
    """CPU of ours a call, of one role or of all, over that of all of the peer's."""

    def reached(results: Results) -> float | None:
        ours = _calls(results, OURS, MAIN_CONNECTIONS)
        theirs = _calls(results, peer, MAIN_CONNECTIONS)
        if ours is None or theirs is None:
            return None
        spent = ours.cpu_us.whole if role is None else ours.cpu_us.by_role[role]
        return spent / theirs.cpu_us.whole

    return reached


def _added_ms(percentile: str) -> Callable[[Results], float | None]:
    def reached(results: Results) -> float | None:
        ours, plain = _calls(results, OURS, 1), _calls(results, NGINX, 1)
        if ours is None or plain is None:
            return None
        ours_ms: float = getattr(ours.ms, percentile)
        plain_ms: float = getattr(plain.ms, percentile)
        return ours_ms - plain_ms

    return reached


def _event_us(results: Results) -> float | None:
    found = (
        one.cpu_us.by_role["worker"]
        for one in results.events
        if (one.server, one.load) == (OURS, ONE_BY_ONE.name)
    )
    return next(found, None)


def _held_kb(results: Results) -> float | None:
    found = (
        one.kb_by_role["worker"]
        for one in results.held
        if (one.server, one.streams) == (OURS, MOST_STREAMS)
    )
    return next(found, None)


def _growth(results: Results) -> float | None:
    found = (
        one.last_mb["worker"] / one.first_mb["worker"]
        for one in results.memory
        if one.server == OURS
    )
    return next(found, None)


AIMS: tuple[tuple[str, float, str, Callable[[Results], float | None]], ...] = (
    ("CPU a call: worker / Portkey", 0.5, "", _cost_ratio(PORTKEY, "worker")),
    ("CPU a call: all processes / Portkey", 0.6, "", _cost_ratio(PORTKEY, None)),
    ("CPU a call: worker / LiteLLM", 0.05, "", _cost_ratio(LITELLM, "worker")),
    ("added latency, one connection, p50", 1.5, " ms", _added_ms("p50")),
    ("added latency, one connection, p99", 5, " ms", _added_ms("p99")),
    ("CPU an event one by one: worker", 60, " µs", _event_us),
    ("memory of an open stream, 5,000 open: worker", 40, " KB", _held_kb),
    ("memory at the end / when warm: worker", FLAT_SHARE, "", _growth),
)

"""A small run's figures, made up."""

from bench.contestants import NGINX, OURS
from bench.figures import Calls, Cost, Events, FirstEvent, Held, Memory, Results, Times
from bench.peers import litellm, portkey


def cost(whole: float, **by_role: float) -> Cost:
    return Cost(by_role or {"other": whole}, whole, whole - 1, whole + 1)


def calls(server: str, connections: int, cpu_us: Cost, p50: float = 1.0) -> Calls:
    return Calls(server, connections, 100, 0, cpu_us, 50.0, Times(p50, 2 * p50, 3 * p50))


OURS_CPU = cost(600, worker=400.0, valkey=80.0, bookkeeper=120.0)
RESULTS = Results(
    calls=[
        calls(NGINX, 32, cost(20)),
        calls(portkey.NAME, 32, cost(1000)),
        calls(litellm.NAME, 32, cost(16_000)),
        calls(OURS, 32, OURS_CPU),
        calls(NGINX, 1, cost(25), p50=0.1),
        calls(OURS, 1, OURS_CPU, p50=1.6),
    ],
    events=[
        Events(NGINX, "one by one", 10, cost(20), 5.0),
        Events(OURS, "one by one", 10, cost(90, worker=75.0, bookkeeper=15.0), 5.0),
    ],
    first_events=[
        FirstEvent(NGINX, 5, Times(1, 2, 3)),
        FirstEvent(OURS, 5, Times(2, 4, 6)),
    ],
    held=[Held(OURS, 5000, {"worker": 30.0, "valkey": -0.0}, 30.0)],
    memory=[Memory(OURS, 1000, {"worker": 100.0}, {"worker": 104.0})],
    traces={"offered": 1200, "sent": 1190, "dropped": 10},
    not_measured={"Portkey: streams": "no stream but HTTP/1.1 500"},
)

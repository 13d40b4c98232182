"""A cluster loses the primary that has the counters, moves them, or is cut in two."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.e2e.caller import Answer, usd
from tests.faults.client import Client, read_all
from tests.faults.scenario import Run, Scenario
from tests.redis_cluster import Node
from tests.running import wait_for

LONG = "[[tokens=100]] [[pace=80]]"
ASKERS = 4
TIGHT_NANO_USD = 300_000
"""Enough for some ten calls of 50 tokens."""

TIGHT_CALL = "[[tokens=50]]"
ROLL_BACKS = "ledger_epoch_rollbacks_total"


def primary_is_lost_before_its_replica_hears(run: Run) -> str:
    """What the primary took in its last seconds is on no other node; a budget is spent in them."""
    rig, client = run.rig, run.client()
    tight = run.client(daily=usd(TIGHT_NANO_USD))
    probe = run.client()
    primary, noticed = rig.cluster.primary(), rig.metric(ROLL_BACKS)
    ending = client.open_many(4, "[[tokens=10]] [[pace=50]]")
    primary.keep_replicas_out()
    running = client.open_many(4, LONG)
    assert read_all(ending) == ["whole"] * 4
    assert _statuses(client.ask_many(20, "[[tokens=5]]")) == {200: 20}
    in_delta = _spend_up(tight)
    primary.kill()
    died_at = time.monotonic()
    with (
        client.asking(0.02, askers=ASKERS),
        tight.asking(0.02, askers=ASKERS, prompt=TIGHT_CALL, max_tokens=50) as again,
    ):
        rig.cluster.wait_for_another(primary)
        _wait_until_served(probe)
        away = time.monotonic() - died_at
        rig.wait_for_rise(ROLL_BACKS, noticed)
    assert read_all(running) == ["whole"] * 4
    primary.start()
    rig.cluster.settle()
    wait_for(lambda: tight.caller.account()[1] == 0, "nothing is held any more")
    over = tight.caller.account()[0] - TIGHT_NANO_USD
    assert over <= in_delta, f"{over} nano-USD above the limit, {in_delta} were lost"
    assert _statuses(again).keys() <= {0, 200, 429, 503}
    return (
        f"served again after {away:.1f} s; {in_delta} nano-USD of a budget were on no replica,"
        f" spent {max(over, 0)} above its limit of {TIGHT_NANO_USD}"
    )


def slot_moves_to_another_node(run: Run) -> str:
    """At once, as Valkey 9 does it, and then key by key, as `redis-cli` does."""
    rig, client = run.rig, run.client()
    owner = rig.cluster.primary()
    target = next(node for node in rig.cluster.nodes if node.is_primary() and node is not owner)
    running = client.open_many(4, LONG)
    with client.asking(0.02, askers=ASKERS) as at_once:
        wait_for(lambda: len(at_once) > 20, "calls are answered")
        rig.cluster.move_at_once(target)
        seen = len(at_once)
        wait_for(lambda: len(at_once) > seen + 20, "calls are answered at the new place")
    assert _statuses(at_once).keys() == {200}, _statuses(at_once)
    with client.asking(0.02, askers=ASKERS) as by_keys:
        moved = rig.cluster.move_by_keys(owner)
        seen = len(by_keys)
        wait_for(lambda: 200 in _statuses(by_keys[seen + ASKERS :]), "calls are served again")
    statuses = _statuses(by_keys)
    assert statuses.keys() <= {200, 503}, statuses
    assert read_all(running) == ["whole"] * 4
    return f"at once: {dict(_statuses(at_once))}; {moved} keys one by one: {dict(statuses)}"


def primary_is_cut_off_and_goes_on(run: Run) -> str:
    """It hears no other node and has no replica; the rest of the cluster goes on without it."""
    rig, client = run.rig, run.client()
    probe = run.client()
    primary, heir = rig.cluster.primary(), rig.cluster.replica()
    noticed, tripped = rig.metric(ROLL_BACKS), rig.metric("redis_errors_total", kind="noreplicas")
    running = client.open_many(4, LONG)
    with _cut_off(primary), client.asking(0.02, askers=ASKERS) as answers:
        wait_for(lambda: 200 in _statuses(answers), "calls are served without a replica")
        primary.admin.config_set("min-replicas-to-write", 1)
        primary.hear_nobody(is_so=True)
        rig.wait_for_rise("redis_errors_total", tripped, kind="noreplicas")
        in_vain = len(answers)
        heir.ask("CLUSTER FAILOVER", "TAKEOVER")
        rig.cluster.wait_for_another(primary)
        _wait_until_served(probe)
        assert primary.is_primary(), "it has heard of the other"
        wait_for(lambda: 200 in _statuses(answers[in_vain:]), "calls are served by the other")
        rig.wait_for_rise(ROLL_BACKS, noticed)
    assert read_all(running) == ["whole"] * 4
    rig.cluster.settle()
    statuses = _statuses(answers)
    assert statuses.keys() <= {200, 503}, statuses
    return f"answers {dict(statuses)}, those of the side that lost booked again; all exact"


@contextmanager
def _cut_off(primary: Node) -> Iterator[None]:
    """Its replica does not hear of it any more; in the end all is as it was."""
    primary.keep_replicas_out()
    try:
        yield
    finally:
        primary.admin.config_set("min-replicas-to-write", 0)
        primary.hear_nobody(is_so=False)
        primary.let_replicas_in()


def _spend_up(client: Client) -> int:
    """Spend a budget to its end; returns what was admitted, by the counter."""
    for _ in range(100):
        answer = client.ask(TIGHT_CALL, max_tokens=50)
        assert answer is not None
        if answer.status == 429:
            return client.caller.account()[0]
    raise AssertionError("the budget does not end")


def _wait_until_served(probe: Client) -> None:
    def is_served() -> bool:
        answer = probe.ask("[[tokens=1]]")
        return answer is not None and answer.status == 200

    wait_for(is_served, "calls are served again")


def _statuses(answers: "Sequence[Answer | None]") -> Counter[int]:
    return Counter(answer.status if answer else 0 for answer in answers)


SCENARIOS = (
    Scenario("F18", primary_is_lost_before_its_replica_hears, needs="cluster"),
    Scenario("F19", slot_moves_to_another_node, needs="cluster"),
    Scenario("F20", primary_is_cut_off_and_goes_on, needs="cluster"),
)

"""The real SDK with an idempotency key: repeats at once, and what it does by itself."""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from openai import OpenAI

from simulator.testing import Recorded
from tests.e2e.caller import Caller, metric

REPEATS = 50


def ask(client: OpenAI, caller: Caller, value: str) -> int:
    """The status of one call under an idempotency key."""
    try:
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": f"[[tokens=4]] {caller.tag}"}],
            extra_headers={"Idempotency-Key": value},
        )
    except openai.APIStatusError as error:
        return error.status_code
    return 200


@pytest.fixture
def client(caller: Caller) -> OpenAI:
    return OpenAI(base_url=f"{caller.gateway.base_url}/v1", api_key=caller.key, max_retries=2)


def test_one_of_fifty_repeats_at_once_is_sent(caller: Caller, client: OpenAI) -> None:
    conflicts = "ai_gateway_idempotency_conflicts_total"
    before = metric(caller.gateway, conflicts)
    with client, ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda _: ask(client, caller, "order-1"), range(REPEATS)))
    assert sorted(statuses) == [200] + [409] * (REPEATS - 1)
    (entry,) = caller.booked_once(1)
    assert entry["cost_nano_usd"] == caller.billed()
    # Each repeat came once: the SDK obeyed `x-should-retry`.
    assert metric(caller.gateway, conflicts) - before == REPEATS - 1


def test_the_sdk_repeats_no_failure_that_may_be_billed(caller: Caller, client: OpenAI) -> None:
    caller.gateway.simulator.record(Recorded(content=b"no JSON"), {"marker": caller.tag})
    with client:
        assert ask(client, caller, "order-2") == 502
        assert ask(client, caller, "order-2") == 409
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["confidence"]) == ("upstream_error", "counted")
    assert len(caller.simulated()) == 1


def test_the_sdk_repeats_what_the_provider_refused_under_the_same_key(
    caller: Caller, client: OpenAI
) -> None:
    """It got a 429 for which nothing was billed, so that its own repeat is let in."""
    refused = Recorded(content=b"{}", status=429, headers={"retry-after": "0"})
    caller.gateway.simulator.record(refused, {"marker": caller.tag})
    with client:
        assert ask(client, caller, "order-3") == 200
    assert len(caller.booked_once(2)) == 2

"""How the tests run a seed: shortly, and with the command that runs it by hand."""

from tests.protocol.plan import plan_of
from tests.protocol.run import run_plan
from tests.redis_servers import Kind

SECONDS = 1.2


def assert_right(seed: int, kind: Kind = "valkey", database_url: str | None = None) -> None:
    """Run a seed and find nothing wrong, and something done."""
    verdict = run_plan(plan_of(seed, SECONDS), kind, database_url)
    command = f"python -m tests.protocol --from {seed} --seeds 1 --seconds {SECONDS} --redis {kind}"
    assert not verdict.complaints, "\n".join((command, *verdict.complaints[:20]))
    assert verdict.seen["granted"]

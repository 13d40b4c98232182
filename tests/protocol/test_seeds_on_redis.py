"""The money protocol under random faults, on Redis's own server."""

import pytest

from tests.protocol.seeds import assert_right

pytestmark = pytest.mark.long


@pytest.mark.redis
@pytest.mark.parametrize("seed", range(20, 30))
def test_no_fault_loses_or_doubles_a_call(seed: int) -> None:
    assert_right(seed, "redis")

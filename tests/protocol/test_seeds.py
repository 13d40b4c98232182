"""The money protocol under random faults, on the parts that the gateway brings itself."""

import pytest

from tests.protocol.seeds import assert_right

pytestmark = pytest.mark.long


@pytest.mark.parametrize("seed", range(10))
def test_no_fault_loses_or_doubles_a_call(seed: int) -> None:
    assert_right(seed)

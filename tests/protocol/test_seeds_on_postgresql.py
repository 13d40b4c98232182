"""The money protocol under random faults, with the ledger in PostgreSQL."""

import pytest

from tests.protocol.seeds import assert_right

pytestmark = pytest.mark.long


@pytest.mark.postgresql
@pytest.mark.parametrize("seed", range(10, 20))
def test_no_fault_loses_or_doubles_a_call(seed: int, postgresql_url: str) -> None:
    assert_right(seed, database_url=postgresql_url)

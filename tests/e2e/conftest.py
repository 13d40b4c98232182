"""What the end-to-end tests share: a running gateway and its operator."""

import pytest

from tests.e2e.caller import Caller
from tests.e2e.operating import Operator
from tests.running import RunningGateway


@pytest.fixture(scope="session")
def operator(gateway: RunningGateway) -> Operator:
    """The operator of the gateway that the tests share."""
    return Operator(gateway)


@pytest.fixture
def caller(operator: Operator) -> Caller:
    """A fresh user of the gateway that the tests share, with the usual limits."""
    return operator.new_caller()

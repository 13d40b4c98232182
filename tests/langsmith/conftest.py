"""A stand-in of LangSmith for each test."""

from collections.abc import Iterator

import pytest

from tests.langsmith.stand_in import StandIn, running


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running() as serving:
        yield serving

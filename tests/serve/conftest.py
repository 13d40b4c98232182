"""Gateways for the tests of the supervisor; nothing of them is left running."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serve.gateway_process import Gateway


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Callable[[], Gateway]]:
    made: list[Gateway] = []

    def make() -> Gateway:
        folder = tmp_path / f"gateway-{len(made)}"
        folder.mkdir()
        made.append(Gateway(folder))
        return made[-1]

    yield make
    for gateway in made:
        gateway.end()


@pytest.fixture
def gateway(make_gateway: Callable[[], Gateway]) -> Gateway:
    return make_gateway()

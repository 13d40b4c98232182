"""A short selection of `make faults`, so that the rig itself cannot rot."""

from collections.abc import Iterator

import pytest

from tests.faults.history import History
from tests.faults.rig import Choice, Rig, started_rig
from tests.faults.scenarios import SCENARIOS

SELECTION = ("F21", "F22")
"""Those that kill nothing, and so have no process start anew."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    history = History(tmp_path_factory.mktemp("faults") / "history.jsonl")
    with started_rig(Choice(), history) as running:
        yield running
    history.close()


@pytest.mark.parametrize("row", SELECTION)
def test_scenario_ends_as_the_matrix_demands(rig: Rig, row: str) -> None:
    assert SCENARIOS[row].run(rig)
    assert rig.history.path.stat().st_size > 0

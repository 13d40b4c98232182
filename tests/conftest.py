"""What all tests share: a running gateway, a real Valkey, and the list of missing tools."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningGateway
from tests.tools import missing_tools, summary_lines

LONG = ("long", "browser")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One gateway for all tests that only call it; each makes users and keys of its own."""
    folder = tmp_path_factory.mktemp("gateway")
    config = folder / "gateway.toml"
    config.write_text(
        '[azure.deployments]\neu-mini = "gpt-4o-mini"\neu-embed = "text-embedding-3-small"\n'
    )
    running = RunningGateway(folder, {"AI_GATEWAY_CONFIG": str(config)})
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway that a test may stop, kill and start again."""
    running = RunningGateway(tmp_path)
    yield running
    running.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is long, so that no worker is left alone with it at the end.

    Leave out what needs a program that this machine lacks; the end of the run names it.
    """
    items.sort(key=lambda item: not any(map(item.get_closest_marker, LONG)))
    missing = {tool.marker: tool.name for tool in missing_tools()}
    for item in items:
        for marker, name in missing.items():
            if item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=f"needs {name}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in summary_lines():
        terminalreporter.write_line(line, yellow=True)

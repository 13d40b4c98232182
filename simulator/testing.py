"""Starting a simulator for a test, and speaking to its ``/_control``.

@pytest.fixture(scope="session")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running
"""

import http.client
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import orjson

from simulator.calls import CallFacts

_ROOT: Final = Path(__file__).parent.parent
_STOP_SECONDS: Final = 10.0


class SimulatorError(Exception):
    """The simulator did not start, or refused an order; the text says why."""


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator process and the ways to reach it."""

    host: str
    port: int
    process_id: int

    @property
    def url(self) -> str:
        """The base address for the Anthropic SDK."""
        return f"http://{self.host}:{self.port}"

    @property
    def openai_url(self) -> str:
        """The base address for the OpenAI SDK."""
        return f"{self.url}/v1"

    @property
    def azure_url(self) -> str:
        """The endpoint for ``AzureOpenAI``; its paths begin with ``/openai``."""
        return self.url

    def vendor_url(self, name: str) -> str:
        """The base address for the OpenAI SDK to speak to a vendor of ``vendors.py``."""
        return f"{self.url}/vendors/{name}/v1"

    def calls(self, wait_seconds: float = 5.0) -> list[CallFacts]:
        """Tell the calls, after all of them have ended or the time is up."""
        calls: list[CallFacts] = self._control("GET", f"/calls?wait={wait_seconds}")
        return calls

    def clear(self) -> None:
        """Forget rules and calls."""
        self._control("DELETE", "")

    def clear_calls(self) -> None:
        """Forget the calls."""
        self._control("DELETE", "/calls")

    def fault(self, scenario: str, match: Mapping[str, str], times: int | None = None) -> None:
        """Apply markers to matching calls."""
        order = {"match": dict(match), "scenario": scenario, "times": times}
        self._control("POST", "/fault", order)

    def record(self, answer: "Recorded", match: Mapping[str, str], times: int | None = 1) -> None:
        """Queue a raw answer for matching calls."""
        raw: dict[str, object] = (
            {"body_b64": _base64(answer.content)}
            if isinstance(answer.content, bytes)
            else {"chunks_b64": [_base64(chunk) for chunk in answer.content]}
        )
        order = {"status": answer.status, "headers": answer.headers, "reset": answer.reset, **raw}
        self._control("POST", "/recorded", {**order, "match": dict(match), "times": times})

    def _control(self, method: str, path: str, order: object = None) -> Any:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=90)
        body = None if order is None else orjson.dumps(order)
        try:
            connection.request(method, f"/_control{path}", body)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise SimulatorError(answer.decode())
        return orjson.loads(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A raw answer: a whole body, or chunks with a write for each; ``reset`` breaks it off."""

    content: bytes | Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)
    reset: bool = False


@contextmanager
def running_simulator(host: str = "127.0.0.1") -> Iterator[RunningSimulator]:
    """Run a simulator on a free port for as long as the block lasts."""
    command = [sys.executable, "-m", "simulator", "--host", host, "--port", "0"]
    # The parent of the package is the working directory, so it need not be installed.
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise SimulatorError("the simulator did not start; its error output says why")
            yield RunningSimulator(host, int(line.rpartition(":")[2]), process.pid)
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()

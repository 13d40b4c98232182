"""One server that is measured, as it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench import cpu, request


@dataclass(frozen=True, slots=True)
class Server:
    """Where it listens, which processes it has, and which headers its calls need."""

    name: str
    processes: cpu.Group
    port: int
    headers: Mapping[str, str]

    def call(self) -> str:
        return request.raw_request(self.port, self.headers, request.chat_body())

    def stream(self, markers: str) -> str:
        """Give a request for a stream whose end is the end of its connection."""
        headers = {**self.headers, "Connection": "close"}
        return request.raw_request(self.port, headers, request.stream_body(markers))

    def cpu_seconds(self) -> float:
        return sum(self.processes.seconds().values())

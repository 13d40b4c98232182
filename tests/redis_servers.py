"""Real servers for tests of the money path: the embedded Valkey and Debian's own Redis."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import redis

from ai_gateway.stores import embedded
from tests.tools import program

Kind = Literal["valkey", "redis"]

START_SECONDS = 20.0
NOTHING_MORE: Mapping[str, str] = MappingProxyType({})


class RedisServer:
    """One server with a folder of its own; what it holds outlives a stop."""

    def __init__(
        self, kind: Kind, folder: Path, variables: Mapping[str, str] = NOTHING_MORE
    ) -> None:
        self.data_dir = folder
        self._command = embedded.valkey_command(folder)
        if kind == "redis":
            binary = program("redis-server")
            assert binary is not None
            # The same options: both servers have to take the money in the same way.
            self._command[0] = binary
        self.url = embedded.redis_url(folder)
        self._environment = {**os.environ, **variables}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        embedded.prepare_folders(self.data_dir)
        self._process = subprocess.Popen(self._command, env=self._environment)
        give_up_at = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url) as client:
            while not _answers(client):
                assert time.monotonic() < give_up_at, "the server does not start"
                time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """As if it had crashed."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(START_SECONDS)
        self._process = None


@contextmanager
def running_redis(kind: Kind = "valkey") -> Iterator[RedisServer]:
    """Run a server for as long as the block lasts; a short path keeps its socket in its folder."""
    folder = Path(tempfile.mkdtemp(prefix="agw"))
    server = RedisServer(kind, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _answers(client: "redis.Redis") -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False

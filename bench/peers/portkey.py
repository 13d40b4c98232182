"""Portkey's gateway from npm: it passes calls on to a host that a header names."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import cpu
from bench.errors import BenchError
from bench.installed import node_packages
from bench.processes import accepts, clean_environment, free_port, running
from bench.server import Server

NAME = "Portkey"
PACKAGES = Path(__file__).with_name("package.json")


@contextmanager
def portkey(folder: Path, upstream: int) -> Iterator[Server]:
    """Run it as `npx @portkey-ai/gateway` does, without its page for logs."""
    node = shutil.which("node")
    if node is None:
        raise BenchError("node is missing: install Node.js")
    modules = node_packages("portkey", PACKAGES.parent)
    port = free_port()
    script = modules / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    command = [node, str(script), "--headless", f"--port={port}"]
    env = clean_environment(folder, NODE_ENV="production")
    with running(command, folder / "log", is_ready=lambda: accepts(port), env=env) as pid:
        headers = {
            "Authorization": "Bearer sk-bench-not-a-real-key",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
        }
        yield Server(NAME, cpu.Group(pid), port, headers)

"""A Prometheus that holds a day of scrapes as if it had made them itself."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from bench.boards.day import Scrape
from bench.errors import BenchError
from bench.processes import accepts, free_port, running

JOB, INSTANCE = "ai-gateway", "127.0.0.1:8000"
_LABELS = f'job="{JOB}",instance="{INSTANCE}"'


@contextmanager
def prometheus_of(scrapes: Iterable[Scrape], folder: Path) -> Iterator[str]:
    """Run a Prometheus over the scrapes; gives its address."""
    text, blocks = folder / "day.txt", folder / "blocks"
    with text.open("w", encoding="utf-8") as file:
        for moment, scrape in scrapes:
            file.writelines(_stamped(scrape, moment))
        file.write("# EOF\n")
    _run("promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(blocks))
    (folder / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={blocks}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(command, folder / "prometheus.log", is_ready=lambda: accepts(port)):
        yield f"http://127.0.0.1:{port}"


def _stamped(scrape: str, moment: datetime) -> Iterator[str]:
    """The samples with the labels of a target and the moment; comments would repeat themselves."""
    stamp = f"{moment.timestamp():.0f}"
    for line in scrape.splitlines():
        if line.startswith("#"):
            continue
        name, brace, rest = line.partition("{")
        if brace:
            yield f"{name}{{{_LABELS},{rest} {stamp}\n"
        else:
            name, _, value = line.partition(" ")
            yield f"{name}{{{_LABELS}}} {value} {stamp}\n"


def _run(program: str, *arguments: str) -> None:
    path = shutil.which(program)
    if path is None:
        raise BenchError(f"{program} is missing; `make test-setup` installs it")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{program}: {done.stderr.strip()[-300:]}")

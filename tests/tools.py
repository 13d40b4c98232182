"""The programs beside Python that some tests need: how each is found, and what brings it.

It runs before anything is installed, so it imports the standard library alone.
`python tests/tools.py packages` prints the Debian packages, `... report` what is missing.
"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SETUP_COMMAND = "make test-setup"


@dataclass(frozen=True)
class Tool:
    """A program. Tests that need it carry `marker`; the packages are Debian's."""

    name: str
    marker: str
    packages: tuple[str, ...]
    is_found: Callable[[], bool]


def has_programs(*names: str) -> bool:
    return all(program(name) for name in names)


def program(name: str) -> str | None:
    """Return the path of a program; Debian keeps some where a user's PATH does not lead."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found:
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version)
    return str(versions[-1]) if versions else None


def chromium() -> str | None:
    """Return the path of a Chromium, whatever the system calls it.

    First the one without windows: it draws no frame of a window for each page that is opened.
    """
    names = (
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    )
    return next((path for path in map(program, names) if path), None)


TOOLS = (
    Tool("Redis", "redis", ("redis-server",), lambda: has_programs("redis-server")),
    Tool("PostgreSQL", "postgresql", ("postgresql",), lambda: has_programs("initdb", "postgres")),
    Tool(
        "Chromium",
        "browser",
        ("chromium-headless-shell", "fonts-dejavu-core"),
        lambda: chromium() is not None,
    ),
    Tool(
        "Prometheus", "prometheus", ("prometheus",), lambda: has_programs("prometheus", "promtool")
    ),
    Tool("nginx", "nginx", ("nginx",), lambda: has_programs("nginx")),
    Tool("OpenSSL", "openssl", ("openssl",), lambda: has_programs("openssl")),
    Tool("strace", "strace", ("strace",), lambda: has_programs("strace")),
)


def missing_tools(tools: Sequence[Tool] = TOOLS) -> list[Tool]:
    return [tool for tool in tools if not tool.is_found()]


def must_be_complete() -> bool:
    """Whether a missing tool is a failure."""
    return os.environ.get("CI", "").lower() in {"true", "1"}


def summary_lines(tools: Sequence[Tool] = TOOLS) -> list[str]:
    """Return what the tests left out and the one command that adds it; nothing if nothing was."""
    missing = missing_tools(tools)
    if not missing:
        return []
    lines = [
        f"Left out: the tests marked {tool.marker}, for want of {tool.name} "
        f"(Debian: {' '.join(tool.packages)})"
        for tool in missing
    ]
    return [*lines, _what_to_do()]


def _what_to_do() -> str:
    if platform.system() == "Linux" and shutil.which("apt-get"):
        return f"To run them too: {SETUP_COMMAND}"
    return "To run them too, install these programs by your system's own means."


def _version(path: Path) -> int:
    name = path.parent.parent.name
    return int(name) if name.isdigit() else 0


def main(command: str, tools: Sequence[Tool] = TOOLS) -> int:
    if command == "packages":
        sys.stdout.write(" ".join(name for tool in tools for name in tool.packages) + "\n")
        return 0
    lines = summary_lines(tools)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if lines and must_be_complete() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

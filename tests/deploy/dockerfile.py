"""The Dockerfile as a list of steps, and which files reach them through .dockerignore.

It reads what our own file uses, and refuses what it does not know.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

WORDS = {"ARG", "FROM", "COPY", "RUN"}  # are done, and what follows is read
WORDS |= {"LABEL", "ENV", "VOLUME", "WORKDIR", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
HEALTH_OPTIONS = re.compile(r"(?:--[\w-]+=\S+\s+)*CMD\s+")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction; `text` is what follows its word, on one line."""

    word: str
    text: str


@dataclass(slots=True)
class Stage:
    """What stands between one FROM and the next. The last one is the image."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def texts(self, word: str) -> list[str]:
        return [step.text for step in self.steps if step.word == word]

    def last(self, word: str) -> str:
        return self.texts(word)[-1]

    @property
    def command(self) -> list[str]:
        return _command(self.last("CMD"))

    @property
    def health_check(self) -> list[str]:
        return _command(HEALTH_OPTIONS.sub("", self.last("HEALTHCHECK"), count=1))

    @property
    def environment(self) -> dict[str, str]:
        pairs = (pair for text in self.texts("ENV") for pair in text.split())
        return dict(pair.split("=", 1) for pair in pairs)


def read_stages(text: str) -> list[Stage]:
    """Read a Dockerfile; arguments before the first FROM are filled in with their defaults."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for step in _steps(text):
        if step.word == "ARG":
            name, _, default = step.text.partition("=")
            arguments[name] = default
        elif step.word == "FROM":
            base, _, name = step.text.partition(" AS ")
            base = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], base)
            stages.append(Stage(base, name or "image"))
        else:
            stages[-1].steps.append(step)
    return stages


def context_files(project: Path) -> list[Path]:
    """The files that the builder gets, relative to the project."""
    patterns = [
        line
        for line in (project / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    # What is left out at the top is not walked: our patterns bring nothing of it back.
    tops = [path for path in project.iterdir() if not _is_ignored(Path(path.name), patterns)]
    files = [file for top in tops for file in ([top] if top.is_file() else top.rglob("*"))]
    relative = [file.relative_to(project) for file in files if file.is_file()]
    return sorted(path for path in relative if not _is_ignored(path, patterns))


def _steps(text: str) -> Iterator[Step]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            if word not in WORDS:
                raise ValueError(f"the Dockerfile has a step that is not known here: {word}")
            yield Step(word, rest.strip())


def _command(text: str) -> list[str]:
    """Only the form that needs no shell: a shell would keep the signals to itself."""
    found = json.loads(text)
    assert isinstance(found, list)
    return [str(part) for part in found]


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    """The last pattern that fits the path or a folder above it decides."""
    above = ["/".join(path.parts[: n + 1]) for n in range(len(path.parts))]
    is_ignored = False
    for pattern in patterns:
        if any(_regex(pattern.removeprefix("!")).fullmatch(part) for part in above):
            is_ignored = not pattern.startswith("!")
    return is_ignored


def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*)", pattern)
    known = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts))

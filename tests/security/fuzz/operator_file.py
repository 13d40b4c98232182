"""The reader of the operator's TOML file: it is read, or one line says where it is wrong."""

import re
import tempfile
from contextlib import suppress
from pathlib import Path

from ai_gateway.settings.operator_file import read_operator_file
from ai_gateway.settings.values import SettingsError
from tests.security.fuzz.target import Target

_SAID = re.compile(r"(?P<name>[^,]+), line (?P<line>\d+): .+")
_EXAMPLE = re.compile(r"```toml\n(.*?)```", re.DOTALL)
_DOCS = Path(__file__).parents[3] / "docs"
_VARIABLES = {"LAB_KEY": "secret-of-the-lab"}


def check(data: bytes) -> None:
    """Whatever is in the file; what it says is never repeated over several lines."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        path = Path(file.name)
        path.write_bytes(data)
        with suppress(SettingsError):
            try:
                read_operator_file(path, _VARIABLES)
            except SettingsError as error:
                hold(str(error), path.name, data)
                raise


def seeds() -> list[bytes]:
    texts = [
        example
        for page in ("configuration.md", "prices.md")
        for example in _EXAMPLE.findall((_DOCS / page).read_text(encoding="utf-8"))
    ]
    texts += [
        '[aliases]\n"a b" = "openai/gpt"\nfast = "a b"\n[azure.deployments]\nx = "y"\n',
        '[models."openai/m"]\nmax_output = 1e9999\ncontext = 0x10\n',
        'a = {b = {c = [1, 2.5, 1979-05-27T07:32:00Z, inf]}}\n[[a.b]]\n[a."\\u0000"]\n',
    ]
    return [text.encode() for text in texts]


def hold(said: str, name: str, data: bytes) -> None:
    """What was said of a file that is refused."""
    match = _SAID.fullmatch(said)
    assert match is not None, f"no line is named, or there are several: {said!r}"
    assert match["name"] == name
    assert 1 <= int(match["line"]) <= data.count(b"\n") + 1
    assert _VARIABLES["LAB_KEY"] not in said


TARGET = Target(
    "toml",
    check,
    seeds,
    (b"[[prices]]\n", b"[providers.", b"[aliases]\n", b"[models.", b" = ", b'"""', b"1e999", b"["),
)

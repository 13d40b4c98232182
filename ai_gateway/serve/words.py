"""What the supervisor says: lines for the log on stderr, and the welcome on stdout."""

import re
import shlex
import sys
from contextlib import suppress
from pathlib import Path

from ai_gateway.settings import Settings

DEFAULT_DATA_FOLDER = "var"
KEY = re.compile(r"\bagw_\w+", re.ASCII)
"""A virtual key in what the set-up printed."""


class StartError(Exception):
    """The gateway cannot start; the message is the one line that the operator reads."""


def say(line: str) -> None:
    """Write one line to stderr. A reader that has gone away must not keep us from stopping."""
    with suppress(OSError):
        print(f"ai-gateway: {line}", file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Write to stdout what the person before the terminal shall read."""
    with suppress(OSError):
        print(text, flush=True)


def last_line(text: str) -> str:
    """Return what an output says in the end: there stands why a program failed."""
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("ai-gateway: ") if lines else "nothing"


def own_address(host: str) -> str:
    """Return where this machine reaches what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - is read, not bound


def welcome(settings: Settings, setup_output: str, demo_output: str = "") -> str:
    """Return what to do next; the outputs are what the first start had to tell, later nothing."""
    host = own_address(settings.host)
    origin = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    lines = [
        "",
        "AI Gateway is ready.",
        "",
        f"  Staff pages   {origin}/admin/",
        f"  API           {origin}/v1",
        f"  Metrics       {origin}/metrics",
        "",
    ]
    if settings.simulator_active:
        lines += [
            "The simulator answers in place of the providers: nothing is sent or charged.",
            "",
        ]
    if demo_output:
        lines += [demo_output.strip(), ""]
    if setup_output:
        lines += [setup_output.strip(), "", *_first_call(settings, origin, setup_output)]
    else:
        lines += [f"To make a key: {_flask_command(settings)} key create NAME", ""]
    lines += ["Ctrl-C stops it."]
    return "\n".join(lines)


def _first_call(settings: Settings, origin: str, setup_output: str) -> list[str]:
    """A command that works as it stands, with the key that the set-up printed."""
    key = KEY.search(setup_output)
    if key is None:
        return []
    credential = f'-H "Authorization: Bearer {key[0]}"'
    if not settings.simulator_active:
        return ["See what can be called:", "", f"  curl {origin}/v1/models {credential}", ""]
    return [
        "Make a first call:",
        "",
        f"  curl {origin}/v1/chat/completions {credential} \\",
        '    -H "Content-Type: application/json" \\',
        """    -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}'""",
        "",
    ]


def _flask_command(settings: Settings) -> str:
    """How a command is given to this gateway from here: others have other data folders."""
    command = f"{_from_here(Path(sys.executable).with_name('flask'))}"
    if settings.data_dir == Path(DEFAULT_DATA_FOLDER).resolve():
        return command
    return f"AI_GATEWAY_DATA_DIR={shlex.quote(str(_from_here(settings.data_dir)))} {command}"


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path

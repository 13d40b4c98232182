"""What the supervisor says: lines for the log on stderr, and the welcome on stdout."""

import sys
from contextlib import suppress
from pathlib import Path

from ai_gateway.settings import Settings


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


def welcome(settings: Settings, setup_output: str) -> str:
    """Return what to do next. `setup_output` is what the set-up had to tell, mostly nothing."""
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
    lines += [setup_output.strip() or f"To make a key: {_flask_command()} key create NAME", ""]
    lines += ["Ctrl-C stops it."]
    return "\n".join(lines)


def _flask_command() -> Path:
    command = Path(sys.executable).with_name("flask")
    here = Path.cwd()
    return command.relative_to(here) if command.is_relative_to(here) else command

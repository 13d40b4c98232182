"""Starts both, sends the calls through the gateway, and compares; exit code 1 on a difference."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.gateway import ROOT, Running, flask, started
from bench.model_server.calls import all_cases, send
from bench.model_server.comparison import (
    INPUT_USD,
    OUTPUT_USD,
    Compared,
    Row,
    summary,
    table,
)
from bench.model_server.environment import ready_environment
from bench.model_server.server import MODEL, ModelServer, model_server

BOOKED_WITHIN_SECONDS = 30
CONFIGURATION = f"""\
[providers.lab]
dialect = "openai"
base_url = "http://127.0.0.1:{{port}}/v1"

[[prices]]
provider = "lab"
model = "{MODEL}"
input = "{INPUT_USD}"
output = "{OUTPUT_USD}"
"""


def main() -> int:
    arguments = _arguments()
    try:
        programs = ready_environment(arguments.environment.resolve())
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            server = stack.enter_context(model_server(programs, _new(folder / "server"), ROOT))
            ours = stack.enter_context(_gateway(_new(folder / "gateway"), server.port))
            compared = _compare(server, ours, arguments.repeat)
            verified = flask(ours.env, "ledger", "verify")
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    print(table(compared))
    print(f"\n{summary(compared)}\n{verified}")
    return int(any(one.differences() for one in compared))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.model_server",
        description="Compare the ledger with the counts of a real model server.",
    )
    parser.add_argument("--repeat", type=int, default=1, help="times that each call is made")
    parser.add_argument(
        "--environment",
        type=Path,
        default=ROOT / ".model-server",
        help="where the model server is installed",
    )
    return parser.parse_args()


def _new(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder


@contextmanager
def _gateway(folder: Path, server_port: int) -> Iterator[Running]:
    """Run the gateway with the model server as a provider of the operator's file."""
    configuration = folder / "gateway.toml"
    configuration.write_text(CONFIGURATION.format(port=server_port), encoding="utf-8")
    with started(folder, {"AI_GATEWAY_CONFIG": str(configuration)}) as ours:
        yield ours


def _compare(server: ModelServer, ours: Running, repeat: int) -> list[Compared]:
    cases = [case for _ in range(repeat) for case in all_cases()]
    print(f"Sending {len(cases)} calls through the gateway ...", flush=True)
    answered = [send(case, f"lab/{MODEL}", port=ours.port, key=ours.key) for case in cases]
    counted = server.count(answered)
    rows = _booked(ours, len(cases))
    return [
        Compared(one, tokens, rows[one.request_id])
        for one, tokens in zip(answered, counted, strict=True)
    ]


def _booked(ours: Running, calls: int) -> dict[str, Row]:
    """Wait until so many calls are in the ledger and give them by their request id."""
    give_up_at = time.monotonic() + BOOKED_WITHIN_SECONDS
    while True:
        lines = flask(ours.env, "ledger", "export", "--format", "jsonl").splitlines()
        if len(lines) >= calls:
            return {row["request_id"]: row for row in map(json.loads, lines)}
        if time.monotonic() > give_up_at:
            raise BenchError(f"{len(lines)} of {calls} calls are in the ledger")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench`: what a call costs here and with nginx as a plain pass-through, in one run."""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import cpu, load, nginx, report
from bench.errors import BenchError
from bench.figures import Figures, Phase, figures_of, summary
from bench.gateway import ROOT, gateway, raw_request

RESULTS = ROOT / "bench" / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
# They go on after the last answer: what they still owe to the calls is waited for and counted.
LATE_ROLES = ("valkey", "bookkeeper")


@dataclass(frozen=True, slots=True)
class Server:
    """One of the two that are compared."""

    name: str
    processes: cpu.Group
    port: int
    request: str


def main() -> int:
    arguments = _arguments()
    others = cpu.OtherWork()
    try:
        rounds = _run(arguments)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    medians = summary(rounds)
    machine = report.machine(others.share())
    print(report.text_table(medians))
    print(f"Other work took {machine['other_work']} of the machine.")
    report.write_json(RESULTS, machine, rounds, medians)
    if arguments.write_docs:
        report.write_docs(PAGE, report.markdown(medians, machine))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure a call's cost.")
    parser.add_argument("--rounds", type=int, default=3, help="times that each load is run")
    parser.add_argument("--calls", type=int, default=100_000, help="most calls of one load")
    parser.add_argument("--seconds", type=float, default=5, help="most seconds of one load")
    parser.add_argument("--connections", type=int, nargs="+", default=[32, 1])
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.name} too")
    return parser.parse_args()


def _run(arguments: argparse.Namespace) -> list[Figures]:
    """Start all servers, then let them take turns, so that a busy machine is unfair to none."""
    nginx.find_nginx()
    with ExitStack() as stack:
        # Readable for all: nginx drops root before it looks for its folders.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        folder.chmod(0o755)
        provider = stack.enter_context(nginx.provider(folder / "provider"))
        pid, port = stack.enter_context(nginx.pass_through(folder / "nginx", provider))
        ours_folder = folder / "gateway"
        ours_folder.mkdir(mode=0o700)
        ours = stack.enter_context(gateway(ours_folder, provider))
        servers = (
            Server("nginx", cpu.Group(pid), port, raw_request(port, ours.key)),
            Server(
                "AI Gateway",
                cpu.Group(ours.pid, cpu.gateway_role),
                ours.port,
                raw_request(ours.port, ours.key),
            ),
        )
        return [
            _measure(server, connections, arguments)
            for _ in range(arguments.rounds)
            for connections in arguments.connections
            for server in servers
        ]


def _measure(server: Server, connections: int, arguments: argparse.Namespace) -> Figures:
    def plan(calls: int) -> load.Plan:
        return load.Plan(server.port, server.request, connections, calls, arguments.seconds)

    load.run(plan(10 * connections))  # opens the connections to the provider
    before = server.processes.seconds()
    seen = load.run(plan(arguments.calls))
    spent = cpu.difference(before, server.processes.seconds())
    if "bookkeeper" in spent:
        cpu.wait_until_quiet(lambda: server.processes.seconds()["bookkeeper"])
        late = cpu.difference(before, server.processes.seconds())
        spent |= {role: late[role] for role in LATE_ROLES if role in late}
    if seen.failed:
        raise BenchError(f"{server.name}: {seen.failed} calls failed: {seen.first_failure}")
    return figures_of(Phase(server.name, connections, seen.seconds, seen.latencies_us, spent))


if __name__ == "__main__":
    sys.exit(main())

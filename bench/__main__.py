"""`python -m bench`: what a call and a stream cost here and with others, in one run."""

import argparse
import resource
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import chart, cpu, nginx, report
from bench.calling import MAIN_CONNECTIONS, Calling
from bench.calling import Size as CallingSize
from bench.contestants import CONTESTANTS, OURS, PARTS, Contestant, started
from bench.errors import BenchError
from bench.figures import Results
from bench.gateway import ROOT
from bench.installed import CACHE
from bench.progress import say
from bench.streaming import Size as StreamingSize
from bench.streaming import Streaming, simulator
from bench.traces import traces

RESULTS = ROOT / "bench" / "results" / "latest.json"
TRIAL_RESULTS = CACHE / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
CHART = ROOT / "docs" / "images" / "benchmarks.svg"
NAMES_OF_PARTS = {one.name for one in PARTS}


@dataclass(frozen=True, slots=True)
class Size:
    """How thoroughly to measure."""

    calls: CallingSize
    streams: StreamingSize


WHOLE = Size(
    CallingSize(3, 3.0, 15.0, (1, 16, MAIN_CONNECTIONS, 64), 25_000, 100_000, 240),
    StreamingSize(3, 3.0, (100, 1000, 5000)),
)
QUICK = Size(
    CallingSize(1, 1.0, 2.0, (1, MAIN_CONNECTIONS), 0, 2_000, 10),
    StreamingSize(1, 1.0, (100, 500), first_events=30),
)


def main() -> int:
    arguments = _arguments()
    chosen = [one for one in CONTESTANTS if one.option in {*arguments.only, "nginx"}]
    others = cpu.OtherWork()
    try:
        results = _run(chosen, QUICK if arguments.quick else WHOLE)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    machine = report.machine(others.share()) | report.versions()
    print(report.text(results))
    print(f"Other work took {machine['other_work']} of the machine.")
    report.write_json(TRIAL_RESULTS, machine, results)
    if arguments.write_docs:
        report.write_json(RESULTS, machine, results)
        report.write_docs(PAGE, report.markdown(results, machine))
        chart.draw(RESULTS, CHART)
    say("done")
    return 0


def _arguments() -> argparse.Namespace:
    options = [one.option for one in CONTESTANTS]
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure what a call costs, here and with others."
    )
    parser.add_argument("--quick", action="store_true", help="a trial of some two minutes")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=options,
        help=f"of {','.join(options)}; nginx, which the others are compared with, always runs",
    )
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.name} too")
    arguments = parser.parse_args()
    if unknown := set(arguments.only) - set(options):
        parser.error(f"--only knows no {', '.join(sorted(unknown))}")
    if arguments.write_docs and (arguments.quick or arguments.only != options):
        parser.error("--write-docs wants a whole run")
    return arguments


def _run(chosen: Sequence[Contestant], size: Size) -> Results:
    nginx.find_nginx()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        # Readable for all: nginx drops root before it looks for its folders.
        folder = Path(name)
        folder.chmod(0o755)
        return _merged(_calls(chosen, size, folder), _streams(chosen, size, folder))


def _calls(chosen: Sequence[Contestant], size: Size, folder: Path) -> Results:
    with (
        nginx.provider(folder / "provider") as upstream,
        started(chosen, upstream, folder / "calls") as running,
    ):
        calling = Calling(running.servers, size.calls)
        calls = calling.run(has_all_loads=lambda name: name not in NAMES_OF_PARTS)
        memory = calling.drift(OURS)
        ours = [server for server in running.servers if server.name == OURS]
        return Results(
            calls=calls,
            memory=memory,
            traces=traces(ours[0].port) if ours else {},
            not_measured=running.left_out,
            rounds=calling.rounds,
        )


def _streams(chosen: Sequence[Contestant], size: Size, folder: Path) -> Results:
    whole = [one for one in chosen if one.name not in NAMES_OF_PARTS]
    with (
        simulator(folder / "simulator") as upstream,
        started(whole, upstream, folder / "streams") as running,
    ):
        streaming = Streaming(running.servers, size.streams)
        return Results(
            first_events=streaming.first_events(),
            events=streaming.events(),
            held=streaming.held(),
            not_measured={**running.left_out, **streaming.not_measured},
            rounds=streaming.rounds,
        )


def _merged(calls: Results, streams: Results) -> Results:
    return Results(
        calls=calls.calls,
        memory=calls.memory,
        traces=calls.traces,
        events=streams.events,
        first_events=streams.first_events,
        held=streams.held,
        not_measured={**calls.not_measured, **streams.not_measured},
        rounds=[*calls.rounds, *streams.rounds],
    )


if __name__ == "__main__":
    sys.exit(main())

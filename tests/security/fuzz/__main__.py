"""`python -m tests.security.fuzz`: each reader of what strangers send, fuzzed for a while.

What was found stays in `var/fuzz/<target>`: `found/` has bytes that broke something, `corpus/`
those that reached something new, with which the next run begins.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.security.fuzz.target import Target
from tests.security.fuzz.targets import TARGETS

FOLDER = Path("var") / "fuzz"
MOST_BYTES = 4096
MOST_SECONDS_FOR_ONE = 10
MOST_MEGABYTES = 2048
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_REACHED = re.compile(r"cov: (\d+) ft: (\d+)")
_LAST_WORDS = 25


@dataclass(frozen=True, slots=True)
class Told:
    """What a run of libFuzzer said."""

    executions: int
    edges: int
    features: int
    finding: str

    @classmethod
    def read(cls, output: str, exit_code: int) -> "Told":
        done = _EXECUTIONS.search(output)
        reached = _REACHED.findall(output) or [("0", "0")]
        edges, features = max((int(edges), int(features)) for edges, features in reached)
        finding = "\n".join(output.splitlines()[-_LAST_WORDS:]) if exit_code else ""
        return cls(int(done[1]) if done else 0, edges, features, finding)


def main() -> int:
    arguments = _arguments()
    findings = 0
    print(f"{'target':8} {'executions':>12} {'edges':>7} {'features':>9}  finding")
    for target in TARGETS.values():
        if arguments.only and target.name not in arguments.only:
            continue
        told = _fuzz(target, arguments.seconds, arguments.seed)
        verdict = "-" if not told.finding else "FOUND"
        print(
            f"{target.name:8} {told.executions:12,} {told.edges:7,} {told.features:9,}  {verdict}"
        )
        if told.finding:
            findings += 1
            print(told.finding)
    return 1 if findings else 0


def _fuzz(target: Target, seconds: int, seed: int) -> Told:
    folder = FOLDER / target.name
    corpus, found, words = folder / "corpus", folder / "found", folder / "words"
    for each in (corpus, found):
        each.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (corpus / f"seed-{number:03}").write_bytes(data)
    words.write_text("\n".join(_word(sign) for sign in target.signs))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.security.fuzz.engine", target.name, str(corpus)),
            *(f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={MOST_BYTES}"),
            *(f"-timeout={MOST_SECONDS_FOR_ONE}", f"-rss_limit_mb={MOST_MEGABYTES}"),
            *(f"-dict={words}", f"-artifact_prefix={found}/", "-print_final_stats=1"),
        ],
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        check=False,
    )
    return Told.read(done.stdout.decode(errors="replace"), done.returncode)


def _word(sign: bytes) -> str:
    """As libFuzzer's dictionaries want it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in sign) + '"'


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.security.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1, help="of libFuzzer; 0 is another each time")
    parser.add_argument("--only", nargs="+", choices=TARGETS, metavar="TARGET", help="targets")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

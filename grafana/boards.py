"""Write the Grafana boards: `python grafana/boards.py`, from one table for each board.

With `--check` nothing is written: the exit status says whether the files are up to date.
"""

import argparse
import json
import sys
from pathlib import Path

# Run as a file, Python looks for modules beside it and not in the project.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from grafana import executive, operations, users_and_budgets
from grafana.classic import dashboard

FOLDER = Path(__file__).parent / "dashboards"

BOARDS = {
    "executive.json": executive.BOARD,
    "operations.json": operations.BOARD,
    "users-and-budgets.json": users_and_budgets.BOARD,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the Grafana boards.")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files are")
    arguments = parser.parse_args()
    wanted = {
        arguments.folder / name: json.dumps(dashboard(board), indent=2, ensure_ascii=False) + "\n"
        for name, board in BOARDS.items()
    }
    if arguments.check:
        return _check(wanted)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0


def _check(wanted: dict[Path, str]) -> int:
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        sys.stderr.write(f"{path.name} is out of date: run python grafana/boards.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

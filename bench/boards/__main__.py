"""`python -m bench.boards FOLDER`: pictures of the boards over a day of demo traffic.

Exit status 1 where the browser complained of a board.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from bench.boards.answers import Asked
from bench.boards.day import DAY, SCRAPE_EVERY, day_of_scrapes
from bench.boards.drawing_page import build, take
from bench.boards.history import prometheus_of
from bench.errors import BenchError
from grafana.boards import BOARDS
from grafana.classic import dashboard


def main(pictures: Path) -> int:
    pictures.mkdir(parents=True, exist_ok=True)
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    boards = {Path(file).stem: dashboard(board) for file, board in BOARDS.items()}
    with tempfile.TemporaryDirectory(prefix="boards-") as name:
        folder = Path(name)
        try:
            build(folder)
            scrapes = click.progressbar(
                day_of_scrapes(folder, end), length=DAY // SCRAPE_EVERY + 1, label="A day of calls"
            )
            with scrapes as shown, prometheus_of(shown, folder) as address:
                complaints = take(boards, Asked(address, end), folder, pictures)
        except BenchError as error:
            sys.stderr.write(f"boards: {error}\n")
            return 1
    for complaint in complaints:
        print(f"The browser says: {complaint}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

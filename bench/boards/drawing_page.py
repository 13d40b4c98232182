"""The page that draws a board: built from `drawing/`, served on loopback, and photographed."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Page, ViewportSize, sync_playwright

from bench.boards.answers import Asked
from bench.boards.day import DAY
from bench.errors import BenchError
from bench.gateway import ROOT
from grafana.panel import Json
from tests.browser.chromium import launch

SOURCE = Path(__file__).with_name("drawing")
PACKAGES = ROOT / ".board-pictures"
"""Some 450 MB from the npm registry, kept for the next time."""

VIEWPORT: ViewportSize = {"width": 1600, "height": 900}


def build(folder: Path) -> None:
    """Install what the page needs, where it is not yet, and write the page to `folder`."""
    PACKAGES.mkdir(exist_ok=True)
    for file in SOURCE.iterdir():
        shutil.copy(file, PACKAGES)
    # A table of the package asks for an older React than the package itself.
    _run("npm", "ci", "--no-audit", "--no-fund", "--legacy-peer-deps")
    _run(
        "npx",
        "esbuild",
        "board.jsx",
        "--bundle",
        "--format=esm",
        "--minify",
        "--loader:.ttf=dataurl",
        '--define:process.env.NODE_ENV="production"',
        f"--outfile={folder / 'board.js'}",
    )
    shutil.copy(SOURCE / "index.html", folder)


def take(boards: Mapping[str, Json], asked: Asked, folder: Path, pictures: Path) -> list[str]:
    """Draw every board into `pictures`; returns what the browser complained of."""
    span = {"from": _ms(asked, before=1), "to": _ms(asked, before=0)}
    for name, board in boards.items():
        answers = asked.answers(board)
        drawn = json.dumps({"board": board, "answers": answers} | span)
        (folder / f"{name}.json").write_text(drawn, encoding="utf-8")
    with _served(folder) as address, sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport=VIEWPORT)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for name in boards:
            _take(page, f"{address}/index.html?{name}", pictures / f"board-{name}.png")
        browser.close()
    return complaints


def _take(page: Page, address: str, picture: Path) -> None:
    page.goto(address, wait_until="networkidle")
    page.locator("main").wait_for()
    page.screenshot(path=picture, full_page=True)


def _ms(asked: Asked, *, before: int) -> int:
    return round((asked.end - before * DAY).timestamp() * 1000)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, name="boards")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Requests are of no interest."""


def _run(program: str, *arguments: str) -> None:
    path = shutil.which(program)
    if path is None:
        raise BenchError(f"{program} is missing: install Node.js 20 or newer")
    done = subprocess.run(
        [path, *arguments], cwd=PACKAGES, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"{program} {arguments[0]}: {done.stderr.strip()[-500:]}")

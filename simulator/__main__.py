"""``python -m simulator``: listen, tell where, serve until asked to stop.

Nothing is monkey-patched: all waiting goes through gevent by name.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator.server import make_server


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator; return the exit code."""
    options = _options(arguments)
    server = make_server(options.host, options.port)
    try:
        server.start()
    except OSError as error:
        where = f"{options.host}:{options.port}"
        print(f"simulator: cannot listen on {where}: {_reason(error)}", file=sys.stderr)
        return 1
    if options.port_file:
        _write_whole(options.port_file, f"{server.server_port}\n")
    print(f"simulator listening on http://{options.host}:{server.server_port}", flush=True)
    server.serve_forever()
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulator", description="A local stand-in for AI providers."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one (the default)")
    parser.add_argument("--port-file", type=Path, help="file to write the chosen port to")
    return parser.parse_args(arguments)


def _reason(error: OSError) -> str:
    # gevent adds the address to the text; the number has the plain one.
    return os.strerror(error.errno) if error.errno else str(error)


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())

"""A stand-in for the simulator: it tells its port and waits."""

import argparse
import signal
import socket
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--port-file", type=Path, required=True)
options = parser.parse_args()

with socket.socket() as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((options.host, options.port))
    listener.listen()
    options.port_file.write_text(f"{listener.getsockname()[1]}\n")
    signal.pause()

"""Whether what was started can be used yet: one question to Valkey, one to the gateway."""

import http.client
import socket
from pathlib import Path

PROBE_SECONDS = 5.0


def valkey_answers(path: Path) -> bool:
    """Whether Valkey serves commands; while it loads its file it answers with an error."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PROBE_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def why_not_ready(host: str, port: int) -> str | None:
    """Ask the gateway whether a call could be served; `None` means yes."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer at {host}:{port} ({error})"
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.OK:
        return None
    return f"/health/ready answers {answer.status} {' '.join(body.split())}"

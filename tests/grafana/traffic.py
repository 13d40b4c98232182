"""What callers do to a gateway, each kind again and again, from a thread of its own."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit

from tests.grafana.prometheus_server import fetch
from tests.grafana.shipped import Json
from tests.running import RunningGateway

CHAT = "/v1/chat/completions"
PAUSE_SECONDS = 0.3


def chat(text: str, **fields: object) -> Json:
    message = {"role": "user", "content": text}
    return {"model": "gpt-4o-mini", "messages": [message], **fields}


@contextmanager
def scripted_traffic(gateway: RunningGateway) -> Iterator[None]:
    """Send calls of every outcome that is quickly reached, until the block ends."""
    user = gateway.make_user()
    key = gateway.flask("key", "create", user).strip()
    poor = gateway.flask("key", "create", user, "--daily", "0").strip()
    script = [
        (key, chat("Say this is a test.")),
        (key, chat("[[tokens=20]] [[cached=4]]", stream=True)),
        (key, chat("[[status=500]]")),
        (key, chat("[[status=400]]")),
        (key, chat("[[cut=2]] [[tokens=9]]", stream=True)),
        (key, chat("Hello", model="no-such-model")),
        ("no-such-key", chat("Hello")),
        (poor, chat("Hello")),
    ]
    stop = Event()

    def run() -> None:
        while not stop.is_set():
            for credential, body in script:
                fetch(gateway.base_url, CHAT, key=credential, body=body)
            _leave_early(gateway, key)
            stop.wait(PAUSE_SECONDS)

    thread = Thread(target=run, name="traffic")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _leave_early(gateway: RunningGateway, key: str) -> None:
    """Open a stream and go away while it is being sent."""
    connection = http.client.HTTPConnection(urlsplit(gateway.base_url).netloc, timeout=10)
    body = json.dumps(chat("[[tokens=50]] [[pace=20]]", stream=True))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", CHAT, body, headers)
    connection.getresponse().read(1)
    connection.close()

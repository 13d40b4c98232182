"""The calls of the bench, as the bytes that a client sends."""

import json
from collections.abc import Mapping

MODEL = "gpt-4o-mini"
PATH = "/v1/chat/completions"
REQUEST_BYTES = 2048


def chat_body() -> str:
    """Give a chat request of exactly `REQUEST_BYTES`."""
    return _chat("x" * (REQUEST_BYTES - len(_chat("", max_tokens=256))), max_tokens=256)


def stream_body(markers: str) -> str:
    """Give a request for a stream that the simulator answers as its markers say."""
    return _chat(markers, max_tokens=100_000, stream=True)


def raw_request(port: int, headers: Mapping[str, str], body: str) -> str:
    lines = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {PATH} HTTP/1.1\r\n{head}\r\n{body}"


def _chat(content: str, **more: object) -> str:
    return json.dumps(
        {
            "model": MODEL,
            **more,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": content},
            ],
        }
    )

"""The calls that are compared: texts x ways of asking x caps, and what came back of each."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.errors import BenchError

SILENCE_SECONDS = 120

TEXTS = {
    "word": "Hello",
    "sentence": "What does a gateway know of the calls that go through it, and how exactly?",
    "page": "The ledger is the truth, and the counters are a cache of it. " * 60,
    "long": "Every answered call is in the ledger exactly once; 0.000000001 USD counts.\n" * 80,
    "unicode": "Zażółć gęślą jaźń — שלום, 世界! Ünïcödé \u0065\u0301 🏳️‍🌈 👩🏽‍🚀 𝒜 ١٢٣ \u200b fin",
    "code": 'def f(x):\n\treturn {"a": [1, 2.5e-3, null]}  # \\n "quoted" <|user|\n\n\n    end',
}
CAPS: tuple[tuple[str, int | None], ...] = (
    ("", None),
    ("max_tokens", 1),
    ("max_tokens", 40),
    ("max_completion_tokens", 40),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One way of asking. `cap_name` is the field that the cap is asked for in, if any."""

    text: str
    stream: bool
    asks_usage: bool = False
    cap_name: str = ""
    cap: int | None = None

    @property
    def mode(self) -> str:
        if not self.stream:
            return "plain"
        return "stream+usage" if self.asks_usage else "stream"

    @property
    def messages(self) -> list[dict[str, str]]:
        """A chat of one turn, or of three with a system prompt."""
        asked = [{"role": "user", "content": TEXTS[self.text]}]
        if self.text in {"word", "long"}:
            return asked
        earlier = (("system", "Answer in words."), ("user", "Well?"), ("assistant", "Ask."))
        return [{"role": role, "content": content} for role, content in earlier] + asked

    def body(self, model: str) -> bytes:
        body: dict[str, object] = {"model": model, "messages": self.messages}
        if self.stream:
            body["stream"] = True
        if self.asks_usage:
            body["stream_options"] = {"include_usage": True}
        if self.cap_name:
            body[self.cap_name] = self.cap
        return json.dumps(body).encode()


@dataclass(frozen=True, slots=True)
class Answered:
    """What the client got: the text, the server's own counts, and the gateway's headers."""

    case: Case
    request_id: str
    text: str
    usage: tuple[int, int]
    cost_usd: str | None


def all_cases() -> Iterator[Case]:
    modes = ((False, False), (True, False), (True, True))
    for text, (stream, asks), (name, cap) in product(TEXTS, modes, CAPS):
        yield Case(text, stream, asks, name, cap)


def send(case: Case, model: str, *, port: int, key: str) -> Answered:
    """Make one call through the gateway and read the answer to its end."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        case.body(model),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as answer:
            headers, body = answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        said = error.read(300).decode("utf-8", "replace")
        raise BenchError(f"{case.text}, {case.mode}: {error.code} {said}") from error
    parts = list(_events(body)) if case.stream else [json.loads(body)]
    return Answered(
        case=case,
        request_id=headers["x-request-id"],
        text=_text(parts),
        usage=_usage(parts),
        cost_usd=headers["x-ai-gateway-cost-usd"],
    )


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    for line in body.decode().splitlines():
        data = line.removeprefix("data: ")
        if data not in {line, "[DONE]"}:
            yield json.loads(data)


def _text(parts: Iterable[dict[str, Any]]) -> str:
    choices = [choice for part in parts for choice in part["choices"]]
    said = [choice.get("delta") or choice.get("message") or {} for choice in choices]
    return "".join(one.get("content") or "" for one in said)


def _usage(parts: Sequence[dict[str, Any]]) -> tuple[int, int]:
    usage = next((part["usage"] for part in reversed(parts) if part.get("usage")), None)
    if usage is None:
        raise BenchError("the model server told no usage")
    return usage["prompt_tokens"], usage["completion_tokens"]

"""The guard of request bodies, and what reads them: what another reader of JSON takes, within
bounds, and nothing else.
"""

import json
import sys
from collections.abc import Callable
from types import FrameType

from ai_gateway.domain.call import JsonObject, Operation
from ai_gateway.errors import InvalidRequest
from ai_gateway.providers import json_body
from ai_gateway.providers.anthropic_dialect import AnthropicDialect
from ai_gateway.providers.dialect import Dialect
from ai_gateway.providers.json_body import MAX_DEPTH, MAX_TOKENS
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import Provider
from tests.security.fuzz.target import Target, metering_cases

READERS: tuple[tuple[Dialect, Operation], ...] = (
    (OpenAIDialect(), Operation.CHAT),
    (OpenAIDialect(), Operation.COMPLETIONS),
    (OpenAIDialect(), Operation.EMBEDDINGS),
    (OpenAIDialect(), Operation.RESPONSES),
    (AnthropicDialect(), Operation.MESSAGES),
    (AnthropicDialect(), Operation.COUNT_TOKENS),
)
STEPS_FOR_A_BYTE = 20
STEPS = 500


def check(data: bytes, parse_body: Callable[[bytes], JsonObject] = json_body.parse_body) -> None:
    """Another reader has to agree; then each operation takes it, or says what is wrong."""
    try:
        body = parse_body(data)
    except InvalidRequest:
        assert not _is_fine(data), "refused for nothing"
        return
    assert _is_fine(data), "taken, although it is none"
    assert _same(body, json.loads(data))
    for dialect, operation in READERS:
        with _Steps(STEPS + STEPS_FOR_A_BYTE * len(data)):
            _read(dialect, operation, data)


def seeds() -> list[bytes]:
    message = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    file = {"type": "file", "file": {"file_id": "file-1"}}
    bodies: list[object] = [
        {"model": "m", "messages": [message], "max_tokens": 1, "stream": True, "n": 2},
        {"model": "m", "messages": [{"role": "user", "content": [picture, file]}]},
        {"model": "m", "prompt": ["a", "b"], "max_tokens": 5, "best_of": 3, "echo": True},
        {"model": "m", "input": [[1, 2], [3]], "encoding_format": "base64"},
        {"model": "m", "input": "hi", "background": False, "previous_response_id": "resp_1"},
        {"model": "m", "max_tokens": 3, "messages": [message], "tools": [{"type": "bash_1"}]},
        {"a": 1e-7, "b": -0.0, "c": 2**64, "d": '\u2028 \\ "', "e": None},
        *(case["response"] for case in list(metering_cases("json"))[:4]),
    ]
    deep = b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}"
    odd = [deep, b"\xef\xbb\xbf{}", b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"a":1e999}', b'{"a":01}']
    return [json.dumps(body).encode() for body in bodies] + odd


class _Steps:
    """Counts the functions that are called, however long the machine takes for them."""

    def __init__(self, most: int) -> None:
        self._left = most

    def __enter__(self) -> None:
        sys.setprofile(self._note)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        assert self._left >= 0, "too many steps"

    def _note(self, _frame: FrameType, what: str, _called: object) -> None:
        self._left -= what == "call"


def _read(dialect: Dialect, operation: Operation, data: bytes) -> None:
    try:
        asked = dialect.read_request(operation, data)
    except InvalidRequest:
        return
    assert asked.input_bytes >= 0
    assert asked.output_cap is None or 0 <= asked.output_cap <= MAX_TOKENS
    assert asked.choices >= 1
    provider = Provider("lab", dialect.name, "http://lab.test", "sk-lab")
    sent = dialect.upstream_request(provider, asked, model="m", output_cap=None, client_headers={})
    assert json.loads(sent.body)["model"] == "m"


def _is_fine(data: bytes) -> bool:
    """An object by Python's own reader, of texts and numbers that everybody can read."""
    try:
        body = json.loads(data.decode(), parse_constant=_refuse)
        # With the members that a later one of the same name replaces.
        pairs = json.loads(data, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and _depth(body) <= MAX_DEPTH and _is_plain(pairs)


def _refuse(word: str) -> None:
    raise ValueError(word)


def _depth(value: object) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, str):
        return not any("\ud800" <= sign <= "\udfff" for sign in value)
    return not isinstance(value, float) or abs(value) != float("inf")


def _same(ours: object, theirs: object) -> bool:
    """Equal; whole numbers beyond 64 bits are read as fractions by us."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, int):
        return ours == float(theirs)
    return type(ours) is type(theirs) and ours == theirs


TARGET = Target(
    "bodies",
    check,
    seeds,
    (b'"messages":[', b'"content":', b'"type":', b'"file_id"', b'"tools":[', b"\\ud800", b"1e999"),
)

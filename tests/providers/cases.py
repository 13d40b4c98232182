"""The metering cases (`tests/data/metering_cases.jsonl`): answers of providers, and their cost."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from ai_gateway.domain.call import Operation
from ai_gateway.domain.money import to_usd
from ai_gateway.domain.pricing import PriceRow, Rates, Tier, cost_of_all
from ai_gateway.domain.usage import Reading, Usage
from ai_gateway.providers.anthropic_dialect import AnthropicDialect
from ai_gateway.providers.dialect import Dialect, StreamReader
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import Quirks
from ai_gateway.providers.registry import ROWS_BY_NAME

DATA = Path(__file__).parent.parent / "data" / "metering_cases.jsonl"
OPENAI = OpenAIDialect()
SHAPES: dict[str, tuple[Dialect, Operation]] = {
    "openai.chat": (OPENAI, Operation.CHAT),
    "openai.completions": (OPENAI, Operation.COMPLETIONS),
    "openai.embeddings": (OPENAI, Operation.EMBEDDINGS),
    "openai.responses": (OPENAI, Operation.RESPONSES),
    "anthropic.messages": (AnthropicDialect(), Operation.MESSAGES),
}
ROWS = ROWS_BY_NAME | {"google": ROWS_BY_NAME["gemini"]}
"""The rows by the names of the cases; of other vendors nothing is known."""

NOT_RUN = {
    "no answer comes from a cache of ours: it is for later": {"gw-002-cache-hit-by-gateway"},
    "another operation of OpenAI": {
        "oai-batch-001-output-line",
        "oai-batch-002-error-line",
        "oai-img-001-token-image",
        "oai-img-002-stream",
        "oai-img-003-per-image",
        "oai-realtime-001-response-done",
        "oai-resp-008-retrieve-again",
        "oai-stt-003-stream-done",
        "oai-stt-004-text-format",
        "oai-tts-001-characters",
    },
    "Anthropic's batches": {"ant-007-batch", "ant-008-batch-expired"},
    "another wire format": {
        "bed-002-cache-disjoint",
        "bed-003-arn-profile",
        "bed-stream-001-metadata",
        "bed-stream-002-exception",
        "cohere-chat-001-billed-vs-tokens",
        "cohere-rerank-001",
        "gem-001-thoughts-outside",
        "gem-003-tier-200k",
        "gem-005-audio-input",
        "gem-007-blocked-prompt",
        "gem-009-traffic-type-flex",
        "gem-stream-002-early-zero",
        "gem-stream-003-last-without-usage",
        "groq-stt-001-minimum-10s",
        "mistral-ocr-001-pages",
    },
    "no call is sent twice": {"gw-003-retry-two-attempts", "gw-004-fallback-both-billed"},
}
"""The cases that are beyond us, by the reason."""

LEFT_OUT = set().union(*NOT_RUN.values())

PICO = Decimal(10) ** 6
"""Pico-USD for one token are so many times the USD for a million."""

_USAGE_NAMES = {"cache_write_5m": "cache_write_tokens", "cache_write_1h": "cache_write_long_tokens"}
_PARENTS = {
    "cached_input": "input",
    "cache_write": "input",
    "cache_write_long": "cache_write",
    "audio_input": "input",
    "cached_audio": "cached_input",
    "image_input": "input",
    "reasoning": "output",
    "audio_output": "output",
    "image_output": "output",
}
_PRICE_NAMES = {
    "cache_write": "cache_write_5m",
    "cache_write_long": "cache_write_1h",
    "cached_audio": "cached_audio_input",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One case; `chunks` are the reads of a stream, or the one body.

    `price` is that of the model that answers, `helper_prices` are those of others by their names.
    """

    case_id: str
    shape: str
    provider: str
    is_stream: bool
    chunks: tuple[bytes, ...]
    asks_for_usage: bool
    status: str
    usage: Usage | None
    cost: Decimal | None
    price: PriceRow
    helper_prices: Mapping[str, PriceRow]
    asked: Mapping[str, Any]
    model: str

    @property
    def name(self) -> str:
        """The part of the id that no other case begins with."""
        found = re.match(r"[a-z-]+\d+", self.case_id)
        assert found
        return found[0]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def quirks(self) -> Quirks:
        return ROWS[self.provider].quirks if self.provider in ROWS else Quirks()

    def reader(self) -> StreamReader:
        """A reader for the answer to what the client of this case asked for."""
        asked: dict[str, object] = {"model": "m", "stream": True, "messages": [{}], "max_tokens": 9}
        dialect, operation = SHAPES[self.shape]
        if self.asks_for_usage:
            asked["stream_options"] = {"include_usage": True}
        request = dialect.read_request(operation, json.dumps(asked).encode())
        return StreamReader(dialect.interpreter(request, self.quirks))

    def read(self, chunks: Sequence[bytes] | None = None) -> Reading:
        """What the answer tells, a stream in its own reads or in others."""
        if not self.is_stream:
            dialect, operation = SHAPES[self.shape]
            return dialect.read_answer(self.body, operation, self.quirks)
        reader = self.reader()
        for chunk in self.chunks if chunks is None else chunks:
            reader.feed(chunk)
        reader.rest()
        return reader.reading()

    def cost_of(self, reading: Reading) -> Decimal:
        """The cost in USD: as stated, else by the price, before it is rounded."""
        if reading.stated_cost is not None:
            return to_usd(reading.stated_cost)
        parts = [(self.price, reading.usage)]
        parts += [(self.helper_prices[helper.model], helper.usage) for helper in reading.helpers]
        cost = cost_of_all((row.raised(reading.surcharge_percent), usage) for row, usage in parts)
        return Decimal(sum(line.pico_usd for line in cost.lines)).scaleb(-12)


def load_cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in DATA.read_text().splitlines()]


def read_cases() -> Iterator[Case]:
    """The cases in the shapes that we speak."""
    for row in load_cases():
        if row["api_shape"] in SHAPES:
            yield _case(row)


def cases_in_scope() -> list[Case]:
    """The cases that are run."""
    return [case for case in read_cases() if case.case_id not in LEFT_OUT]


def reads_of(body: bytes, size: int) -> list[bytes]:
    """The body as a network that delivers so many bytes at once."""
    return [body[start : start + size] for start in range(0, len(body), size)]


def events_of(body: bytes) -> list[bytes]:
    """Cut at blank lines; only for bodies whose lines end in LF."""
    return [event + b"\n\n" for event in body.split(b"\n\n") if event]


def with_line_ends(case: Case, line_end: bytes) -> bytes:
    """The body with other line ends, where its own are all LF."""
    body = case.body
    return body if b"\r" in body else body.replace(b"\n", line_end)


def shown_events(case: Case, body: bytes) -> Iterator[bytes]:
    """The events but for chunks of usage alone, found in the simplest way."""
    line_end = b"\r\n" if b"\r\n" in body else b"\r" if b"\r" in body else b"\n"
    blank = line_end * 2
    *events, rest = body.split(blank)
    for event in [event + blank for event in events] + ([rest] if rest else []):
        is_usage = b'"choices":[]' in event and b'"usage":{' in event
        if case.asks_for_usage or not is_usage:
            yield event


def _case(row: Mapping[str, Any]) -> Case:
    asked = row.get("request") or {}
    cost = row["expected_cost_usd"]
    price = _price_row(row["prices"], row["model"])
    if asked.get("base_url") == "regional":
        # No answer tells the place of its address: the operator's prices have it in them.
        price = price.raised(int((Decimal(row["prices"]["multiplier"]) - 1) * 100))
    helpers = row["prices"].get("by_model", {})
    return Case(
        case_id=row["id"],
        shape=row["api_shape"],
        provider=row["provider"],
        is_stream=row["stream"],
        chunks=_chunks(row),
        asks_for_usage=bool(asked.get("stream_options", {}).get("include_usage")),
        status=row["expected_status"],
        usage=_usage(row["expected_usage"]),
        cost=None if cost is None else Decimal(cost),
        price=price,
        helper_prices={name: _price_row(prices, name) for name, prices in helpers.items()},
        asked=asked,
        model=row["model"],
    )


def _chunks(row: Mapping[str, Any]) -> tuple[bytes, ...]:
    answer = row["response"]
    match row["response_kind"]:
        case "json":
            return (json.dumps(answer).encode(),)
        case "raw_text":
            return (answer.encode(),)
        case "sse_events":
            return tuple(event.encode() for event in answer)
        case "sse_chunks_b64":
            return tuple(map(b64decode, answer))
        case kind:
            raise ValueError(f"no chat answers in {kind}")


def _usage(expected: Mapping[str, int] | None) -> Usage | None:
    if expected is None:
        return None
    known = {field.name for field in fields(Usage)}
    counts = {_USAGE_NAMES.get(name, name): count for name, count in expected.items()}
    assert counts.keys() - known == {"requests"}
    return Usage(**{name: count for name, count in counts.items() if name in known})


def _price_row(prices: Mapping[str, Any], model: str) -> PriceRow:
    tiers = [Tier(-1, _rates(prices))]
    if "tier" in prices:
        tier = prices["tier"]
        over = tier["threshold"] - int(tier["inclusive"])
        tiers.append(Tier(over, _rates(prices | tier)))
    # USD for a thousand searches; pico-USD for one.
    search = Decimal(prices.get("web_search_per_1k", 0)) * 10**9
    return PriceRow("lab/case", "lab", model, tuple(tiers), int(search))


def _rates(prices: Mapping[str, Any]) -> Rates:
    rates: dict[str, int] = {}
    for name in ("input", "output", *_PARENTS):
        price = prices.get(_PRICE_NAMES.get(name, name))
        if price is not None or name not in _PARENTS:
            pico = Decimal(price or 0) * PICO
            assert pico == int(pico)
            rates[name] = int(pico)
        else:
            rates[name] = rates[_PARENTS[name]]
    return Rates(**rates)

"""Anthropic's wire format: Messages, streamed and not (metering.md B5).

Counts in a stream are cumulative: they replace, they are never added.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import orjson

from ai_gateway.domain.call import (
    PLAIN_ADDRESS,
    Address,
    AskedCall,
    DialectName,
    JsonObject,
    Operation,
)
from ai_gateway.domain.usage import Reading, UsageStatus
from ai_gateway.errors import InvalidRequest
from ai_gateway.providers import json_body
from ai_gateway.providers.anthropic_usage import INPUT_GROUP, read_usage, surcharge_percent
from ai_gateway.providers.dialect import (
    UpstreamRequest,
    count_in,
    has_count,
    json_length,
    object_in,
    objects_in,
    parse_answer,
    parse_event,
    text_length,
    unreadable,
    with_query,
)
from ai_gateway.providers.provider import Provider, Quirks

TOOL_OVERHEAD_BYTES = 1_500
"""The instructions that the provider puts before the tools; about 350 to 800 tokens."""

DEFAULT_VERSION = "2023-06-01"
FORWARDED_HEADERS = ("anthropic-version", "anthropic-beta")

_PATHS = {
    Operation.MESSAGES: "/v1/messages",
    Operation.COUNT_TOKENS: "/v1/messages/count_tokens",
}
_CLIENT_TOOLS = ("custom", "bash_", "text_editor_", "computer_", "memory_")
_MEDIA_TYPES = frozenset({"image", "document"})


class AnthropicDialect:
    """Messages, and the count of their tokens, whose answer is never metered."""

    name: DialectName = "anthropic"

    def read_request(
        self, operation: Operation, raw: bytes, address: Address = PLAIN_ADDRESS
    ) -> AskedCall:
        """Read what the gateway has to know; the body itself goes on as it is."""
        body = json_body.parse_body(raw)
        model = json_body.model_name(body)
        json_body.filled_list(body, "messages", json_body.MAX_MESSAGES)
        output_cap = json_body.whole_number(body, "max_tokens", most=json_body.MAX_TOKENS)
        if output_cap is None and operation is Operation.MESSAGES:
            raise InvalidRequest("max_tokens: Field required", "max_tokens")
        tools = body.get("tools") or []
        if tools:
            tools = json_body.filled_list(body, "tools", json_body.MAX_TOOLS)
        blocks = [block for message in objects_in(body, "messages") for block in _blocks(message)]
        json_body.refuse_stored_files((*blocks, *(object_in(one, "source") for one in blocks)))
        media = [object_in(block, "source") for block in blocks if _is_media(block)]
        return AskedCall(
            operation=operation,
            body=body,
            model=model,
            stream=json_body.boolean(body, "stream"),
            output_cap=output_cap,
            choices=1,
            # Escapes only make the raw body longer than its text, so this bounds the text.
            input_bytes=len(raw)
            - sum(text_length(source.get("data")) for source in media)
            + TOOL_OVERHEAD_BYTES * bool(tools),
            media_parts=len(media),
            # A speed is asked for, and priced, as OpenAI's tiers are.
            service_tier=json_body.optional_text(body, "speed"),
            wants_usage=True,
            is_self_contained=not (_has_hosted_tool(tools) or body.get("mcp_servers")),
            address=address,
            surcharge_percent=surcharge_percent(json_body.optional_text(body, "inference_geo"))
            or 0,
        )

    def upstream_request(
        self,
        provider: Provider,
        asked: AskedCall,
        *,
        model: str,
        output_cap: int | None,
        client_headers: Mapping[str, str],
    ) -> UpstreamRequest:
        body: JsonObject = {**asked.body, "model": model}
        if output_cap is not None:
            body["max_tokens"] = output_cap
        headers = {"anthropic-version": DEFAULT_VERSION, **client_headers}
        if provider.api_key:
            headers["x-api-key"] = provider.api_key
        return UpstreamRequest(
            provider=provider.name,
            url=with_query(provider.base_url + _PATHS[asked.operation], asked.address.query),
            headers=headers,
            body=orjson.dumps(body),
            is_streamed=asked.stream,
        )

    def read_answer(self, body: bytes, operation: Operation, quirks: Quirks) -> Reading:  # noqa: ARG002
        answer = parse_answer(body)
        if answer is None:
            return unreadable(body)
        return replace(
            read_usage(answer.get("usage")),
            text_bytes=_content_bytes(answer),
            served_model=json_body.optional_text(answer, "model"),
            provider_id=json_body.optional_text(answer, "id"),
        )

    def interpreter(self, asked: AskedCall, quirks: Quirks) -> "MessagesInterpreter":  # noqa: ARG002
        return MessagesInterpreter()


class MessagesInterpreter:
    """Reads the events of a streamed message: counts of the start, replaced by later ones."""

    stored_id: str | None = None

    def __init__(self) -> None:
        self.text_bytes = 0
        self.is_complete = False
        self.has_failed = False
        self._usage: dict[str, object] = {}
        self._has_output = False
        self._model: str | None = None
        self._id: str | None = None

    def see(self, data: bytes) -> bool:
        event = parse_event(data)
        if event is None:
            return True
        match event.get("type"):
            case "message_start":
                message = object_in(event, "message")
                self._usage = dict(object_in(message, "usage"))
                self._model = json_body.optional_text(message, "model")
                self._id = json_body.optional_text(message, "id")
            case "message_delta":
                self._take_delta(object_in(event, "usage"))
            case "content_block_delta":
                delta = object_in(event, "delta")
                names = ("text", "thinking", "partial_json")
                self.text_bytes += sum(text_length(delta.get(name)) for name in names)
            case "message_stop":
                self.is_complete = True
            case "error":
                self.has_failed = True
        return True

    def end(self) -> None:
        """An answer without its last event has broken off, however the stream ended."""

    def reading(self) -> Reading:
        reading = read_usage(self._usage or None)
        is_whole = self.is_complete and self._has_output and not self.has_failed
        is_cut = reading.status is UsageStatus.EXACT and not is_whole
        return replace(
            reading,
            status=UsageStatus.PARTIAL if is_cut else reading.status,
            text_bytes=self.text_bytes,
            served_model=self._model,
            failed=self.has_failed,
            provider_id=self._id,
        )

    def _take_delta(self, delta: Mapping[str, object]) -> None:
        """Cumulative counts: output by its maximum, the input group as a whole, the rest as is."""
        if has_count(delta, "output_tokens"):
            self._has_output = True
            before = count_in(self._usage, "output_tokens")
            self._usage["output_tokens"] = max(before, count_in(delta, "output_tokens"))
        if has_count(delta, "input_tokens") and any(count_in(delta, name) for name in INPUT_GROUP):
            for name in INPUT_GROUP:
                self._usage[name] = count_in(delta, name)
        for name in ("server_tool_use", "output_tokens_details", "iterations"):
            if isinstance(delta.get(name), dict | list):
                self._usage[name] = delta[name]


def _content_bytes(answer: Mapping[str, object]) -> int:
    content = answer.get("content")
    blocks = [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    length = 0
    for block in blocks:
        length += text_length(block.get("text")) + text_length(block.get("thinking"))
        if isinstance(block.get("input"), dict):
            length += json_length(block["input"])
    return length


def _has_hosted_tool(tools: object) -> bool:
    """Whether a tool runs at the provider, which then adds input that we cannot see."""
    rows = tools if isinstance(tools, list) else []
    kinds = [str(row.get("type") or "custom") for row in rows if isinstance(row, dict)]
    return any(not kind.startswith(_CLIENT_TOOLS) for kind in kinds)


def _is_media(block: Mapping[str, object]) -> bool:
    """Whether a block is an image or a document; plain text counts as text."""
    source = object_in(block, "source")
    is_media = str(block.get("type")) in _MEDIA_TYPES
    return is_media and bool(source) and source.get("type") != "text"


def _blocks(holder: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """The blocks of a message, with those inside of tool results and documents."""
    for block in objects_in(holder, "content"):
        yield block
        yield from _blocks(block)
        yield from _blocks(object_in(block, "source"))

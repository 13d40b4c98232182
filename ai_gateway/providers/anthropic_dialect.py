"""Anthropic's wire format: Messages, streamed and not (metering.md B5).

`input_tokens` holds only what is neither read from nor written to the cache; all input is the sum
of the three. Counts in a stream are cumulative: they replace, they are never added.
"""

from collections.abc import Iterator, Mapping

import orjson

from ai_gateway.domain.call import (
    PLAIN_ADDRESS,
    USAGE_FIELDS,
    Address,
    AskedCall,
    DialectName,
    JsonObject,
    Operation,
)
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.errors import InvalidRequest
from ai_gateway.providers import json_body
from ai_gateway.providers.dialect import (
    UpstreamRequest,
    checked,
    count_in,
    has_count,
    object_in,
    objects_in,
    parse_answer,
    parse_event,
    raw_usage,
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
_INPUT_GROUP = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
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
        media = [object_in(block, "source") for block in _media(body)]
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
            is_self_contained=not (
                _has_hosted_tool(tools)
                or body.get("mcp_servers")
                or any("file_id" in source for source in media)
            ),
            address=address,
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
        reported = answer.get("usage")
        usage, status = _read_usage(reported)
        return Reading(
            status=status,
            usage=usage,
            text_bytes=_content_bytes(answer),
            served_model=json_body.optional_text(answer, "model"),
            service_tier=_tier(object_in(answer, "usage")),
            raw=raw_usage(reported),
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

    def see(self, data: bytes) -> bool:
        event = parse_event(data)
        if event is None:
            return True
        match event.get("type"):
            case "message_start":
                message = object_in(event, "message")
                self._usage = dict(object_in(message, "usage"))
                self._model = json_body.optional_text(message, "model")
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

    def reading(self) -> Reading:
        usage, status = _read_usage(self._usage or None)
        is_whole = self.is_complete and self._has_output and not self.has_failed
        if status is UsageStatus.EXACT and not is_whole:
            status = UsageStatus.PARTIAL
        return Reading(
            status=status,
            usage=usage,
            text_bytes=self.text_bytes,
            served_model=self._model,
            service_tier=_tier(self._usage),
            raw=raw_usage(self._usage or None),
            failed=self.has_failed,
        )

    def _take_delta(self, delta: Mapping[str, object]) -> None:
        """Cumulative counts: output by its maximum, the input group as a whole, the rest as is."""
        if has_count(delta, "output_tokens"):
            self._has_output = True
            before = count_in(self._usage, "output_tokens")
            self._usage["output_tokens"] = max(before, count_in(delta, "output_tokens"))
        if has_count(delta, "input_tokens") and any(count_in(delta, name) for name in _INPUT_GROUP):
            for name in _INPUT_GROUP:
                self._usage[name] = count_in(delta, name)
        for name in ("server_tool_use", "output_tokens_details", "iterations"):
            if isinstance(delta.get(name), dict | list):
                self._usage[name] = delta[name]


def _read_usage(reported: object) -> tuple[Usage, UsageStatus]:
    if not isinstance(reported, dict) or not has_count(reported, "input_tokens"):
        return Usage(), UsageStatus.MISSING
    # The top level leaves out what a compaction took, and that is billed too.
    iterations = objects_in(reported, "iterations")
    blocks = [reported, *(one for one in iterations if one.get("type") == "compaction")]
    parts = [_part(block) for block in blocks]
    usage = Usage(**{name: sum(getattr(part, name) for part in parts) for name in USAGE_FIELDS})
    if any(count_in(block, name) < 0 for block in blocks for name in _INPUT_GROUP):
        return usage.clamped(), UsageStatus.ANOMALY
    is_whole = has_count(reported, "output_tokens")
    return checked(usage, status=UsageStatus.EXACT if is_whole else UsageStatus.PARTIAL)


def _part(reported: Mapping[str, object]) -> Usage:
    fresh, read, written = (max(0, count_in(reported, name)) for name in _INPUT_GROUP)
    split = object_in(reported, "cache_creation")
    # The split may be incomplete: what it leaves out was written for five minutes.
    long_writes = min(count_in(split, "ephemeral_1h_input_tokens"), written)
    return Usage(
        input_tokens=fresh + read + written,
        cached_input_tokens=read,
        cache_write_tokens=written - long_writes,
        cache_write_long_tokens=long_writes,
        output_tokens=count_in(reported, "output_tokens"),
        reasoning_tokens=count_in(object_in(reported, "output_tokens_details"), "thinking_tokens"),
        web_searches=count_in(object_in(reported, "server_tool_use"), "web_search_requests"),
    )


def _tier(usage: Mapping[str, object]) -> str | None:
    """The tier that was served; a speed other than the standard one is dearer than any."""
    speed = json_body.optional_text(usage, "speed")
    if speed not in {None, "standard"}:
        return speed
    return json_body.optional_text(usage, "service_tier")


def _content_bytes(answer: Mapping[str, object]) -> int:
    content = answer.get("content")
    blocks = [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    length = 0
    for block in blocks:
        length += text_length(block.get("text")) + text_length(block.get("thinking"))
        if isinstance(block.get("input"), dict):
            length += len(orjson.dumps(block["input"]))
    return length


def _has_hosted_tool(tools: object) -> bool:
    """Whether a tool runs at the provider, which then adds input that we cannot see."""
    rows = tools if isinstance(tools, list) else []
    kinds = [str(row.get("type") or "custom") for row in rows if isinstance(row, dict)]
    return any(not kind.startswith(_CLIENT_TOOLS) for kind in kinds)


def _media(body: JsonObject) -> Iterator[dict[str, object]]:
    """The images and documents, wherever such a block has effect; plain text counts as text."""
    for message in objects_in(body, "messages"):
        for block in _blocks(message):
            source = object_in(block, "source")
            is_media = str(block.get("type")) in _MEDIA_TYPES
            if is_media and source and source.get("type") != "text":
                yield block


def _blocks(holder: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """The blocks of a message, with those inside of tool results and documents."""
    for block in objects_in(holder, "content"):
        yield block
        yield from _blocks(block)
        yield from _blocks(object_in(block, "source"))

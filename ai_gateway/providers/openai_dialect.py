"""OpenAI's wire format: Chat Completions, streamed and not (metering.md B1).

`prompt_tokens` and `completion_tokens` live only here. Cached, written and audio tokens are inside
the prompt; reasoning is inside the completion.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from ai_gateway.domain.call import AskedCall, DialectName, JsonObject, Operation
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.providers import json_body
from ai_gateway.providers.dialect import (
    UpstreamRequest,
    checked,
    count_in,
    has_count,
    object_in,
    objects_in,
    parse_event,
    text_length,
)
from ai_gateway.providers.output_cap import set_chat_cap
from ai_gateway.providers.provider import CHAT_CAPS, Provider

MAX_CHOICES = 128
TOOL_OVERHEAD_BYTES = 1_000
"""Providers put instructions of their own before the tools; the client never sees them."""

FORWARDED_HEADERS = ("openai-beta",)

_MEDIA_PARTS = {"image_url": "url", "input_audio": "data", "file": "file_data"}
_PAID_TIERS = frozenset({"flex", "priority", "fast", "scale"})
_DONE = b"[DONE]"


class OpenAIDialect:
    """Chat Completions."""

    name: DialectName = "openai"

    def read_request(self, operation: Operation, raw: bytes) -> AskedCall:
        """Read what the gateway has to know; the body itself goes on as it is."""
        body = json_body.parse_body(raw)
        model = json_body.model_name(body)
        json_body.filled_list(body, "messages", json_body.MAX_MESSAGES)
        has_tools = bool(body.get("tools") or body.get("functions"))
        if body.get("tools") is not None and has_tools:
            json_body.filled_list(body, "tools", json_body.MAX_TOOLS)
        stream = json_body.boolean(body, "stream")
        media = list(_media(body))
        caps = [json_body.whole_number(body, name, most=json_body.MAX_TOKENS) for name in CHAT_CAPS]
        return AskedCall(
            operation=operation,
            body=body,
            model=model,
            stream=stream,
            # Vendors differ in which of two caps holds, so the larger one is held for.
            output_cap=max((cap for cap in caps if cap is not None), default=None),
            choices=json_body.whole_number(body, "n", most=MAX_CHOICES) or 1,
            # Escapes only make the raw body longer than its text, so this bounds the text.
            input_bytes=len(raw) - sum(media) + TOOL_OVERHEAD_BYTES * has_tools,
            media_parts=len(media),
            service_tier=_asked_tier(body),
            wants_usage=bool(object_in(body, "stream_options").get("include_usage")),
            is_self_contained="web_search_options" not in body and not _names_files(body),
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
        set_chat_cap(body, provider.quirks, asked=asked.output_cap, ours=output_cap)
        if asked.stream and provider.quirks.takes_include_usage:
            # Without it a stream tells no usage at all; the extra chunk is hidden again.
            options = object_in(body, "stream_options")
            body["stream_options"] = {**options, "include_usage": True}
        return UpstreamRequest(
            provider=provider.name,
            url=f"{provider.base_url}/chat/completions",
            headers={**client_headers, **_credential(provider)},
            body=orjson.dumps(body),
            is_streamed=asked.stream,
        )

    def read_answer(self, body: bytes) -> Reading:
        answer = parse_event(body)
        if answer is None:
            return Reading(UsageStatus.MISSING, Usage(), text_bytes=len(body), failed=True)
        usage, status = _read_usage(answer)
        return Reading(
            status=status,
            usage=usage,
            text_bytes=_choice_bytes(answer, "message"),
            served_model=json_body.optional_text(answer, "model"),
            service_tier=json_body.optional_text(answer, "service_tier"),
            raw=_raw(answer.get("usage")),
        )

    def interpreter(self, asked: AskedCall) -> "ChatInterpreter":
        return ChatInterpreter(wants_usage=asked.wants_usage)


class ChatInterpreter:
    """Reads the chunks of a streamed chat completion.

    The last usage with a non-zero total wins; a zero one counts only if nothing better came; null
    is no usage. Usage before the end is a lower bound.
    """

    def __init__(self, *, wants_usage: bool) -> None:
        self.text_bytes = 0
        self.is_complete = False
        self.has_failed = False
        self._wants_usage = wants_usage
        self._usage: Mapping[str, object] | None = None
        self._is_final_usage = False
        self._model: str | None = None
        self._tier: str | None = None

    def see(self, data: bytes) -> bool:
        if data == _DONE:
            self.is_complete = True
            return True
        chunk = parse_event(data)
        if chunk is None:
            return True
        is_error = chunk.get("error") is not None
        self.has_failed = self.has_failed or is_error
        self._model = json_body.optional_text(chunk, "model") or self._model
        self._tier = json_body.optional_text(chunk, "service_tier") or self._tier
        self.text_bytes += _choice_bytes(chunk, "delta")
        usage = chunk.get("usage")
        if not isinstance(usage, dict):
            return True
        choices = chunk.get("choices")
        self._take_usage(usage, is_final=not choices or _has_finish(choices))
        return self._wants_usage or bool(choices) or is_error

    def reading(self) -> Reading:
        if self._usage is None:
            usage, status = Usage(), UsageStatus.MISSING
        else:
            is_whole = self.is_complete or self._is_final_usage
            usage, status = _read_usage({"usage": self._usage})
            if status is UsageStatus.EXACT and (self.has_failed or not is_whole):
                status = UsageStatus.PARTIAL
        return Reading(
            status=status,
            usage=usage,
            text_bytes=self.text_bytes,
            served_model=self._model,
            service_tier=self._tier,
            raw=_raw(self._usage),
            failed=self.has_failed,
        )

    def _take_usage(self, usage: Mapping[str, object], *, is_final: bool) -> None:
        if self._usage is not None and not _total(usage):
            return
        self._usage = usage
        self._is_final_usage = is_final


def _credential(provider: Provider) -> dict[str, str]:
    """Servers of one's own may need none."""
    return {"authorization": f"Bearer {provider.api_key}"} if provider.api_key else {}


def _read_usage(answer: Mapping[str, object]) -> tuple[Usage, UsageStatus]:
    reported = object_in(answer, "usage")
    if not has_count(reported, "prompt_tokens"):
        return Usage(), UsageStatus.MISSING
    prompt = object_in(reported, "prompt_tokens_details")
    completion = object_in(reported, "completion_tokens_details")
    usage = Usage(
        input_tokens=count_in(reported, "prompt_tokens"),
        cached_input_tokens=count_in(prompt, "cached_tokens"),
        cache_write_tokens=count_in(prompt, "cache_write_tokens"),
        audio_input_tokens=count_in(prompt, "audio_tokens"),
        image_input_tokens=count_in(prompt, "image_tokens"),
        output_tokens=count_in(reported, "completion_tokens"),
        reasoning_tokens=count_in(completion, "reasoning_tokens"),
        audio_output_tokens=count_in(completion, "audio_tokens"),
    )
    is_whole = has_count(reported, "completion_tokens")
    usage, status = checked(usage, status=UsageStatus.EXACT if is_whole else UsageStatus.PARTIAL)
    total = count_in(reported, "total_tokens")
    if not total or total == _total(reported):
        return usage, status
    # What the total has beside its parts was generated too; the larger reading is billed.
    output_tokens = max(usage.output_tokens, total - usage.input_tokens)
    return replace(usage, output_tokens=output_tokens), UsageStatus.ANOMALY


def _total(usage: Mapping[str, object]) -> int:
    return count_in(usage, "prompt_tokens") + count_in(usage, "completion_tokens")


def _raw(usage: object) -> str | None:
    return orjson.dumps(usage).decode() if usage is not None else None


def _choice_bytes(answer: Mapping[str, object], part: str) -> int:
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return 0
    return sum(_message_bytes(object_in(c, part)) for c in choices if isinstance(c, dict))


def _message_bytes(message: Mapping[str, object]) -> int:
    length = sum(
        text_length(message.get(name)) for name in ("content", "reasoning_content", "refusal")
    )
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = object_in(call, "function") if isinstance(call, dict) else {}
        length += text_length(function.get("name")) + text_length(function.get("arguments"))
    return length


def _has_finish(choices: object) -> bool:
    rows: list[Any] = choices if isinstance(choices, list) else []
    return any(isinstance(row, dict) and row.get("finish_reason") for row in rows)


def _media(body: JsonObject) -> Iterator[int]:
    """The bytes of the data of each image, audio and file part, wherever such a part has effect."""
    for part in _content_parts(body):
        kind = part.get("type")
        if isinstance(kind, str) and kind in _MEDIA_PARTS and isinstance(part.get(kind), dict):
            yield text_length(object_in(part, kind).get(_MEDIA_PARTS[kind]))


def _names_files(body: JsonObject) -> bool:
    """Whether the provider adds a file that was stored there before."""
    return any("file_id" in object_in(part, "file") for part in _content_parts(body))


def _content_parts(body: JsonObject) -> Iterator[dict[str, object]]:
    for message in objects_in(body, "messages"):
        yield from objects_in(message, "content")


def _asked_tier(body: JsonObject) -> str | None:
    """The tier whose price is asked for; the client's own words are never kept as one."""
    tier = json_body.optional_text(body, "service_tier")
    return tier if tier in _PAID_TIERS else None

"""OpenAI's Chat Completions, streamed and not (metering.md B1)."""

from collections.abc import Iterable, Iterator, Mapping

from ai_gateway.domain.call import AskedCall, JsonObject, Operation
from ai_gateway.domain.usage import Reading
from ai_gateway.providers import json_body, openai_operation
from ai_gateway.providers.dialect import object_in, objects_in, text_length
from ai_gateway.providers.openai_chunks import ChunkInterpreter, read_choices
from ai_gateway.providers.provider import Quirks

_MEDIA_PARTS = {"image_url": "url", "input_audio": "data", "file": "file_data"}
_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "refusal")


class ChatCompletions:
    """`/chat/completions`."""

    operation = Operation.CHAT
    path = "/chat/completions"

    def read_request(self, body: JsonObject, size: int) -> AskedCall:
        json_body.filled_list(body, "messages", json_body.MAX_MESSAGES)
        parts = openai_operation.message_parts(body, "messages")
        json_body.refuse_stored_files(object_in(part, "file") for part in parts)
        has_tools = openai_operation.has_tools(body) or bool(body.get("functions"))
        media = list(_media(parts))
        return AskedCall(
            operation=self.operation,
            body=body,
            model=json_body.model_name(body),
            stream=json_body.boolean(body, "stream"),
            output_cap=openai_operation.asked_cap(body, self.operation),
            choices=json_body.whole_number(body, "n", most=openai_operation.MAX_CHOICES) or 1,
            # Escapes only make the raw body longer than its text, so this bounds the text.
            input_bytes=size - sum(media) + openai_operation.TOOL_OVERHEAD_BYTES * has_tools,
            media_parts=len(media),
            service_tier=openai_operation.asked_tier(body),
            wants_usage=openai_operation.asks_to_stream_usage(body),
            is_self_contained="web_search_options" not in body,
        )

    def asks_for_usage(self, asked: AskedCall) -> bool:
        return asked.stream

    def read_answer(self, answer: Mapping[str, object], quirks: Quirks) -> Reading:
        return read_choices(answer, quirks.usage, _message_bytes)

    def interpreter(self, asked: AskedCall, quirks: Quirks) -> ChunkInterpreter:
        return ChunkInterpreter(asked, quirks.usage, _delta_bytes)


def _message_bytes(choice: Mapping[str, object]) -> int:
    return _said_bytes(object_in(choice, "message"))


def _delta_bytes(choice: Mapping[str, object]) -> int:
    return _said_bytes(object_in(choice, "delta"))


def _said_bytes(said: Mapping[str, object]) -> int:
    length = 0
    for name in _TEXT_FIELDS:
        if (text := said.get(name)) is not None:
            length += text_length(text)
    for call in objects_in(said, "tool_calls"):
        function = object_in(call, "function")
        length += text_length(function.get("name")) + text_length(function.get("arguments"))
    return length


def _media(parts: Iterable[Mapping[str, object]]) -> Iterator[int]:
    """The bytes of the data of each image, audio and file part, wherever such a part has effect."""
    for part in parts:
        kind = part.get("type")
        if isinstance(kind, str) and kind in _MEDIA_PARTS and isinstance(part.get(kind), dict):
            yield text_length(object_in(part, kind).get(_MEDIA_PARTS[kind]))

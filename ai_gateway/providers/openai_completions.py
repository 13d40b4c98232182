"""OpenAI's legacy completions, streamed and not: a text goes on from each prompt."""

from collections.abc import Mapping

from ai_gateway.domain.call import AskedCall, JsonObject, Operation
from ai_gateway.domain.usage import Reading
from ai_gateway.errors import InvalidRequest
from ai_gateway.providers import json_body, openai_operation
from ai_gateway.providers.dialect import text_length
from ai_gateway.providers.openai_chunks import ChunkInterpreter, read_choices
from ai_gateway.providers.provider import Quirks

MAX_PROMPTS = 2_048


class Completions:
    """`/completions`."""

    operation = Operation.COMPLETIONS
    path = "/completions"

    def read_request(self, body: JsonObject, size: int) -> AskedCall:
        most = openai_operation.MAX_CHOICES
        shown = json_body.whole_number(body, "n", most=most) or 1
        # What is generated to choose the best from is billed as well.
        made = json_body.whole_number(body, "best_of", most=most) or 1
        return AskedCall(
            operation=self.operation,
            body=body,
            model=json_body.model_name(body),
            stream=json_body.boolean(body, "stream"),
            output_cap=openai_operation.asked_cap(body, self.operation),
            choices=max(shown, made) * _prompts(body),
            input_bytes=size,
            media_parts=0,
            service_tier=openai_operation.asked_tier(body),
            wants_usage=openai_operation.asks_to_stream_usage(body),
            is_self_contained=True,
        )

    def asks_for_usage(self, asked: AskedCall) -> bool:
        return asked.stream

    def read_answer(self, answer: Mapping[str, object], quirks: Quirks) -> Reading:
        return read_choices(answer, quirks.usage, _text_bytes)

    def interpreter(self, asked: AskedCall, quirks: Quirks) -> ChunkInterpreter:
        return ChunkInterpreter(asked, quirks.usage, _text_bytes)


def _text_bytes(choice: Mapping[str, object]) -> int:
    return text_length(choice.get("text"))


def _prompts(body: JsonObject) -> int:
    """How many prompts there are: a list of texts or of lists of tokens has several."""
    prompt = body.get("prompt")
    if prompt is None or isinstance(prompt, str):
        return 1
    if not isinstance(prompt, list) or not prompt:
        raise InvalidRequest("prompt: a text, or a list with at least one item, is required.")
    if isinstance(prompt[0], int):
        return 1
    if len(prompt) > MAX_PROMPTS:
        raise InvalidRequest(f"prompt: at most {MAX_PROMPTS} items are allowed.", "prompt")
    return len(prompt)

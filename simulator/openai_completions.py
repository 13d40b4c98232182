"""Legacy completions: prompts in, bare text out. They know neither roles nor tools."""

from typing import Final

from simulator.openai_errors import invalid
from simulator.openai_fields import (
    boolean,
    integer,
    read_model,
    read_stream_options,
    refuse_foreign,
)
from simulator.openai_reply import finish_reason
from simulator.openai_request import MOST_CHOICES
from simulator.openai_stream import envelope, usage_object
from simulator.reply import Reply
from simulator.request import JsonObject, Request, ToolOffer, seed_of
from simulator.usage import text_tokens
from simulator.vendor import Vendor

_ID_PREFIX: Final = "cmpl-"
_KIND: Final = "text_completion"
_DEFAULT_CAP: Final = 16


def read_completion(body: JsonObject, vendor: Vendor) -> Request:
    """Read a request.

    Raises:
        ApiError: a field is missing or wrong.

    """
    model = read_model(body)
    refuse_foreign(body, vendor)
    prompts = read_texts(body.get("prompt", "<|endoftext|>"), "prompt")
    is_stream = boolean(body, "stream")
    options = read_stream_options(body, vendor, is_stream=is_stream)
    return Request(
        model=model,
        seed=seed_of(model, prompts),
        input_tokens=sum(map(tokens_of, prompts)),
        output_cap=integer(body, "max_tokens") or _DEFAULT_CAP,
        is_stream=is_stream,
        tools=ToolOffer(),
        choices=(integer(body, "n", most=MOST_CHOICES) or 1) * len(prompts),
        wants_usage_chunk=options.get("include_usage") is True,
        wants_running_usage=options.get("continuous_usage_stats") is True,
        is_obfuscated=options.get("include_obfuscation") is not False,
    )


def read_texts(value: object, name: str) -> list[object]:
    """Read one text or several; a text may be a list of tokens, too."""
    texts = value if isinstance(value, list) and not _is_tokens(value) else [value]
    if not texts or not all(map(_is_text, texts)):
        raise invalid(f"'$.{name}' is invalid. Please check the API reference.", name)
    return texts


def tokens_of(text: object) -> int:
    """Count the tokens of a text, or of a list of tokens."""
    return len(text) if isinstance(text, list) else text_tokens(str(text))


def completion_text(reply: Reply, vendor: Vendor) -> JsonObject:
    """Write a completion that is not streamed."""
    writer = TextWriter(reply, vendor)
    choices = [
        {**writer.finish(index), "text": answer.text} for index, answer in enumerate(reply.answers)
    ]
    body = {**writer.envelope, "choices": choices}
    if reply.shows_usage:
        body["usage"] = usage_object(reply, vendor)
    return body


class TextWriter:
    """The choices of a completion; see ``ChoiceWriter``."""

    def __init__(self, reply: Reply, vendor: Vendor) -> None:
        self._reply = reply
        self.envelope = envelope(reply, vendor, prefix=_ID_PREFIX, kind=_KIND)

    def opening(self, _index: int) -> list[JsonObject]:
        """Write nothing: the first chunk has text."""
        return []

    def piece(self, index: int, piece: str) -> JsonObject:
        """Write some text."""
        return _choice(index, piece)

    def finish(self, index: int) -> JsonObject:
        """Write the finish reason."""
        return _choice(index, "", finish_reason(self._reply.answers[index]))

    def nothing(self) -> JsonObject:
        """Write an empty text."""
        return _choice(0, "")


def _choice(index: int, text: str, reason: str | None = None) -> JsonObject:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _is_text(value: object) -> bool:
    return isinstance(value, str) or _is_tokens(value)


def _is_tokens(value: object) -> bool:
    # Not by isinstance, as that would take true for a token.
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)

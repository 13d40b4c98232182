"""What tells the vendors apart that speak OpenAI's dialect; the rows are in ``vendors.py``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from simulator.request import JsonObject


class UsagePlace(Enum):
    """Where in a stream of chunks the usage is."""

    OWN_CHUNK = auto()
    """In a chunk of its own with ``choices: []``, OpenAI's way."""
    EMPTY_CHUNK = auto()
    """In a chunk of its own with a choice that says nothing."""
    FINISH_CHUNK = auto()
    """Beside the choice that tells the finish reason."""
    CHOICE = auto()
    """Within the choice that tells the finish reason."""
    X_GROQ = auto()
    """In ``x_groq`` of the chunk that tells the finish reason."""
    EVERY_CHUNK = auto()
    """In each chunk, counted up to there."""


Places = frozenset[UsagePlace]

OPENAI_USAGE: Final[JsonObject] = {
    "prompt_tokens": "$input",
    "completion_tokens": "$output",
    "total_tokens": "$total",
    "prompt_tokens_details": {
        "cached_tokens": "$cached",
        "audio_tokens": 0,
        "cache_write_tokens": "?written",
    },
    "completion_tokens_details": {
        "reasoning_tokens": "$reasoning",
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}

OPENAI_ERROR: Final[JsonObject] = {
    "error": {"message": "$message", "type": "$kind", "param": "$param", "code": "$code"}
}


def as_asked(model: str) -> str:
    """Serve a model under the name it was asked by."""
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One vendor. JSON fields are templates (``template.py``); the blanks of a usage are those of
    ``billing.usage_values``, of an error ``status`` and the fields of ``ApiError``, of an envelope
    those of ``openai_stream.envelope``.

    ``unasked`` and ``asked``: where a stream has its usage, without and with ``include_usage``.
    ``running_if_asked``: takes ``continuous_usage_stats``, too.
    ``nulls``: in a stream that tells its usage, chunks without any have ``usage: null``.
    ``costs``: what every usage object tells besides tokens.
    ``is_strict``: refuses what OpenAI does not allow; others ignore it.
    ``refused``: fields that are no part of the vendor's API, refused in the words of ``refusal``.
    ``bad_key``: what is said of a wrong key, and may show it; None where no key is needed.
    ``comment``: a comment in streams while the answer is not there yet.
    ``blank_lines``: the same before an answer that is not streamed.
    ``reasoning_field``: where a message shows its reasoning.
    ``stream_error``: the chunk that ends a broken stream, where it is not just the error.
    """

    name: str
    usage: JsonObject = field(default_factory=lambda: OPENAI_USAGE)
    costs: JsonObject = field(default_factory=dict)
    unasked: Places = frozenset()
    asked: Places = frozenset({UsagePlace.OWN_CHUNK})
    running_if_asked: bool = False
    nulls: bool = False
    envelope: JsonObject = field(default_factory=dict)
    id_prefix: str | None = None
    serves: Callable[[str], str] = as_asked
    pads_chunks: bool = False
    filters_content: bool = False
    reasoning_field: str | None = None
    comment: str | None = None
    blank_lines: int = 0
    is_strict: bool = False
    refused: frozenset[str] = frozenset()
    refusal: str = "Unrecognized request argument supplied: {field}"
    refusal_status: int = HTTPStatus.BAD_REQUEST
    bad_key: str | None = "Invalid API Key"
    error: object = field(default_factory=lambda: OPENAI_ERROR)
    stream_error: JsonObject | None = None

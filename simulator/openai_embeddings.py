"""Embeddings: a vector of length 1 for each text, the same for the same text."""

import math
from array import array
from base64 import b64encode
from functools import cache
from typing import Final

from simulator.billing import usage_values
from simulator.openai_completions import read_texts, tokens_of
from simulator.openai_errors import invalid
from simulator.openai_fields import integer, missing, read_model
from simulator.reply import Reply
from simulator.request import JsonObject, Request, ToolOffer, Vectors, seed_of
from simulator.template import filled
from simulator.vendor import Vendor

_MOST_TEXTS: Final = 2_048
_USUAL_DIMENSIONS: Final = 1_536
_DIMENSIONS: Final = {"text-embedding-3-large": 3_072, "mistral-embed": 1_024}
_FIXED_DIMENSIONS: Final = ("text-embedding-ada",)
_MOST_DIMENSIONS: Final = 3_072
_WAVE_LENGTH: Final = 8_191
_USAGE: Final[JsonObject] = {"prompt_tokens": "$input", "total_tokens": "$total"}


def read_embedding(body: JsonObject) -> Request:
    """Read a request.

    Raises:
        ApiError: a field is missing or wrong.

    """
    if body.get("input") is None:
        raise missing("input")
    model = read_model(body)
    texts = read_texts(body["input"], "input")
    if len(texts) > _MOST_TEXTS or not all(texts):
        raise invalid("'$.input' is invalid. Please check the API reference.", "input")
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise invalid(
            f"Invalid value for 'encoding_format' = {encoding}. Must be one of 'float' or "
            "'base64'.",
            "encoding_format",
        )
    return Request(
        model=model,
        seed=seed_of(model, texts),
        input_tokens=sum(map(tokens_of, texts)),
        output_cap=None,
        is_stream=False,
        tools=ToolOffer(),
        choices=0,
        vectors=Vectors(
            seeds=tuple(seed_of(model, text) for text in texts),
            dimensions=_dimensions(body, model),
            is_base64=encoding == "base64",
        ),
    )


def embeddings(reply: Reply, vendor: Vendor) -> JsonObject:
    """Write the vectors."""
    wish = reply.request.vectors or Vectors((), 0)
    rows = [
        {"object": "embedding", "index": index, "embedding": _embedding(seed, wish)}
        for index, seed in enumerate(wish.seeds)
    ]
    body: JsonObject = {"object": "list", "data": rows, "model": reply.served_model}
    if reply.shows_usage:
        values = usage_values(reply.usage, reply.served_model)
        body["usage"] = filled({**_USAGE, **vendor.costs}, values)
    return body


def _dimensions(body: JsonObject, model: str) -> int:
    wanted = integer(body, "dimensions", most=_MOST_DIMENSIONS)
    if wanted is not None and model.startswith(_FIXED_DIMENSIONS):
        raise invalid("This model does not support specifying dimensions.", "dimensions")
    return wanted or _DIMENSIONS.get(model, _USUAL_DIMENSIONS)


def _embedding(seed: int, wish: Vectors) -> object:
    start = seed % _WAVE_LENGTH
    values = _wave()[start : start + wish.dimensions]
    length = math.sqrt(math.fsum(value * value for value in values))
    vector = array("f", (value / length for value in values))
    return b64encode(vector.tobytes()).decode() if wish.is_base64 else vector.tolist()


@cache
def _wave() -> list[float]:
    """Make numbers to cut vectors from; computing each vector anew would take too long."""
    return [math.sin(k * k) for k in range(1, _WAVE_LENGTH + _MOST_DIMENSIONS + 1)]

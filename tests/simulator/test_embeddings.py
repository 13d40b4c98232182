"""Embeddings, as the real SDK and a raw socket see them."""

import math
import struct
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import openai
import orjson
import pytest

from simulator.raw_http import RawAnswer
from simulator.testing import RunningSimulator

Ask = Callable[..., RawAnswer]

MODEL = "text-embedding-3-small"


@pytest.fixture
def embed(post: Ask) -> Ask:
    def ask(text: object, **fields: object) -> RawAnswer:
        return post("/v1/embeddings", {"model": MODEL, "input": text} | fields)

    return ask


def test_embedding_has_the_shape_of_the_api(embed: Ask) -> None:
    body = orjson.loads(embed("hello there").body)
    vector = body["data"][0].pop("embedding")
    assert len(vector) == 1_536
    assert math.hypot(*vector) == pytest.approx(1.0, abs=1e-5)
    assert body == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0}],
        "model": MODEL,
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


def test_base64_has_the_same_numbers_as_the_list(embed: Ask) -> None:
    plain = orjson.loads(embed("hello").body)["data"][0]["embedding"]
    coded = orjson.loads(embed("hello", encoding_format="base64").body)["data"][0]["embedding"]
    assert list(struct.unpack("<1536f", b64decode(coded))) == plain


def test_sdk_reads_several_inputs_in_their_order(openai_client: openai.OpenAI) -> None:
    # The SDK asks for base64 of its own accord.
    answer = openai_client.embeddings.create(model=MODEL, input=["one", "two", "one"])
    assert [row.index for row in answer.data] == [0, 1, 2]
    assert answer.data[0].embedding == answer.data[2].embedding
    assert answer.data[0].embedding != answer.data[1].embedding
    assert answer.usage.prompt_tokens == 3


@pytest.mark.parametrize(
    ("model", "fields", "dimensions"),
    [
        ("text-embedding-3-large", {}, 3_072),
        ("text-embedding-3-large", {"dimensions": 256}, 256),
        ("text-embedding-ada-002", {}, 1_536),
        ("some-embedding", {}, 1_536),
    ],
)
def test_vector_has_the_dimensions_of_the_model_or_those_asked_for(
    embed: Ask, model: str, fields: dict[str, Any], dimensions: int
) -> None:
    body = orjson.loads(embed("hi", model=model, **fields).body)
    assert len(body["data"][0]["embedding"]) == dimensions


@pytest.mark.parametrize(
    ("text", "count", "tokens"),
    [([1, 2, 3], 1, 3), ([[1, 2, 3], [4, 5]], 2, 5), (["four", "fives"], 2, 3)],
)
def test_input_may_be_tokens_or_several(embed: Ask, text: object, count: int, tokens: int) -> None:
    body = orjson.loads(embed(text).body)
    assert len(body["data"]) == count
    assert body["usage"]["prompt_tokens"] == tokens


def test_most_inputs_at_once_are_served(embed: Ask) -> None:
    body = orjson.loads(embed([str(n) for n in range(2_048)], encoding_format="base64").body)
    assert len(body["data"]) == 2_048


def test_markers_work(embed: Ask, simulator: RunningSimulator) -> None:
    assert orjson.loads(embed("[[input=77]]").body)["usage"]["total_tokens"] == 77
    assert "usage" not in orjson.loads(embed(["a", "[[usage=off]]"]).body)
    assert embed("[[status=503]]").status == 503
    first = simulator.calls()[0]["usage"]
    assert first is not None
    assert (first["input_tokens"], first["output_tokens"]) == (77, 0)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, None),
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": ["a", 5]}, "input"),
        ({"input": {}}, "input"),
        ({"input": ["a"] * 2_049}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 9_999}, "dimensions"),
        ({"model": "text-embedding-ada-002", "dimensions": 5}, "dimensions"),
    ],
)
def test_wrong_request_is_refused(embed: Ask, fields: dict[str, Any], param: str | None) -> None:
    answer = embed("hi", **fields)
    error = orjson.loads(answer.body)["error"]
    assert (answer.status, error["type"], error["param"]) == (400, "invalid_request_error", param)

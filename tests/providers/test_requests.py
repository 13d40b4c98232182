"""Requests of clients as the dialects read them, and what goes on to the provider."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_gateway.domain.call import AskedCall, Operation
from ai_gateway.errors import InvalidRequest
from ai_gateway.providers import anthropic_dialect, openai_dialect
from ai_gateway.providers.dialect import Dialect, UpstreamRequest
from ai_gateway.providers.provider import Provider

OPENAI = openai_dialect.OpenAIDialect()
ANTHROPIC = anthropic_dialect.AnthropicDialect()
BOTH: dict[str, tuple[Dialect, Operation]] = {
    "openai": (OPENAI, Operation.CHAT),
    "anthropic": (ANTHROPIC, Operation.MESSAGES),
}
PROVIDERS = {
    name: Provider(name, dialect.name, f"http://{name}.test/base", f"sk-{name}-secret")
    for name, (dialect, _) in BOTH.items()
}
DATA = "QUJD" * 1000
each_dialect = pytest.mark.parametrize("name", BOTH)


def body_of(**fields: Any) -> dict[str, Any]:
    """A body that both dialects take."""
    messages = [{"role": "user", "content": "hi"}]
    return {"model": "our-model", "max_tokens": 100, "messages": messages} | fields


def saying(*content: object) -> dict[str, Any]:
    return body_of(messages=[{"role": "user", "content": list(content)}])


def read(name: str, body: object) -> AskedCall:
    dialect, operation = BOTH[name]
    return dialect.read_request(operation, json.dumps(body).encode())


def send(
    name: str,
    asked: AskedCall,
    *,
    model: str = "our-model",
    output_cap: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> UpstreamRequest:
    return BOTH[name][0].upstream_request(
        PROVIDERS[name], asked, model=model, output_cap=output_cap, client_headers=headers or {}
    )


def sent_body(name: str, body: object, **options: Any) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(send(name, read(name, body), **options).body)
    return sent


@each_dialect
def test_plain_request_is_read(name: str) -> None:
    asked = read(name, body_of())
    assert (asked.model, asked.stream, asked.output_cap) == ("our-model", False, 100)
    assert (asked.choices, asked.media_parts, asked.service_tier) == (1, 0, None)
    assert asked.is_self_contained
    assert asked.input_bytes == len(json.dumps(body_of()))


BAD = {
    "no json": b"{",
    "no utf-8": b'{"model": "\xff"}',
    "half a character": b'{"model": "\\ud800"}',
    "a list": b"[]",
    "a number": b"17",
    "empty": b"",
    "number beyond a double": b'{"model": "m", "messages": [{}], "max_tokens": 1e999}',
    "no model": json.dumps(body_of(model=None)).encode(),
    "empty model": json.dumps(body_of(model="")).encode(),
    "model is a number": json.dumps(body_of(model=4)).encode(),
    "model is too long": json.dumps(body_of(model="m" * 129)).encode(),
    "model with a line end": json.dumps(body_of(model="m\n")).encode(),
    "no messages": json.dumps(body_of(messages=None)).encode(),
    "empty messages": json.dumps(body_of(messages=[])).encode(),
    "messages are text": json.dumps(body_of(messages="hi")).encode(),
    "too many messages": json.dumps(body_of(messages=[0] * 10_001)).encode(),
    "cap of nothing": json.dumps(body_of(max_tokens=0)).encode(),
    "negative cap": json.dumps(body_of(max_tokens=-1)).encode(),
    "cap is a fraction": json.dumps(body_of(max_tokens=1.5)).encode(),
    "cap is true": json.dumps(body_of(max_tokens=True)).encode(),
    "cap is text": json.dumps(body_of(max_tokens="9")).encode(),
    "cap is absurd": json.dumps(body_of(max_tokens=10_000_001)).encode(),
    "stream is text": json.dumps(body_of(stream="true")).encode(),
    "stream is a number": json.dumps(body_of(stream=1)).encode(),
    "tools are an object": json.dumps(body_of(tools={"a": 1})).encode(),
    "too many tools": json.dumps(body_of(tools=[{}] * 2_049)).encode(),
    "nested too deep": json.dumps(body_of()).encode()[:-1]
    + b',"x":'
    + b"[" * 64
    + b"]" * 64
    + b"}",
    "nested deeper than the parser goes": b"[" * 3000 + b"]" * 3000,
}


@each_dialect
@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
def test_bad_request_is_refused(name: str, raw: bytes) -> None:
    dialect, operation = BOTH[name]
    with pytest.raises(InvalidRequest):
        dialect.read_request(operation, raw)


@pytest.mark.parametrize(
    ("field", "value"), [("n", 0), ("n", 129), ("n", "2"), ("max_completion_tokens", 0)]
)
def test_field_of_openai_that_is_wrong_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read("openai", body_of(**{field: value}))
    assert caught.value.param == field


def test_anthropic_needs_a_cap() -> None:
    body = body_of()
    del body["max_tokens"]
    with pytest.raises(InvalidRequest) as caught:
        read("anthropic", body)
    assert caught.value.param == "max_tokens"


@each_dialect
def test_deepest_nesting_that_is_allowed_goes_on(name: str) -> None:
    deep: list[object] = []
    for _ in range(61):
        deep = [deep]
    assert sent_body(name, body_of(metadata=deep))["metadata"] == deep


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(["type", "content"]), inner)
    ),
    max_leaves=12,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "type": JSON | st.sampled_from(["image", "image_url", "document", "tool_result", "file"]),
        "content": JSON | st.lists(JSON, max_size=3),
        "source": JSON | st.dictionaries(st.sampled_from(["type", "data", "content"]), JSON),
        "image_url": JSON | st.fixed_dictionaries({"url": JSON}),
        "file": JSON,
        "text": JSON,
    },
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "model": JSON | st.just("our-model"),
        "messages": JSON | st.lists(JSON | st.fixed_dictionaries({"content": st.lists(PARTS)})),
        "max_tokens": JSON | st.just(1),
        "stream": JSON | st.booleans(),
        "stream_options": JSON,
        "tools": JSON | st.lists(JSON | PARTS),
        "functions": JSON,
        "n": JSON,
        "service_tier": JSON,
        "web_search_options": JSON,
        "mcp_servers": JSON,
    },
)


@each_dialect
@given(body=BODIES | JSON)
@example(body=body_of(messages=[{"content": [{"type": [], "source": {"type": {}}}]}]))
@example(body=body_of(tools=[{"type": []}, 4, None]))
def test_any_json_is_read_or_refused(name: str, body: object) -> None:
    try:
        asked = read(name, body)
    except InvalidRequest:
        return
    assert asked.input_bytes >= 0
    assert json.loads(send(name, asked).body)["model"] == "our-model"


@each_dialect
@given(raw=st.binary())
def test_any_bytes_are_read_or_refused(name: str, raw: bytes) -> None:
    dialect, operation = BOTH[name]
    with pytest.raises(InvalidRequest):
        dialect.read_request(operation, raw)


# What goes on


def orjson_reads(value: object) -> bool:
    """Numbers beyond 64 bits lose digits, for us as for the SDKs."""
    try:
        return bool(orjson.loads(json.dumps(value)) == value)
    except orjson.JSONDecodeError:
        return False


RICH = body_of(
    temperature=0.1,
    seed=2**63,
    stop=["\u2028", "\U0001f600"],
    response_format={"type": "json_schema", "json_schema": {"a": [1, 2.5, None, True]}},
    unknown_field={"": ""},
)


@each_dialect
def test_body_goes_on_with_the_same_value_but_for_the_model(name: str) -> None:
    assert sent_body(name, RICH, model="other") == RICH | {"model": "other"}


@each_dialect
@given(
    extra=st.dictionaries(
        st.sampled_from(["a", "b", "metadata", "temperature"]),
        JSON.filter(orjson_reads),
    )
)
def test_every_other_field_of_the_body_keeps_its_value(name: str, extra: dict[str, Any]) -> None:
    assert sent_body(name, body_of(**extra)) == body_of(**extra)


def test_the_later_of_two_equal_names_counts_and_alone_goes_on() -> None:
    raw = json.dumps(body_of(max_tokens=5)).encode()[:-1] + b',"max_tokens":7}'
    asked = OPENAI.read_request(Operation.CHAT, raw)
    assert asked.output_cap == 7
    assert send("openai", asked).body.count(b"max_tokens") == 1


def test_body_of_the_client_is_not_altered() -> None:
    body = body_of(stream=True, stream_options={"include_usage": False})
    asked = read("openai", body)
    send("openai", asked, model="other", output_cap=7)
    assert asked.body == body


@pytest.mark.parametrize(
    ("given_caps", "sent_caps"),
    [
        pytest.param({}, {"max_completion_tokens": 7}, id="none"),
        pytest.param(
            {"max_tokens": None}, {"max_tokens": None, "max_completion_tokens": 7}, id="null"
        ),
        pytest.param({"max_tokens": 50}, {"max_tokens": 7}, id="old name"),
        pytest.param({"max_completion_tokens": 50}, {"max_completion_tokens": 7}, id="new name"),
    ],
)
def test_cap_of_openai_stands_under_the_name_that_the_client_uses(
    given_caps: dict[str, Any], sent_caps: dict[str, Any]
) -> None:
    body = body_of()
    del body["max_tokens"]
    sent = sent_body("openai", body | given_caps, output_cap=7)
    assert {name: sent[name] for name in sent if name.startswith("max_")} == sent_caps


def test_cap_of_anthropic_has_one_name() -> None:
    assert sent_body("anthropic", body_of(), output_cap=7) == body_of(max_tokens=7)


def test_larger_of_two_caps_is_held_for() -> None:
    """Vendors differ in which of them they heed."""
    assert read("openai", body_of(max_completion_tokens=9)).output_cap == 100
    assert read("openai", body_of(max_completion_tokens=900)).output_cap == 900
    assert read("openai", body_of(max_tokens=None)).output_cap is None


@pytest.mark.parametrize(
    ("options", "wants_usage"),
    [
        pytest.param({}, False, id="absent"),
        pytest.param({"stream_options": None}, False, id="null"),
        pytest.param({"stream_options": {"include_usage": False}}, False, id="not wanted"),
        pytest.param({"stream_options": {"include_usage": True}}, True, id="wanted"),
        pytest.param({"stream_options": {"include_obfuscation": False}}, False, id="others"),
    ],
)
def test_stream_of_openai_always_asks_for_usage_and_keeps_other_options(
    options: dict[str, Any], *, wants_usage: bool
) -> None:
    body = body_of(stream=True) | options
    assert read("openai", body).wants_usage is wants_usage
    asked_options = (options.get("stream_options") or {}) | {"include_usage": True}
    assert sent_body("openai", body) == body | {"stream_options": asked_options}


def test_whole_answer_of_openai_has_no_stream_options() -> None:
    assert "stream_options" not in sent_body("openai", body_of())


def test_stream_of_anthropic_is_sent_as_it_is() -> None:
    assert sent_body("anthropic", body_of(stream=True)) == body_of(stream=True)


# Headers


def test_openai_gets_our_credential() -> None:
    request = send("openai", read("openai", body_of()), headers={"openai-beta": "x"})
    assert request.url == "http://openai.test/base/chat/completions"
    assert request.headers == {"authorization": "Bearer sk-openai-secret", "openai-beta": "x"}


def test_anthropic_gets_our_credential_and_the_version_that_we_know() -> None:
    request = send("anthropic", read("anthropic", body_of()))
    assert request.url == "http://anthropic.test/base/v1/messages"
    assert request.headers == {
        "x-api-key": "sk-anthropic-secret",
        "anthropic-version": "2023-06-01",
    }


def test_version_of_the_client_goes_on_to_anthropic() -> None:
    headers = {"anthropic-version": "2023-01-01", "anthropic-beta": "a,b"}
    request = send("anthropic", read("anthropic", body_of()), headers=headers)
    assert request.headers == headers | {"x-api-key": "sk-anthropic-secret"}


@each_dialect
def test_credential_of_a_client_never_stands_in_for_ours(name: str) -> None:
    virtual = {"authorization": "Bearer agw_x", "x-api-key": "agw_x"}
    own = send(name, read(name, body_of())).headers
    both = send(name, read(name, body_of()), headers=virtual).headers
    assert own.items() <= both.items()


@each_dialect
def test_neither_credential_nor_prompt_is_printed(name: str) -> None:
    request = send(name, read(name, body_of(messages=[{"content": "a hidden prompt"}])))
    assert "secret" not in repr(request)
    assert "hidden" not in repr(request)
    assert "secret" not in repr(PROVIDERS[name])


@each_dialect
@pytest.mark.parametrize("stream", [True, False])
def test_request_tells_whether_its_answer_streams(name: str, *, stream: bool) -> None:
    assert send(name, read(name, body_of(stream=stream))).is_streamed is stream


# What the hold needs


IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}}
SOUND = {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": DATA, "filename": "a.pdf"}}
SOURCE = {"type": "base64", "media_type": "image/png", "data": DATA}
PICTURE = {"type": "image", "source": SOURCE}
DOCUMENT = {"type": "document", "source": SOURCE}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        pytest.param("openai", IMAGE, id="image"),
        pytest.param("openai", SOUND, id="audio"),
        pytest.param("openai", FILE, id="file"),
        pytest.param("anthropic", PICTURE, id="picture"),
        pytest.param("anthropic", DOCUMENT, id="document"),
        pytest.param("anthropic", {"type": "tool_result", "content": [PICTURE]}, id="of a tool"),
    ],
)
def test_medium_is_counted_as_a_part_and_not_by_its_bytes(name: str, part: object) -> None:
    asked = read(name, saying(part, {"type": "text", "text": "what is it?"}))
    assert asked.media_parts == 1
    assert 20 < asked.input_bytes < 400
    assert asked.is_self_contained


@pytest.mark.parametrize(
    ("name", "part"),
    [
        pytest.param(
            "openai", {"type": "image_url", "image_url": {"url": "https://x.test/a"}}, id="openai"
        ),
        pytest.param(
            "anthropic",
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a"}},
            id="anthropic",
        ),
    ],
)
def test_medium_by_its_address_is_a_part_too(name: str, part: object) -> None:
    assert read(name, saying(part)).media_parts == 1


def test_picture_in_a_document_of_blocks_is_a_part_of_its_own() -> None:
    inner = {"type": "content", "content": [PICTURE, {"type": "text", "text": "x"}]}
    asked = read("anthropic", saying({"type": "document", "source": inner}))
    assert asked.media_parts == 2
    assert asked.input_bytes < 400


def test_document_of_plain_text_counts_as_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": DATA}
    asked = read("anthropic", saying({"type": "document", "source": source}))
    assert asked.media_parts == 0
    assert asked.input_bytes > len(DATA)


DISGUISED = {
    "schema of a tool": ("openai", body_of(tools=[{"function": {"parameters": IMAGE}}])),
    "arguments of a tool": ("openai", body_of(messages=[{"tool_calls": [IMAGE]}])),
    "metadata": ("openai", body_of(metadata={"a": FILE})),
    "input of a tool": ("anthropic", saying({"type": "tool_use", "input": PICTURE})),
    "schema of a tool of anthropic": ("anthropic", body_of(tools=[{"input_schema": DOCUMENT}])),
}


@pytest.mark.parametrize(("name", "body"), DISGUISED.values(), ids=DISGUISED)
def test_text_in_the_shape_of_a_medium_is_held_for_as_text(name: str, body: object) -> None:
    """The provider reads it as text, so that a caller could hide a prompt from the hold."""
    asked = read(name, body)
    assert asked.media_parts == 0
    assert asked.input_bytes > len(DATA)


@each_dialect
@given(texts=st.lists(st.text(), min_size=1))
def test_input_bytes_bound_the_bytes_of_all_text(name: str, texts: list[str]) -> None:
    body = body_of(messages=[{"role": "user", "content": text} for text in texts])
    raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    dialect, operation = BOTH[name]
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    assert dialect.read_request(operation, raw).input_bytes >= size


@each_dialect
def test_tools_bring_instructions_of_the_provider_with_them(name: str) -> None:
    tools = [{"type": "custom", "name": "f"}]
    without = len(json.dumps(body_of(tools=tools)))
    assert read(name, body_of(tools=tools)).input_bytes >= without + 1_000


def test_functions_count_as_tools() -> None:
    body = body_of(functions=[{"name": "f"}])
    assert read("openai", body).input_bytes >= len(json.dumps(body)) + 1_000


@pytest.mark.parametrize(
    ("name", "body"),
    [
        pytest.param("openai", body_of(web_search_options={}), id="search of openai"),
        pytest.param("anthropic", body_of(tools=[{"type": "web_search_20250305"}]), id="search"),
        pytest.param("anthropic", body_of(tools=[{"type": "code_execution_1"}]), id="code"),
        pytest.param("anthropic", body_of(mcp_servers=[{"url": "x"}]), id="servers of tools"),
    ],
)
def test_what_the_provider_adds_by_itself_is_noticed(name: str, body: object) -> None:
    assert not read(name, body).is_self_contained


STORED = {"type": "document", "source": {"type": "file", "file_id": "f"}}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        pytest.param("openai", saying({"type": "file", "file": {"file_id": "f"}}), id="openai"),
        pytest.param("anthropic", saying(STORED), id="anthropic"),
        pytest.param(
            "anthropic",
            saying({"type": "tool_result", "content": [STORED | {"type": "image"}]}),
            id="result of a tool",
        ),
        pytest.param(
            "anthropic", saying({"type": "container_upload", "file_id": "f"}), id="upload"
        ),
    ],
)
def test_file_that_the_provider_keeps_is_refused(name: str, body: object) -> None:
    """Every key of the account could read it."""
    with pytest.raises(InvalidRequest, match="files that the provider keeps") as refused:
        read(name, body)
    assert refused.value.param == "file_id"


def test_file_that_is_sent_along_passes() -> None:
    part = {"type": "file", "file": {"file_id": None, "file_data": DATA}}
    assert read("openai", saying(part)).media_parts == 1


@pytest.mark.parametrize(("place", "percent"), [("us", 10), ("global", 0), ("moon", 0), (7, 0)])
def test_place_that_is_asked_for_has_its_surcharge(place: object, percent: int) -> None:
    assert read("anthropic", body_of(inference_geo=place)).surcharge_percent == percent


@pytest.mark.parametrize(
    "kind", [None, "custom", "bash_20250124", "text_editor_20250728", "computer_20250124"]
)
def test_tool_that_the_client_runs_adds_nothing(kind: str | None) -> None:
    assert read("anthropic", body_of(tools=[{"type": kind}])).is_self_contained


@pytest.mark.parametrize(
    ("word", "tier"),
    [
        (None, None),
        ("auto", None),
        ("default", None),
        ("flex", "flex"),
        ("priority", "priority"),
        ("fast", "fast"),
        ("x" * 100_000, None),
        (["flex"], None),
    ],
    ids=["absent", "auto", "default", "flex", "priority", "fast", "junk", "list"],
)
def test_tier_is_one_that_has_a_price_or_none(word: object, tier: str | None) -> None:
    """A client's own word would be kept as a price of its own and stand in the ledger."""
    assert read("openai", body_of(service_tier=word)).service_tier == tier


def test_choices_of_openai_are_counted() -> None:
    assert read("openai", body_of(n=3)).choices == 3
    assert read("openai", body_of(n=None)).choices == 1

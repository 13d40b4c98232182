"""Azure OpenAI, as the real SDK and a raw socket see it."""

from collections.abc import Callable, Iterator
from typing import Any

import openai
import orjson
import pytest

from simulator.raw_http import RawAnswer
from simulator.testing import RunningSimulator

Ask = Callable[..., RawAnswer]

VERSION = "2024-10-21"
KEY = {"api-key": "az-test-1234"}
CHAT = "/openai/deployments/gpt-4o-mini-eu/chat/completions"
V1_CHAT = "/openai/v1/chat/completions"
MESSAGES: Any = [{"role": "user", "content": "hi [[tokens=2]]"}]


@pytest.fixture
def azure_client(simulator: RunningSimulator) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        api_key="az-test-1234",
        azure_endpoint=simulator.azure_url,
        api_version=VERSION,
        max_retries=0,
    ) as client:
        yield client


def ask(post: Ask, path: str = f"{CHAT}?api-version={VERSION}", **fields: object) -> RawAnswer:
    return post(path, {"messages": MESSAGES} | fields, KEY)


def chunks_of(answer: RawAnswer) -> list[dict[str, Any]]:
    events = [event.removeprefix(b"data: ") for event in answer.body.split(b"\n\n")[:-1]]
    assert events.pop() == b"[DONE]"
    return [orjson.loads(event) for event in events]


def test_sdk_gets_an_answer_of_a_deployment(
    azure_client: openai.AzureOpenAI, simulator: RunningSimulator
) -> None:
    answer = azure_client.chat.completions.create(model="gpt-4o-mini-eu", messages=MESSAGES)
    assert answer.choices[0].message.content == "Hello from"
    assert answer.model == "gpt-4o-mini"
    (call,) = simulator.calls()
    assert call["path"] == CHAT
    assert (call["model"], call["query"]) == ("gpt-4o-mini-eu", f"api-version={VERSION}")
    assert call["request_headers"]["api-key"] == "****1234"


def test_sdk_streams_from_a_deployment(azure_client: openai.AzureOpenAI) -> None:
    with azure_client.chat.completions.create(
        model="gpt-4o",
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    assert chunks[0].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2


def test_first_chunk_has_the_filter_results_of_the_prompt_and_nothing_else(post: Ask) -> None:
    first, *rest = chunks_of(ask(post, stream=True))
    (result,) = first.pop("prompt_filter_results")
    assert result["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    assert first == {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    choices = [chunk["choices"][0] for chunk in rest]
    assert [bool(choice["content_filter_results"]) for choice in choices] == [
        False,
        True,
        True,
        False,
    ]
    assert b"obfuscation" not in orjson.dumps(rest)


def test_whole_answer_has_filter_results(post: Ask) -> None:
    body = orjson.loads(ask(post).body)
    assert body["prompt_filter_results"][0]["prompt_index"] == 0
    assert body["choices"][0]["content_filter_results"]["violence"]["severity"] == "safe"


@pytest.mark.parametrize(
    ("deployment", "model"), [("gpt-4.1-mini", "gpt-4.1-mini"), ("turbo", "turbo")]
)
def test_model_is_told_without_its_date(post: Ask, deployment: str, model: str) -> None:
    path = f"/openai/deployments/{deployment}/chat/completions?api-version={VERSION}"
    assert orjson.loads(ask(post, path).body)["model"] == model


def test_model_of_the_path_beats_the_one_of_the_body(post: Ask) -> None:
    assert orjson.loads(ask(post, model="gpt-5").body)["model"] == "gpt-4o-mini"


@pytest.mark.parametrize("path", [CHAT, "/openai/responses", "/openai/models"])
def test_missing_version_is_not_found(post: Ask, path: str) -> None:
    answer = ask(post, path)
    assert answer.status == 404
    assert orjson.loads(answer.body) == {"error": {"code": "404", "message": "Resource not found"}}


def test_old_version_refuses_stream_options(post: Ask) -> None:
    path = f"{CHAT}?api-version=2023-05-15"
    asked: Any = {"stream": True, "stream_options": {"include_usage": True}}
    answer = ask(post, path, **asked)
    assert answer.status == 400
    assert b"Unrecognized request argument supplied: stream_options" in answer.body
    assert ask(post, path, stream=True).status == 200


def test_deployment_has_vectors_and_legacy_completions(azure_client: openai.AzureOpenAI) -> None:
    vectors = azure_client.embeddings.create(model="text-embedding-3-small", input="hi")
    assert vectors.usage.total_tokens == 1
    text = azure_client.completions.create(model="gpt-3.5-turbo-instruct", prompt="hi")
    assert text.choices[0].text


def test_deployment_has_no_responses(post: Ask) -> None:
    path = f"/openai/deployments/gpt-4o/responses?api-version={VERSION}"
    assert post(path, {"input": "hi"}, KEY).status == 404


def test_sdk_makes_responses_on_the_path_of_the_resource(
    azure_client: openai.AzureOpenAI,
) -> None:
    made = azure_client.responses.create(model="gpt-4o", input="hi")
    assert azure_client.responses.retrieve(made.id) == made
    assert made.model == "gpt-4o"


@pytest.mark.parametrize("headers", [KEY, {"authorization": "Bearer token-of-entra"}])
def test_either_credential_is_taken(post: Ask, headers: dict[str, str]) -> None:
    body = {"model": "gpt-4o", "messages": MESSAGES}
    assert post(V1_CHAT, body, headers).status == 200


@pytest.mark.parametrize(
    "headers", [{}, {"api-key": "wrong-key"}, {"authorization": "Bearer wrong-key"}]
)
def test_credential_is_needed(post: Ask, headers: dict[str, str]) -> None:
    answer = post(V1_CHAT, {}, headers)
    assert answer.status == 401
    assert orjson.loads(answer.body)["error"]["code"] == "401"


def test_plain_sdk_speaks_to_v1(simulator: RunningSimulator) -> None:
    with openai.OpenAI(
        api_key="az-test-1234", base_url=f"{simulator.azure_url}/openai/v1"
    ) as client:
        assert "gpt-4o" in {model.id for model in client.models.list()}
        answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert answer.model == "gpt-4o"
        response = client.responses.create(model="gpt-5", input="hi")
        assert response.status == "completed"
        assert client.embeddings.create(model="text-embedding-3-small", input="hi").data


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "401"), (404, "DeploymentNotFound"), (429, "429"), (400, "invalid_value")],
)
def test_status_marker_gives_the_vendor_s_error(post: Ask, status: int, code: str) -> None:
    prompt = [{"role": "user", "content": f"[[status={status}]]"}]
    answer = ask(post, messages=prompt)
    assert (answer.status, orjson.loads(answer.body)["error"]["code"]) == (status, code)
    assert answer.header("retry-after") == ("2" if status == 429 else None)


def test_wrong_request_is_refused_as_openai_does(post: Ask) -> None:
    error = orjson.loads(ask(post, messages=[]).body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "empty_array"


def test_answer_carries_the_headers_of_the_vendor(post: Ask) -> None:
    answer = ask(post)
    assert (answer.header("apim-request-id") or "").startswith("req_")
    assert answer.header("x-ms-region")

"""The SDK for Azure OpenAI: deployments go to Azure alone, and are priced by the operator's map."""

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.running import RunningGateway

VERSION = "2024-10-21"
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello [[tokens=5]]"}]


@pytest.fixture
def key(gateway: RunningGateway) -> str:
    return gateway.make_key()


def client(gateway: RunningGateway, key: str) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint=gateway.base_url, api_key=key, api_version=VERSION, max_retries=0
    )


def test_deployment_is_called_and_priced_as_the_operator_mapped_it(
    gateway: RunningGateway, key: str
) -> None:
    with client(gateway, key) as azure:
        answer = azure.chat.completions.create(model="eu-mini", messages=ASKED)
    assert answer.choices[0].message.content
    assert answer.usage is not None
    (entry,) = gateway.booked(key, 1)
    # gpt-4o-mini: 0.15 and 0.60 USD for a million tokens, in nano-USD for one.
    cost = answer.usage.prompt_tokens * 150 + answer.usage.completion_tokens * 600
    assert (entry["provider"], entry["outcome"], entry["cost_nano_usd"]) == (
        "azure",
        "success",
        cost,
    )
    call = gateway.simulator.calls()[-1]
    assert call["path"] == "/openai/deployments/eu-mini/chat/completions"
    assert f"api-version={VERSION}" in str(call["query"])


def test_stream_of_a_deployment_is_booked_exactly(gateway: RunningGateway, key: str) -> None:
    with client(gateway, key) as azure:
        stream = azure.chat.completions.create(model="eu-mini", messages=ASKED, stream=True)
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert text
    (entry,) = gateway.booked(key, 1)
    assert (entry["usage_status"], entry["confidence"]) == ("exact", "reported")
    assert entry["output_tokens"] == 5


def test_embeddings_of_a_deployment_are_booked(gateway: RunningGateway, key: str) -> None:
    with client(gateway, key) as azure:
        answer = azure.embeddings.create(model="eu-embed", input=["Hello", "world"])
    assert len(answer.data) == 2
    (entry,) = gateway.booked(key, 1)
    # text-embedding-3-small: 0.02 USD for a million tokens.
    assert entry["cost_nano_usd"] == answer.usage.prompt_tokens * 20


def test_unmapped_deployment_is_refused_for_a_key_with_a_budget(
    gateway: RunningGateway, key: str
) -> None:
    with client(gateway, key) as azure, pytest.raises(openai.UnprocessableEntityError) as caught:
        azure.chat.completions.create(model="nobody-mapped-it", messages=ASKED)
    assert caught.value.code == "model_unpriced"
    assert gateway.ledger(key) == []


def test_newer_addresses_are_served_too(gateway: RunningGateway, key: str) -> None:
    address = f"{gateway.base_url}/openai/v1"
    with openai.OpenAI(base_url=address, api_key=key, max_retries=0) as azure:
        answer = azure.chat.completions.create(model="eu-mini", messages=ASKED)
        listed = {model.id for model in azure.models.list()}
    assert answer.choices[0].message.content
    assert "eu-mini" in listed
    (entry,) = gateway.booked(key, 1)
    assert entry["provider"] == "azure"


@pytest.mark.parametrize("name", ["../../v1/x", "a%2fb", "a b"])
def test_name_of_a_deployment_stays_one_segment(
    gateway: RunningGateway, key: str, name: str
) -> None:
    with client(gateway, key) as azure, pytest.raises(openai.APIStatusError) as caught:
        azure.chat.completions.create(model=name, messages=ASKED)
    assert caught.value.status_code in {404, 422}
    assert gateway.ledger(key) == []


def test_response_of_a_deployment_is_booked_and_gone_on_from(
    gateway: RunningGateway, key: str
) -> None:
    address = f"{gateway.base_url}/openai/v1"
    with openai.OpenAI(base_url=address, api_key=key, max_retries=0) as azure:
        first = azure.responses.create(model="eu-mini", input="[[tokens=4]]")
        second = azure.responses.create(
            model="eu-mini", input="[[tokens=3]]", previous_response_id=first.id
        )
        with pytest.raises(openai.NotFoundError):
            azure.responses.create(model="eu-mini", input="hi", previous_response_id="resp_never")
    assert (first.output_text, second.output_text) == ("Hello from the AI", "Hello from the")
    entries = gateway.booked(key, 2)
    assert [entry["output_tokens"] for entry in entries] == [4, 3]
    assert {entry["operation"] for entry in entries} == {"responses"}

"""OpenAI's operations as they go to Azure: a deployment in the path, or a model in the body."""

import json
from typing import Any

import pytest

from ai_gateway.domain.call import Address, Operation
from ai_gateway.errors import ModelNotFound
from ai_gateway.providers.azure_dialect import AzureDialect
from ai_gateway.providers.dialect import UpstreamRequest
from ai_gateway.providers.provider import Provider, Quirks

DIALECT = AzureDialect()
AZURE = Provider("azure", "azure", "https://x.openai.azure.test", "sk-azure-secret")
VERSION = "2024-10-21"


def deployed(name: str = "eu-mini", version: str | None = VERSION) -> Address:
    return Address(name, (("api-version", version),) if version else ())


def sent(address: Address, *, to: Provider = AZURE, **fields: Any) -> UpstreamRequest:
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    asked = DIALECT.read_request(Operation.CHAT, json.dumps(body).encode(), address)
    return DIALECT.upstream_request(
        to, asked, model=asked.model, output_cap=None, client_headers={}
    )


def test_deployment_goes_into_the_path_and_the_version_into_the_query() -> None:
    request = sent(deployed())
    assert request.url == (
        "https://x.openai.azure.test/openai/deployments/eu-mini/chat/completions"
        "?api-version=2024-10-21"
    )
    assert request.headers == {"api-key": "sk-azure-secret"}


def test_address_decides_whatever_model_the_body_names() -> None:
    request = sent(deployed(), model="gpt-6-sol")
    assert "/deployments/eu-mini/" in request.url
    assert json.loads(request.body)["model"] == "eu-mini"


def test_newer_address_has_the_deployment_in_the_body() -> None:
    request = sent(Address(), model="eu-mini")
    assert request.url == "https://x.openai.azure.test/openai/v1/chat/completions"
    assert json.loads(request.body)["model"] == "eu-mini"


@pytest.mark.parametrize("version", ["a&b=c", "#", "../x", "1\r\nx: y"])
def test_version_stays_one_value_of_the_query(version: str) -> None:
    path, _, query = sent(deployed(version=version)).url.partition("?")
    assert path.endswith("/openai/deployments/eu-mini/chat/completions")
    assert query.startswith("api-version=")
    assert not set(query) & set("&#/\r\n ")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a?b", "a b", "a\n", "%2e%2e", "\u00e4"])
def test_name_that_is_no_segment_leads_nowhere(name: str) -> None:
    with pytest.raises(ModelNotFound):
        sent(deployed(name))


@pytest.mark.parametrize(
    ("address", "asks"),
    [
        (deployed(), True),
        (deployed(version="2024-09-01-preview"), True),
        (deployed(version="2024-08-01-preview"), False),
        (deployed(version=None), True),
        (Address(), True),
        (Address(query=(("api-version", "preview"),)), True),
    ],
)
def test_stream_is_asked_for_its_usage_where_the_version_takes_it(
    address: Address, *, asks: bool
) -> None:
    body = json.loads(sent(address, model="m", stream=True).body)
    assert ("stream_options" in body) is asks


def test_quirk_of_a_provider_holds_at_azure_too() -> None:
    quirks = Quirks(takes_include_usage=False)
    other = Provider("lab", "azure", "http://lab.test", None, quirks)
    request = sent(deployed(), to=other, stream=True)
    assert "stream_options" not in json.loads(request.body)
    assert request.headers == {}

"""Azure OpenAI: OpenAI's wire format with a key header of its own, and deployments for models.

A deployment stands in the path, or, at the addresses without an API version, in the body.
"""

import re
from urllib.parse import quote

from ai_gateway.domain.call import PLAIN_ADDRESS, Address, AskedCall, DialectName, Operation
from ai_gateway.errors import ModelNotFound
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import Provider

FIRST_VERSION_WITH_USAGE = "2024-09-01"
"""Those before it refuse to be asked for the usage of a stream, which then tells none."""

_DEPLOYMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)


class AzureDialect(OpenAIDialect):
    """The operations of OpenAI's dialect at Azure's addresses."""

    name: DialectName = "azure"

    def read_request(
        self, operation: Operation, raw: bytes, address: Address = PLAIN_ADDRESS
    ) -> AskedCall:
        # A name such as `..` would lead to another address of the provider.
        if address.deployment is not None and not _DEPLOYMENT.fullmatch(address.deployment):
            raise ModelNotFound(address.deployment)
        return super().read_request(operation, raw, address)

    def url(self, provider: Provider, asked: AskedCall, *, model: str, path: str) -> str:
        if asked.address.deployment is None:
            return f"{provider.base_url}/openai/v1{path}"
        return f"{provider.base_url}/openai/deployments/{quote(model, safe='')}{path}"

    def credential(self, provider: Provider) -> dict[str, str]:
        return {"api-key": provider.api_key} if provider.api_key else {}

    def takes_include_usage(self, provider: Provider, asked: AskedCall) -> bool:
        version = dict(asked.address.query).get("api-version", FIRST_VERSION_WITH_USAGE)
        return version >= FIRST_VERSION_WITH_USAGE and provider.quirks.takes_include_usage

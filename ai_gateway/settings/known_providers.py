"""The names of the built-in providers, in the order of `providers/registry.py`.

Settings are the lowest layer and cannot see the registry; a test holds the two together.
"""

from dataclasses import dataclass

from ai_gateway.settings.values import DialectWord


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """What has to be known of a provider to read its settings.

    A local one is on when its base URL is set and may do without a key; any other one is on when
    its key is set, and `has_address` tells whether its vendor's address is known.
    """

    name: str
    dialect: DialectWord = "openai"
    is_local: bool = False
    has_address: bool = True

    @property
    def key_variable(self) -> str:
        return "AZURE_OPENAI_API_KEY" if self.name == "azure" else f"{self.name.upper()}_API_KEY"

    @property
    def url_variable(self) -> str:
        return "AZURE_OPENAI_ENDPOINT" if self.name == "azure" else f"{self.name.upper()}_BASE_URL"


KNOWN_PROVIDERS = (
    KnownProvider("openai"),
    KnownProvider("anthropic", "anthropic"),
    KnownProvider("azure", "azure", has_address=False),
    KnownProvider("mistral"),
    KnownProvider("deepseek"),
    KnownProvider("xai"),
    KnownProvider("gemini"),
    KnownProvider("moonshot"),
    KnownProvider("perplexity"),
    KnownProvider("groq"),
    KnownProvider("cerebras"),
    KnownProvider("together"),
    KnownProvider("fireworks"),
    KnownProvider("deepinfra"),
    KnownProvider("openrouter"),
    KnownProvider("ollama", is_local=True, has_address=False),
    KnownProvider("vllm", is_local=True, has_address=False),
)

KNOWN_BY_NAME = {known.name: known for known in KNOWN_PROVIDERS}

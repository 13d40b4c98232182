"""What to set in each client, with the address of this installation. The key is a placeholder.

The texts are the examples of docs/clients.md, which the tests run; a test holds the two together.
"""

from dataclasses import dataclass

from flask import request

from ai_gateway.web.me.frame import render

EXAMPLE_ADDRESS = "http://127.0.0.1:8000"
"""Where the gateway is in the texts below."""


@dataclass(frozen=True, slots=True)
class Client:
    """One client: what one has to know of it, and the text to copy."""

    id: str
    name: str
    about: str
    text: str

    def at(self, address: str) -> str:
        """The text for a gateway at this address."""
        return self.text.replace(EXAMPLE_ADDRESS, address)


CLIENTS = (
    Client(
        "variables",
        "Variables",
        "The SDKs read them, and so does what is built on the SDKs. OpenAI’s address ends in /v1, "
        "Anthropic’s does not.",
        """\
export OPENAI_BASE_URL=http://127.0.0.1:8000/v1
export OPENAI_API_KEY=agw_...
export ANTHROPIC_BASE_URL=http://127.0.0.1:8000
export ANTHROPIC_API_KEY=agw_...
""",
    ),
    Client(
        "curl",
        "curl",
        "With the variables from above.",
        """\
curl -sS --fail-with-body "$OPENAI_BASE_URL/chat/completions" \\
  -H "Authorization: Bearer $OPENAI_API_KEY" -H "Content-Type: application/json" \\
  -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}'
""",
    ),
    Client(
        "openai",
        "OpenAI SDK",
        "With the variables, or with both given in the program.",
        """\
from openai import OpenAI

client = OpenAI()  # or OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="agw_...")
answer = client.chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}]
)
print(answer.choices[0].message.content)
""",
    ),
    Client(
        "azure",
        "Azure OpenAI SDK",
        "The model is the deployment’s name, which whoever runs this gateway has mapped.",
        """\
from openai import AzureOpenAI

client = AzureOpenAI(
    azure_endpoint="http://127.0.0.1:8000", api_key="agw_...", api_version="2024-10-21"
)
answer = client.chat.completions.create(
    model="eu-mini", messages=[{"role": "user", "content": "Hello"}]
)
print(answer.choices[0].message.content)
""",
    ),
    Client(
        "anthropic",
        "Anthropic SDK",
        "With the variables, or with both given in the program.",
        """\
from anthropic import Anthropic

client = Anthropic()  # or Anthropic(base_url="http://127.0.0.1:8000", api_key="agw_...")
message = client.messages.create(
    model="claude-haiku-5-5", max_tokens=100, messages=[{"role": "user", "content": "Hello"}]
)
print(message.content[0].text)
""",
    ),
    Client(
        "claude-code",
        "Claude Code",
        "ANTHROPIC_API_KEY has to be unset: two different keys in one request are refused.",
        """\
export ANTHROPIC_BASE_URL=http://127.0.0.1:8000
export ANTHROPIC_AUTH_TOKEN=agw_...
unset ANTHROPIC_API_KEY
claude
""",
    ),
    Client(
        "codex",
        "Codex",
        "In ~/.codex/config.toml; and GATEWAY_KEY has the key when codex starts.",
        """\
model = "gpt-5-mini"
model_provider = "gateway"

[model_providers.gateway]
name = "AI Gateway"
base_url = "http://127.0.0.1:8000/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
""",
    ),
    Client(
        "langchain",
        "LangChain",
        "With the variables from above.",
        """\
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

for model in (ChatOpenAI(model="gpt-4o-mini"), ChatAnthropic(model="claude-haiku-5-5")):
    print(model.invoke("Hello").text)
""",
    ),
)


def clients() -> str:
    """At /me/clients/."""
    address = request.url_root.rstrip("/")
    return render("me/clients.html", clients=CLIENTS, address=address)

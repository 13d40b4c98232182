"""What the operator chose about traces; the variables of LangSmith have the names of its SDK."""

from dataclasses import dataclass

from ai_gateway.settings.environment import Environment
from ai_gateway.settings.values import Secret

ENDPOINT = "https://api.smith.langchain.com"
PROJECT = "ai-gateway"


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """`is_wanted` is the switch; nothing is sent without a key.

    `sample` is the part of the calls without an error that is sent; `with_content` lets prompts
    and answers go too.
    """

    api_key: Secret | None
    project: str
    endpoint: str
    workspace_id: str | None
    is_wanted: bool
    sample: float
    with_content: bool

    @property
    def is_on(self) -> bool:
        return self.is_wanted and self.api_key is not None


def read_tracing(read: Environment) -> TracingSettings:
    """Raises `SettingsError` for the first variable that is wrong."""
    endpoint = read.url("LANGSMITH_ENDPOINT", ("http", "https")) or ENDPOINT
    return TracingSettings(
        api_key=read.secret("LANGSMITH_API_KEY"),
        project=read.text("LANGSMITH_PROJECT") or PROJECT,
        endpoint=endpoint.rstrip("/"),
        workspace_id=read.text("LANGSMITH_WORKSPACE_ID"),
        is_wanted=read.boolean("LANGSMITH_TRACING_ENABLED", default=True),
        sample=read.share("LANGSMITH_TRACING_SAMPLING_RATE", 1.0),
        with_content=read.boolean("AI_GATEWAY_TRACE_CONTENT", default=False),
    )

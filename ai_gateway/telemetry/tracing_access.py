"""Where LangSmith is, and what was found there; apart from the SDK, which takes long to load."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Access:
    """Where LangSmith is, and who asks."""

    endpoint: str
    api_key: str = field(repr=False)
    workspace_id: str | None
    project: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What an authenticated read told; `project_link` is None before the first run."""

    error: str | None = None
    project_link: str | None = None

"""The made-up people, programs and models of the demo. All of it is data; names are invented."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

NEAR, OVER, BLOCKED = "lena.hoffmann", "tomasz.nowak", "carlos.mendes"
"""Whose budgets end near their limits, above them, and with a limit of 0."""

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
EMBEDDINGS = "/v1/embeddings"
AZURE = "/openai/deployments/support-eu/chat/completions?api-version=2024-10-21"
NO_FIELDS: Mapping[str, object] = MappingProxyType({})


class Rhythm(StrEnum):
    """When somebody works: in office hours on weekdays, around the clock, or in the small hours."""

    OFFICE = "office"
    ALWAYS = "always"
    NIGHT = "night"


@dataclass(frozen=True, slots=True)
class Model:
    """A model as clients ask for it. `weight` is its share where somebody takes what fits."""

    name: str
    provider: str
    weight: int
    path: str = CHAT
    fields: Mapping[str, object] = field(default_factory=lambda: NO_FIELDS)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, or a program, with so many calls on a busy day.

    `joined` and `left` count days before now. Without `models` it takes what fits.
    """

    username: str
    calls_a_day: int
    rhythm: Rhythm = Rhythm.OFFICE
    joined: int = 30
    left: int = 0
    models: tuple[str, ...] = ()
    label: str = "laptop"
    daily_usd: str = ""
    monthly_usd: str = ""


MODELS = (
    Model("gpt-6-luna", "openai", 9),
    Model("gpt-4o-mini", "openai", 5),
    Model("gpt-6-sol", "openai", 4),
    Model("claude-haiku-5-5", "anthropic", 6, MESSAGES, {"max_tokens": 2000}),
    Model("claude-sonnet-5-5", "anthropic", 5, MESSAGES, {"max_tokens": 2000}),
    Model("claude-opus-5-5", "anthropic", 1, MESSAGES, {"max_tokens": 4000}),
    Model("mistral-small-latest", "mistral", 3),
    Model("mistral-large-latest", "mistral", 1),
    Model("groq/llama-3.3-70b-versatile", "groq", 3),
    Model("groq/openai/gpt-oss-120b", "groq", 1),
    Model("gemini-3.8-flash", "gemini", 2),
    # No list has a price of its own for this tier, so that staff see calls without a sure price.
    Model("deepseek-v4-pro", "deepseek", 1, fields={"service_tier": "priority"}),
    Model("support-eu", "azure", 0, AZURE),
    Model("text-embedding-3-small", "openai", 0, EMBEDDINGS),
)
MODELS_BY_NAME = {model.name: model for model in MODELS}

_CODING = ("claude-sonnet-5-5", "claude-opus-5-5", "gpt-6-sol")

CAST = (
    Person("amara.okafor", 7),
    Person("beatriz.alonso", 5),
    Person("chen.wei", 9, models=_CODING, daily_usd="15", monthly_usd="200"),
    Person("daniel.kowalski", 4),
    Person("elif.aydin", 6),
    Person("freya.sorensen", 3),
    Person("hiroshi.tanaka", 8, models=_CODING, daily_usd="15", monthly_usd="200"),
    Person("ines.carvalho", 4),
    Person(BLOCKED, 5, label="notebook"),
    Person(NEAR, 9, models=("claude-sonnet-5-5", "gpt-6-sol", "gpt-6-luna")),
    Person("marcus.lindqvist", 5),
    Person(OVER, 8, models=("claude-opus-5-5", "claude-sonnet-5-5", "gpt-6-sol")),
    Person("priya.raman", 7, label="old laptop"),
    Person("rosa.giordano", 3),
    Person("search-indexer", 10, Rhythm.NIGHT, models=("text-embedding-3-small",), label="cron"),
    Person("support-bot", 14, Rhythm.ALWAYS, models=("support-eu",), label="production"),
    Person("samuel.adeyemi", 4, joined=26, daily_usd="none", monthly_usd="none"),
    Person("noah.fischer", 6, joined=25, left=5, label="internship"),
    Person("sofia.petrova", 6, joined=22),
    Person("thabo.nkosi", 5, joined=19),
    Person("ursula.brandt", 3, joined=17),
    Person(
        "nightly-eval",
        12,
        Rhythm.NIGHT,
        joined=14,
        models=("gpt-6-sol", "claude-haiku-5-5", "groq/llama-3.3-70b-versatile"),
        label="ci",
        daily_usd="25",
        monthly_usd="300",
    ),
    Person("viktor.horvath", 7, joined=11),
    Person("yuki.mori", 8, joined=8),
    Person("zainab.hassan", 4, joined=4),
)

LOST_KEY = "priya.raman"
"""Whose first key is revoked, since it was lost, and replaced by another."""

PROMPTS = (
    "Sum up the minutes of yesterday's meeting.",
    "Translate the release notes into plain English.",
    "Why does this query scan the whole table?",
    "Write a friendly answer to this complaint.",
    "Find the mistake in this function.",
    "Draft an agenda for the planning week.",
)
FAULTS = (
    "[[status=500]]",
    "[[status=503]]",
    "[[status=429]]",
    "[[status=400]]",
    "[[garbage]]",
    "[[cut=4]]",
    "[[error=4]]",
)

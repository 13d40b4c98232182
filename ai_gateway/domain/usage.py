"""Token counts of one call, in one form for every dialect, and how sure we are of them.

`input_tokens` holds everything that is billed as input (cached and written parts included),
`output_tokens` holds the reasoning. The parts are subsets; `disjoint()` cuts them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import add, attrgetter

from ai_gateway.domain.money import Money


class UsageStatus(StrEnum):
    """What the provider's answer told of its usage."""

    EXACT = "exact"
    PROVIDER_COST = "provider_cost"
    PARTIAL = "partial"
    MISSING = "missing"
    NOT_BILLED = "not_billed"
    ANOMALY = "anomaly"


class Confidence(StrEnum):
    """How sure the cost is: by the provider, by the bytes relayed, or by a lapsed lease."""

    REPORTED = "reported"
    COUNTED = "counted"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class Usage:
    """Counted tokens of one call; `web_searches` counts billed searches."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_long_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    cached_audio_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    web_searches: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*map(add, self.counts(), other.counts()))

    def counts(self) -> tuple[int, ...]:
        """All of them, in the order of the fields."""
        return _counts(self)

    def disjoint(self) -> dict[str, int]:
        """Cut the counts into parts that add up to input + output; the keys are metric labels."""
        fresh_audio = self.audio_input_tokens - self.cached_audio_tokens
        written = self.cache_write_tokens + self.cache_write_long_tokens
        special_input = self.cached_input_tokens + written + fresh_audio + self.image_input_tokens
        # Reasoning is text, so what is spoken or drawn is never part of it.
        special_output = self.reasoning_tokens + self.audio_output_tokens + self.image_output_tokens
        return {
            "input": self.input_tokens - special_input,
            "cached_input": self.cached_input_tokens - self.cached_audio_tokens,
            "cache_write": self.cache_write_tokens,
            "cache_write_long": self.cache_write_long_tokens,
            "audio_input": fresh_audio,
            "cached_audio": self.cached_audio_tokens,
            "image_input": self.image_input_tokens,
            "output": self.output_tokens - special_output,
            "reasoning": self.reasoning_tokens,
            "audio_output": self.audio_output_tokens,
            "image_output": self.image_output_tokens,
        }

    @property
    def is_consistent(self) -> bool:
        """No count is negative, and no part is larger than its whole."""
        is_whole = self.cached_audio_tokens <= self.cached_input_tokens
        return is_whole and self.web_searches >= 0 and min(self.disjoint().values()) >= 0

    def clamped(self) -> "Usage":
        """The larger reading of an inconsistent report: no negatives, wholes cover their parts."""
        counts = {f.name: max(0, getattr(self, f.name)) for f in fields(self)}
        cached_audio = min(
            counts["cached_audio_tokens"],
            counts["cached_input_tokens"],
            counts["audio_input_tokens"],
        )
        counts["cached_audio_tokens"] = cached_audio
        parts_in = (
            counts["cached_input_tokens"]
            + counts["cache_write_tokens"]
            + counts["cache_write_long_tokens"]
            + counts["audio_input_tokens"]
            - cached_audio
            + counts["image_input_tokens"]
        )
        parts_out = (
            counts["reasoning_tokens"]
            + counts["audio_output_tokens"]
            + counts["image_output_tokens"]
        )
        # Parts larger than their whole can only mean that they were left out of it.
        if parts_in > counts["input_tokens"]:
            counts["input_tokens"] += parts_in
        if parts_out > counts["output_tokens"]:
            counts["output_tokens"] += parts_out
        return Usage(**counts)


_counts: Callable[[Usage], tuple[int, ...]] = attrgetter(*(f.name for f in fields(Usage)))


@dataclass(frozen=True, slots=True)
class HelperUsage:
    """What another model took in the same call, beside the one that answered."""

    model: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer told: the usage, how much of it can be trusted, and the served facts.

    `usage` is that of the model that answered, `helpers` have what others took. Every token costs
    `surcharge_percent` more than the list says. `has_unpriced` tells that something was billed
    whose price nobody knows, so that the cost is a lower bound.

    `text_bytes` counts the UTF-8 bytes of text and tool arguments that were relayed; it stands in
    for output tokens where the provider reports none. `raw` is the provider's own usage object,
    `stated_cost` what it says that it charges, `stored_id` the name of what it keeps of the answer,
    `provider_id` the name of the answer, kept or not.
    `failed` tells that the provider's work failed; what is not `is_readable` is no answer at all.
    """

    status: UsageStatus
    usage: Usage
    text_bytes: int = 0
    served_model: str | None = None
    service_tier: str | None = None
    raw: str | None = None
    failed: bool = False
    stated_cost: Money | None = None
    stored_id: str | None = None
    provider_id: str | None = None
    is_readable: bool = True
    helpers: tuple[HelperUsage, ...] = ()
    surcharge_percent: int = 0
    has_unpriced: bool = False

    @property
    def total_usage(self) -> Usage:
        """What all models took together."""
        return sum((helper.usage for helper in self.helpers), self.usage)

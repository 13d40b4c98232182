"""Counted usage: what stands in where a provider reports none (architecture.md 8.4)."""

from dataclasses import replace
from math import ceil

from ai_gateway.domain.usage import Usage

FIRST_BYTES_PER_TOKEN = 4.0
MEMORY = 0.05
"""How much one metered call moves the running ratio of its model."""

BOUNDS = (1.0, 12.0)
"""A ratio outside is no text: an answer of images, or hidden reasoning."""


class TokenCounter:
    """Bytes per token of each model, learned from metered calls; one for each worker."""

    def __init__(self) -> None:
        self._ratios: dict[str, float] = {}

    def learn(self, model: str, usage: Usage, text_bytes: int) -> None:
        """Take a metered answer into the running ratio of its model."""
        tokens = usage.output_tokens - usage.reasoning_tokens
        if tokens <= 0 or text_bytes <= 0:
            return
        low, high = BOUNDS
        seen = min(high, max(low, text_bytes / tokens))
        known = self._ratios.get(model, FIRST_BYTES_PER_TOKEN)
        self._ratios[model] = known + (seen - known) * MEMORY

    def count(self, model: str, *, input_bytes: int, text_bytes: int) -> Usage:
        """Usage by the bytes that went in and came out; hidden reasoning cannot be counted."""
        return Usage(
            input_tokens=ceil(input_bytes / FIRST_BYTES_PER_TOKEN),
            output_tokens=self.output_tokens(model, text_bytes),
        )

    def complete(self, model: str, reported: Usage, *, input_bytes: int, text_bytes: int) -> Usage:
        """A reported lower bound, with the output raised to what was counted.

        A call without input there is none: some servers tell 0 until they know better.
        """
        counted = self.count(model, input_bytes=input_bytes, text_bytes=text_bytes)
        return replace(
            reported,
            input_tokens=reported.input_tokens or counted.input_tokens,
            output_tokens=max(reported.output_tokens, counted.output_tokens),
        )

    def output_tokens(self, model: str, text_bytes: int) -> int:
        return ceil(text_bytes / self._ratios.get(model, FIRST_BYTES_PER_TOKEN))

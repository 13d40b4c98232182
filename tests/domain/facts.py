"""What tests of the rules are made of: strategies for usage and prices, and plain price rows."""

from dataclasses import fields, replace

from hypothesis import strategies as st

from ai_gateway.domain.pricing import RATE_NAMES, PriceRow, Rates, Tier
from ai_gateway.domain.usage import Usage

COUNT_NAMES = tuple(field.name for field in fields(Usage))
COUNTS = st.integers(0, 3_000_000)
RATES = st.integers(0, 600_000_000)
"""Pico-USD for one token, up to 600 USD for a million."""


def flat_rates(input_rate: int = 0, output_rate: int = 0, **special: int) -> Rates:
    """Every kind at the rate of its parent but for those that are named."""
    names = {
        name: output_rate if name in {"output", "reasoning"} or "output" in name else input_rate
        for name in RATE_NAMES
    }
    return Rates(**names | special)


def flat_row(input_rate: int = 0, output_rate: int = 0, **special: int) -> PriceRow:
    """A row with one tier."""
    return PriceRow(
        "lab/our-model",
        "lab",
        "our-model",
        (Tier(-1, flat_rates(input_rate, output_rate, **special)),),
    )


def rates() -> st.SearchStrategy[Rates]:
    return st.builds(Rates, **dict.fromkeys(RATE_NAMES, RATES))


@st.composite
def price_rows(draw: st.DrawFn) -> PriceRow:
    """Rows with one to three tiers."""
    thresholds = draw(st.lists(st.integers(0, 400_000), unique=True, max_size=2))
    tiers = [Tier(over, draw(rates())) for over in [-1, *sorted(thresholds)]]
    return PriceRow("lab/our-model", "lab", "our-model", tuple(tiers), draw(st.none() | RATES))


def any_usages() -> st.SearchStrategy[Usage]:
    """What a confused provider may report, negative counts included."""
    return st.builds(Usage, **dict.fromkeys(COUNT_NAMES, st.integers(-1_000_000, 3_000_000)))


def usages() -> st.SearchStrategy[Usage]:
    """Consistent usage of every kind."""
    return st.builds(Usage, **dict.fromkeys(COUNT_NAMES, COUNTS)).map(Usage.clamped)


@st.composite
def usages_within(draw: st.DrawFn, input_tokens: int, output_tokens: int) -> Usage:
    """Consistent usage without searches that stays within two bounds."""
    usage = Usage(
        input_tokens=draw(st.integers(0, input_tokens)),
        output_tokens=draw(st.integers(0, output_tokens)),
    )
    free_in, free_out = usage.input_tokens, usage.output_tokens
    parts = {}
    for name in ("cache_write_tokens", "cache_write_long_tokens", "image_input_tokens"):
        parts[name] = draw(st.integers(0, free_in))
        free_in -= parts[name]
    for name in ("reasoning_tokens", "audio_output_tokens", "image_output_tokens"):
        parts[name] = draw(st.integers(0, free_out))
        free_out -= parts[name]
    both = draw(st.integers(0, free_in))
    free_in -= both
    cached = draw(st.integers(0, free_in))
    spoken = draw(st.integers(0, free_in - cached))
    return replace(
        usage,
        **parts,
        cached_audio_tokens=both,
        cached_input_tokens=both + cached,
        audio_input_tokens=both + spoken,
    )

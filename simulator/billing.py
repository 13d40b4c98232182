"""The amounts of a usage object, tokens and made-up money.

Every model costs the same here: 3 USD for a million input tokens, cached or not, 15 USD for a
million output tokens; perplexity's search is 0.005 USD on top. No real call may be priced by it.
"""

from typing import Final

from simulator.usage import Usage

_INPUT_NANO_USD: Final = 3_000
_OUTPUT_NANO_USD: Final = 15_000
_SEARCH_NANO_USD: Final = 5_000_000
_NANO_USD: Final = 1_000_000_000
# xAI counts in parts of 1e-10 USD.
_TICKS_PER_NANO_USD: Final = 10
# From this family on OpenAI's cache reports its writes, even when there are none.
_WRITE_REPORTING: Final = ("gpt-5.6", "gpt-6")


def cost_nano_usd(usage: Usage) -> int:
    """Price a call, without a search."""
    return usage.input_tokens * _INPUT_NANO_USD + usage.output_tokens * _OUTPUT_NANO_USD


def usage_values(usage: Usage, model: str) -> dict[str, object]:
    """Name the amounts that the usage templates may use.

    ``output`` has the reasoning, ``visible`` has not; so have ``total`` and ``visible_total``.
    ``written`` is None where it is not told. Costs are in USD, ``ticks`` in xAI's unit.
    """
    written = usage.cache_write_5m + usage.cache_write_1h
    visible = usage.output_tokens - usage.reasoning_tokens
    cost = cost_nano_usd(usage)
    return {
        "input": usage.input_tokens,
        "cached": usage.cached_input_tokens,
        "uncached": max(0, usage.input_tokens - usage.cached_input_tokens),
        "written": written if written or model.startswith(_WRITE_REPORTING) else None,
        "output": usage.output_tokens,
        "visible": visible,
        "reasoning": usage.reasoning_tokens,
        "total": usage.input_tokens + usage.output_tokens,
        "visible_total": usage.input_tokens + visible,
        "cost": cost / _NANO_USD,
        "input_cost": usage.input_tokens * _INPUT_NANO_USD / _NANO_USD,
        "output_cost": usage.output_tokens * _OUTPUT_NANO_USD / _NANO_USD,
        "search_cost": _SEARCH_NANO_USD / _NANO_USD,
        "cost_with_search": (cost + _SEARCH_NANO_USD) / _NANO_USD,
        "ticks": cost * _TICKS_PER_NANO_USD,
    }

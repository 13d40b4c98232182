"""Reads Anthropic's usage objects (metering.md B5).

`input_tokens` holds only what is neither read from nor written to the cache; all input is the sum
of the three. What is billed beside them at a price that nobody knows is never passed over.
"""

from collections.abc import Mapping
from functools import reduce
from operator import add

from ai_gateway.domain.usage import HelperUsage, Reading, Usage, UsageStatus
from ai_gateway.providers import json_body
from ai_gateway.providers.dialect import (
    checked,
    count_in,
    has_count,
    object_in,
    objects_in,
    raw_usage,
)

INPUT_GROUP = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")

_SURCHARGES = {"": 0, "global": 0, "not_available": 0, "us": 10}
"""Per cent on every token for where it was made; the empty place is none that was told."""

_IN_TOP_LEVEL = frozenset({"message", "fallback_message"})
"""The iterations that the counts of the top level hold already."""

_COMPACTION = "compaction"
_ADVISOR = "advisor_message"
"""Another model was asked for advice, and is billed at its own price."""

_FREE_TOOLS = frozenset({"web_fetch_requests", "tool_search_requests"})
_PRICED_TOOLS = frozenset({"web_search_requests"})


def surcharge_percent(place: str | None) -> int | None:
    """What a place adds to the price; None where nobody knows."""
    return _SURCHARGES.get(place or "")


def read_usage(reported: object) -> Reading:
    """What a usage object tells; the answer around it tells the rest."""
    if not isinstance(reported, dict) or not has_count(reported, "input_tokens"):
        return Reading(UsageStatus.MISSING, Usage(), raw=raw_usage(reported))
    iterations = [(str(one.get("type")), one) for one in objects_in(reported, "iterations")]
    # The top level leaves out what a compaction took, and that is billed too.
    own = [one for kind, one in iterations if kind == _COMPACTION]
    usage, status = _checked([reported, *own])
    helpers = []
    for kind, one in iterations:
        if kind not in {_COMPACTION, *_IN_TOP_LEVEL}:
            taken, certainty = _checked([one])
            helpers.append(HelperUsage(json_body.optional_text(one, "model") or "", taken))
            if kind != _ADVISOR or certainty is UsageStatus.ANOMALY:
                # Whether the top level holds it is not told: the larger reading is billed.
                status = UsageStatus.ANOMALY
    surcharge = surcharge_percent(json_body.optional_text(reported, "inference_geo"))
    return Reading(
        status=status,
        usage=usage,
        service_tier=_tier(reported),
        raw=raw_usage(reported),
        helpers=tuple(helpers),
        surcharge_percent=surcharge or 0,
        has_unpriced=surcharge is None or _has_unpriced_tool(reported),
    )


def _checked(blocks: list[Mapping[str, object]]) -> tuple[Usage, UsageStatus]:
    usage = reduce(add, map(_part, blocks))
    if any(count_in(block, name) < 0 for block in blocks for name in INPUT_GROUP):
        return usage.clamped(), UsageStatus.ANOMALY
    is_whole = has_count(blocks[0], "output_tokens")
    return checked(usage, status=UsageStatus.EXACT if is_whole else UsageStatus.PARTIAL)


def _part(reported: Mapping[str, object]) -> Usage:
    fresh, read, written = (max(0, count_in(reported, name)) for name in INPUT_GROUP)
    split = object_in(reported, "cache_creation")
    # The split may be incomplete: what it leaves out was written for five minutes.
    long_writes = min(count_in(split, "ephemeral_1h_input_tokens"), written)
    return Usage(
        input_tokens=fresh + read + written,
        cached_input_tokens=read,
        cache_write_tokens=written - long_writes,
        cache_write_long_tokens=long_writes,
        output_tokens=count_in(reported, "output_tokens"),
        reasoning_tokens=count_in(object_in(reported, "output_tokens_details"), "thinking_tokens"),
        web_searches=count_in(object_in(reported, "server_tool_use"), "web_search_requests"),
    )


def _has_unpriced_tool(reported: Mapping[str, object]) -> bool:
    used = object_in(reported, "server_tool_use")
    return any(count_in(used, name) > 0 for name in used.keys() - _FREE_TOOLS - _PRICED_TOOLS)


def _tier(reported: Mapping[str, object]) -> str:
    """The speed that was served, as a tier; what an answer does not tell is standard.

    Anthropic's own tiers have one price: that of priority is paid beforehand.
    """
    return json_body.optional_text(reported, "speed") or "standard"

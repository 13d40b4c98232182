"""Reads the usage that has `prompt_tokens` and `completion_tokens`.

These names live only here (metering.md B1, B8 to B10). Cached, written and audio tokens are inside
the prompt; reasoning is inside the completion unless the vendor's row says otherwise.
"""

from collections.abc import Mapping
from dataclasses import replace

from ai_gateway.domain.usage import Usage, UsageStatus
from ai_gateway.providers.dialect import checked, count_in, has_count, object_in
from ai_gateway.providers.provider import UsageReport


def read_usage(
    reported: Mapping[str, object], report: UsageReport, *, has_output: bool = True
) -> tuple[Usage, UsageStatus]:
    """The counts of a usage object, and whether they are all there and agree."""
    if not has_count(reported, "prompt_tokens"):
        return Usage(), UsageStatus.MISSING
    usage = _counts(reported, report)
    total = count_in(reported, "total_tokens")
    beyond = total - total_of(reported) if total else 0
    if report.total_has_reasoning and beyond > 0 and usage.reasoning_tokens in {0, beyond}:
        output_tokens = usage.output_tokens + beyond
        usage = replace(usage, output_tokens=output_tokens, reasoning_tokens=beyond)
        beyond = 0
    is_whole = not has_output or has_count(reported, "completion_tokens")
    usage, status = checked(usage, status=UsageStatus.EXACT if is_whole else UsageStatus.PARTIAL)
    if not beyond:
        return usage, status
    # What the total has beside its parts was generated too; the larger reading is billed.
    output_tokens = max(usage.output_tokens, total - usage.input_tokens)
    return replace(usage, output_tokens=output_tokens), UsageStatus.ANOMALY


def total_of(usage: Mapping[str, object]) -> int:
    """What the two counts say together, whatever the total says."""
    return count_in(usage, "prompt_tokens") + count_in(usage, "completion_tokens")


def _counts(reported: Mapping[str, object], report: UsageReport) -> Usage:
    prompt = object_in(reported, "prompt_tokens_details")
    completion = object_in(reported, "completion_tokens_details")
    cached = count_in(prompt, "cached_tokens")
    if not has_count(prompt, "cached_tokens") and report.cached_field:
        cached = count_in(reported, report.cached_field)
    reasoning = count_in(completion, "reasoning_tokens")
    beside = count_in(reported, "reasoning_tokens") if report.reasoning_is_beside else 0
    return Usage(
        input_tokens=count_in(reported, "prompt_tokens"),
        cached_input_tokens=cached,
        cache_write_tokens=count_in(prompt, "cache_write_tokens"),
        audio_input_tokens=count_in(prompt, "audio_tokens"),
        image_input_tokens=count_in(prompt, "image_tokens"),
        output_tokens=count_in(reported, "completion_tokens") + beside,
        reasoning_tokens=reasoning + beside,
        audio_output_tokens=count_in(completion, "audio_tokens"),
    )

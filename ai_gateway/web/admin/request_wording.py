"""How what is known of a request is said on its page."""

from ai_gateway.domain.call import Outcome, PriceStatus, UpstreamResult
from ai_gateway.domain.price_lines import PriceSource
from ai_gateway.domain.request_list import OutcomeFilter
from ai_gateway.domain.usage import Confidence, UsageStatus
from ai_gateway.services.explanation import ExplainedCharge
from ai_gateway.web.admin.wording import OUTCOME_WORDS

OUTCOME_CHOICES = {
    OutcomeFilter.FAILED: "Any failure",
    **{
        OutcomeFilter(outcome.value): words
        for outcome, (_, _, words) in OUTCOME_WORDS.items()
        if outcome is not Outcome.CLIENT_ERROR
    },
}

KIND_WORDS = {
    "input": "Input",
    "cached_input": "Cached input",
    "cache_write": "Cache write",
    "cache_write_long": "Cache write, one hour",
    "audio_input": "Audio input",
    "cached_audio": "Cached audio",
    "image_input": "Image input",
    "output": "Output",
    "reasoning": "Reasoning",
    "audio_output": "Audio output",
    "image_output": "Image output",
    "tool": "Web searches",
}
"""Each kind of token, and what is paid for a tool."""

UPSTREAM_WORDS = {
    UpstreamResult.OK: "answered",
    UpstreamResult.TIMEOUT: "gave no answer in time",
    UpstreamResult.CONNECT: "could not be reached",
    UpstreamResult.HTTP_429: "answered 429: its rate limit",
    UpstreamResult.HTTP_4XX: "answered 4xx",
    UpstreamResult.HTTP_5XX: "answered 5xx, or an error in its answer",
    UpstreamResult.OVERLOADED: "answered that it is overloaded",
    UpstreamResult.INVALID_RESPONSE: "sent what is no answer",
    UpstreamResult.STREAM_CUT: "broke its stream off",
}

USAGE_WORDS = {
    UsageStatus.EXACT: "The provider reported it whole.",
    UsageStatus.PROVIDER_COST: "The provider stated a cost.",
    UsageStatus.PARTIAL: "The provider reported a lower bound; the output was counted.",
    UsageStatus.MISSING: "The provider reported nothing; it was counted by the bytes relayed.",
    UsageStatus.NOT_BILLED: "The provider did no work for it.",
    UsageStatus.ANOMALY: "What the provider reported does not agree; the larger reading holds.",
}

CONFIDENCE_WORDS = {
    Confidence.REPORTED: "reported by the provider",
    Confidence.COUNTED: "counted by the bytes relayed",
    Confidence.ESTIMATED: "estimated: what was last known before its worker was lost",
}

PRICE_STATUS_WORDS = {
    PriceStatus.PRICED: "priced",
    PriceStatus.PROVIDER_STATED: "stated by the provider",
    PriceStatus.UNPRICED: "unpriced: something in it has no price",
}

SOURCE_WORDS = {
    PriceSource.ENTERED: "entered here by staff",
    PriceSource.OPERATOR: "configuration file",
    PriceSource.LIST: "price list",
}


def said(words: dict[str, str], word: str) -> str:
    """A word that nobody knows stands for itself."""
    return words.get(word, word.replace("_", " "))


def rounding_words(charge: ExplainedCharge) -> str:
    """The one rounding of a call."""
    rounding = charge.rounding
    if not rounding.left_over:
        return "nothing to round"
    way = "up" if rounding.is_up else "down"
    return (
        f"rounded {way}, just between two: to the even one" if rounding.is_tie else f"rounded {way}"
    )

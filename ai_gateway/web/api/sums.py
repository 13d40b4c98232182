"""The sums of a span, as several addresses answer them."""

from ai_gateway.domain.money import Money
from ai_gateway.services.analytics import UsageSums
from ai_gateway.web.api.fields import Answer, Count, NanoUsd, Number, Usd, rounded

PERCENT_PLACES = 4
MILLISECOND_PLACES = 3


class Sums(Answer):
    """What was used in a span. Averages and rates are null without a request."""

    cost_usd: Usd
    cost_nano_usd: NanoUsd
    requests: Count
    """Admitted requests; what the gateway refused is in no sum."""
    error_count: Count
    """Admitted requests that failed; those that a client cancelled did not."""
    cancellations: Count
    unpriced_requests: Count
    """Requests without a known price, which add 0 to the cost."""
    tokens: Count
    """Input and output."""
    input_tokens: Count
    cached_input_tokens: Count
    """A part of `input_tokens`."""
    output_tokens: Count
    error_rate: Number | None
    """Percent of the requests that failed, to four decimals."""
    avg_cost_per_request: Usd | None
    avg_cost_per_request_nano_usd: NanoUsd | None
    avg_latency_ms: Number | None


def sums_of(sums: UsageSums) -> Sums:
    average = average_cost(sums)
    return Sums(
        cost_usd=sums.cost,
        cost_nano_usd=sums.cost,
        requests=sums.requests,
        error_count=sums.failures,
        cancellations=sums.cancellations,
        unpriced_requests=sums.unpriced,
        tokens=sums.tokens,
        input_tokens=sums.input_tokens,
        cached_input_tokens=sums.cached_input_tokens,
        output_tokens=sums.output_tokens,
        error_rate=error_percent(sums),
        avg_cost_per_request=average,
        avg_cost_per_request_nano_usd=average,
        avg_latency_ms=average_latency(sums),
    )


def average_cost(sums: UsageSums) -> Money | None:
    """To the nano-dollar, half to even."""
    average = sums.average_cost
    return None if average is None else Money(round(average))


def error_percent(sums: UsageSums) -> Number | None:
    rate = sums.error_rate
    return rounded(None if rate is None else rate * 100, PERCENT_PLACES)


def average_latency(sums: UsageSums) -> Number | None:
    return rounded(sums.average_latency_ms, MILLISECOND_PLACES)

"""What the API says of requests: each as a line of a list, and one of them explained."""

from ai_gateway.web.api.calls import CallAnswer
from ai_gateway.web.api.fields import Answer, Count, Moment, NanoUsd, Usd


class ListedCallAnswer(CallAnswer):
    """One admitted call. What was said in it is not kept."""

    key_id: str
    served_model: str
    """The provider's own word for what answered."""


class RequestsAnswer(Answer):
    """Calls, newest first. A call that comes in later does not move the pages."""

    calls: list[ListedCallAnswer]
    next_cursor: str | None
    """Null on the last page. A page may be short and yet not the last: go on while there is one."""


class TimelineAnswer(Answer):
    """Something that happened to the call."""

    step: str
    at: Moment | None
    """Null where it was not recorded."""


class UsageAnswer(Answer):
    """The counts in one form for every provider; the parts are within `input` and `output`."""

    input_tokens: Count
    cached_input_tokens: Count
    cache_write_tokens: Count
    cache_write_long_tokens: Count
    output_tokens: Count
    reasoning_tokens: Count
    audio_input_tokens: Count
    cached_audio_tokens: Count
    audio_output_tokens: Count
    image_input_tokens: Count
    image_output_tokens: Count
    web_searches: Count


class LineAnswer(Answer):
    """So many of a kind at a rate: `count` times `pico_usd_each` is `pico_usd`."""

    kind: str
    count: Count
    pico_usd_each: Count
    usd_per_million: str
    """The same rate in USD for a million."""
    pico_usd: Count
    price_row: str


class HoldAnswer(Answer):
    """What stood for the call while it ran. Less than `wanted` was held where it was lowered."""

    wanted_usd: Usd
    wanted_nano_usd: NanoUsd
    held_usd: Usd
    held_nano_usd: NanoUsd
    released_usd: Usd
    released_nano_usd: NanoUsd
    overrun_usd: Usd
    """What the call cost beyond its hold."""
    overrun_nano_usd: NanoUsd
    output_cap: Count | None
    """The cap that the gateway sent in its own name; null where it sent none."""


class EntryDifferenceAnswer(Answer):
    """One entry of the ledger: what it added, and the words as they were then."""

    entry_no: int
    settled_at: Moment
    cost_usd: Usd
    cost_nano_usd: NanoUsd
    total_after_usd: Usd
    total_after_nano_usd: NanoUsd
    input_tokens: int
    output_tokens: int
    outcome: str
    usage_status: str
    confidence: str
    price_status: str


class RequestAnswer(Answer):
    """One admitted call, and how its cost came about.

    With the basis `prices` the cost is the sum of the lines, divided by 1000 and rounded half to
    even; with `hold` it is that, but no more than what was held; with `provider` it is what the
    provider stated, and the lines are what the prices would make of the counts.
    """

    request_id: str
    provider_id: str | None
    """The name that the provider gave to its answer."""
    user_id: int
    username: str | None
    key_id: str
    provider: str
    model_requested: str
    model: str
    served_model: str
    operation: str
    stream: bool
    outcome: str
    upstream: str | None
    """What the provider did, whatever became of the request."""
    usage_status: str
    confidence: str
    price_status: str
    timeline: list[TimelineAnswer]
    latency_ms: Count
    ttft_ms: Count | None
    usage: UsageAnswer
    raw_usage: str | None
    """The usage as the provider sent it, as JSON text."""
    price_row: str
    price_source: str | None
    """`entered` by staff, from the `operator`'s file, or from the price `list`."""
    price_book: str
    is_price_book_in_force: bool
    basis: str | None
    """Null where no working was kept: then `lines` are empty."""
    lines: list[LineAnswer]
    sum_pico_usd: Count
    rounded_usd: Usd
    rounded_nano_usd: NanoUsd
    stated_usd: Usd | None
    stated_nano_usd: NanoUsd | None
    beyond_lines_pico_usd: int
    cost_usd: Usd
    cost_nano_usd: NanoUsd
    is_worked_out: bool
    """Whether the lines give the cost that was booked."""
    hold: HoldAnswer
    entries: list[EntryDifferenceAnswer]


class NeededHoldAnswer(Answer):
    """How what was needed came about."""

    input_pico_usd: Count
    output_pico_usd: Count
    """For each token of output."""
    output_tokens: Count
    """The least that would have been let in."""
    asked_tokens: Count
    affordable_tokens: Count
    """How many tokens of output there was room for."""


class RefusingBudgetAnswer(Answer):
    """The budget that had no room, as it was then."""

    scope: str
    window: str
    limit_usd: Usd
    limit_nano_usd: NanoUsd
    spent_usd: Usd
    spent_nano_usd: NanoUsd
    held_usd: Usd
    """For calls that were running."""
    held_nano_usd: NanoUsd
    room_usd: Usd
    room_nano_usd: NanoUsd
    needed_usd: Usd
    needed_nano_usd: NanoUsd
    lacking_usd: Usd
    lacking_nano_usd: NanoUsd
    resets_at: Moment
    hold: NeededHoldAnswer | None


class RefusalAnswer(Answer):
    """One request that we refused. It was not sent, is in no sum and cost nothing."""

    request_id: str
    at: Moment
    user_id: int
    username: str | None
    key_id: str
    model: str
    operation: str
    outcome: str
    reason: str
    budget: RefusingBudgetAnswer | None
    """Null where it was refused for another reason."""


class RefusalsAnswer(Answer):
    """Refused requests, newest first. The last 50,000 of known users are kept, for 30 days."""

    refusals: list[RefusalAnswer]
    next_cursor: str | None
    """Null on the last page."""

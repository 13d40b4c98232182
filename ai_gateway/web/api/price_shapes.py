"""The shapes of questions and answers about prices."""

from ai_gateway.domain.price_lines import LineStatus, PriceSource
from ai_gateway.domain.pricing import PriceRow, Rates
from ai_gateway.services.price_admin import usd_per_million
from ai_gateway.services.price_proposals import Proposal
from ai_gateway.services.price_table import ShownPrice
from ai_gateway.web.api.fields import (
    Absent,
    Answer,
    Body,
    Count,
    Cursor,
    GivenMoment,
    MillionPrice,
    ModelName,
    Moment,
    NanoUsd,
    PageLimit,
    Query,
    Reason,
    RowId,
    Text,
    Tokens,
    Usd,
)


class PricesQuery(Query):
    """Which prices, and which page of them."""

    status: LineStatus | Absent = None
    """Without it all but the superseded ones."""
    source: PriceSource | Absent = None
    provider: Text = ""
    search: Text = ""
    """Words that are in the provider, the model or a name that leads to it."""
    limit: PageLimit = 50
    cursor: Cursor | Absent = None
    """The `next_cursor` of an earlier answer to the same filters and limit."""


class RatesAnswer(Answer):
    """USD for a million tokens of each kind, exact, as strings."""

    input: str
    cached_input: str
    cache_write: str
    cache_write_long: str
    audio_input: str
    cached_audio: str
    image_input: str
    output: str
    reasoning: str
    audio_output: str
    image_output: str


class TierAnswer(Answer):
    """The rates of requests with more input than a number of tokens."""

    above_input_tokens: int
    """-1 for the usual rates."""
    usd_per_million_tokens: RatesAnswer


class ProposalAnswer(Answer):
    """The price of the nearest sibling of a model without one."""

    origin: str
    tiers: list[TierAnswer]


class PriceAnswer(Answer):
    """One price of one model, or a model that was asked for and has none."""

    provider: str
    model: str
    names: list[str]
    """Other names that lead to it, aliases first."""
    status: LineStatus
    source: PriceSource | None
    price_row: str | None
    entry_id: int | None
    """Of a price that staff entered."""
    effective_from: Moment | None
    last_used: Moment | None
    """The day of the last request within 90 days."""
    unpriced_requests: Count
    refused_requests: Count
    tiers: list[TierAnswer]
    max_output_tokens: int | None
    context_tokens: int
    proposal: ProposalAnswer | None


class PricesAnswer(Answer):
    """Some prices, models without one first."""

    price_book: str
    prices: list[PriceAnswer]
    next_cursor: str | None
    """Null on the last page."""


class CostQuery(Query):
    """A model and what it takes and gives."""

    model: ModelName
    """A name as a client would ask for it."""
    input_tokens: Tokens = 0
    """All input, cached and written parts included."""
    cached_input_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    output_tokens: Tokens = 0
    service_tier: Text = ""


class CostLineAnswer(Answer):
    """So many tokens of a kind at a rate."""

    kind: str
    count: Count
    usd_per_million_tokens: str
    exact_pico: int
    """Exact; a trillionth of a dollar."""


class CostAnswer(Answer):
    """What a call would cost, by the arithmetic that settles calls."""

    provider: str
    model: str
    price_row: str
    price_book: str
    lines: list[CostLineAnswer]
    sum_pico: int
    cost_usd: Usd
    """The sum, rounded once, half to even, to a nano-dollar."""
    cost_nano_usd: NanoUsd
    max_output_tokens: int | None
    context_tokens: int


class SetPriceBody(Body):
    """A price of exactly this model, in every service tier."""

    provider: ModelName
    model: ModelName
    input: MillionPrice
    output: MillionPrice
    cached_input: MillionPrice | Absent = None
    cache_write: MillionPrice | Absent = None
    cache_write_long: MillionPrice | Absent = None
    effective_from: GivenMoment | Absent = None
    """Now without it; never in the past."""
    confirm: bool = False
    """Needed for more than 1,000 USD for a million tokens."""
    reason: Reason


class WithdrawPriceBody(Body):
    """Which entry to take back."""

    provider: ModelName
    model: ModelName
    entry_id: RowId
    reason: Reason


class PriceChangeAnswer(Answer):
    """The entry that was made."""

    entry_id: int
    provider: str
    model: str
    effective_from: Moment
    is_published: bool
    """False while Redis is away; the workers know of it as soon as it is back."""


def price_answer(shown: ShownPrice) -> PriceAnswer:
    line, proposal = shown.line, shown.proposal
    return PriceAnswer(
        provider=line.provider,
        model=line.model,
        names=list(line.names),
        status=line.status,
        source=line.source,
        price_row=line.row.row_id if line.row else None,
        entry_id=line.entry_id,
        effective_from=line.effective_from,
        last_used=line.last_used,
        unpriced_requests=line.requests,
        refused_requests=line.refused,
        tiers=_tiers(line.row) if line.row else [],
        max_output_tokens=shown.limits.max_output_tokens,
        context_tokens=shown.limits.context_tokens,
        proposal=_proposal(proposal) if proposal else None,
    )


def _proposal(proposal: Proposal) -> ProposalAnswer:
    return ProposalAnswer(origin=proposal.origin, tiers=_tiers(proposal.like))


def _tiers(row: PriceRow) -> list[TierAnswer]:
    return [
        TierAnswer(
            above_input_tokens=tier.over_input_tokens, usd_per_million_tokens=_rates(tier.rates)
        )
        for tier in row.tiers
    ]


def _rates(rates: Rates) -> RatesAnswer:
    return RatesAnswer(
        **{name: usd_per_million(getattr(rates, name)) for name in RatesAnswer.model_fields}
    )

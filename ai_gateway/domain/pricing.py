"""Price in force x usage = cost. Rates are integers of pico-USD for one token.

The names of the rates are the keys of `Usage.disjoint()`: each token is priced exactly once.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields, replace

from ai_gateway.domain.money import PICO_PER_NANO, ZERO, Money, ceil_pico, from_pico
from ai_gateway.domain.usage import Usage

SEARCH_KIND = "tool"
"""The metric label of what is paid for a hosted tool and not for a token."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-USD for one token of each kind."""

    input: int
    output: int
    cached_input: int
    cache_write: int
    cache_write_long: int
    audio_input: int
    cached_audio: int
    image_input: int
    reasoning: int
    audio_output: int
    image_output: int

    @property
    def dearest_input(self) -> int:
        return max(
            self.input,
            self.cached_input,
            self.cache_write,
            self.cache_write_long,
            self.audio_input,
            self.cached_audio,
            self.image_input,
        )

    def raised(self, percent: int) -> "Rates":
        """Each rate with so many percent added, rounded up: a hold must not be too small."""
        return Rates(*(-(-rate * (100 + percent) // 100) for rate in astuple(self)))

    @property
    def dearest_output(self) -> int:
        return max(self.output, self.reasoning, self.audio_output, self.image_output)


RATE_NAMES = tuple(f.name for f in fields(Rates))


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates for requests with more than `over_input_tokens` of input; a cliff, not a margin."""

    over_input_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class PriceRow:
    """What one model costs in one service tier. `tiers` rise by threshold; the first is at -1.

    A row that has no price for output holds only for operations that generate nothing. What a web
    search costs is None where nobody knows.
    """

    row_id: str
    provider: str
    model: str
    tiers: tuple[Tier, ...]
    web_search: int | None = None
    has_output: bool = True

    def rates_for(self, input_tokens: int) -> Rates:
        """One choice for the whole request, by its total input."""
        chosen = self.tiers[0].rates
        for tier in self.tiers:
            if input_tokens > tier.over_input_tokens:
                chosen = tier.rates
        return chosen

    def raised(self, percent: int) -> "PriceRow":
        """The same with every token dearer by so many percent; a search costs what it did."""
        if not percent:
            return self
        tiers = [replace(tier, rates=tier.rates.raised(percent)) for tier in self.tiers]
        return replace(self, row_id=f"{self.row_id}+{percent}%", tiers=tuple(tiers))

    def covers(self, usage: Usage) -> bool:
        """Whether everything in a usage has a price here."""
        return self.web_search is not None or not usage.web_searches


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of the arithmetic: so many tokens of a kind at a rate, in pico-USD, of a row."""

    kind: str
    count: int
    rate: int
    row_id: str = ""

    @property
    def pico_usd(self) -> int:
        return self.count * self.rate


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one call with its lines; `total` is rounded once."""

    total: Money
    lines: tuple[CostLine, ...]

    def by_kind(self) -> dict[str, Money]:
        """Cut the total into kinds that add up to it exactly, so that `/metrics` does as well.

        Each kind is rounded down and the few nano-dollars left go to the largest. Where the total
        was bounded by the hold, the later kinds get what is left.
        """
        left = int(self.total)
        parts: dict[str, int] = {}
        for line in self.lines:
            part = min(line.pico_usd // PICO_PER_NANO, left)
            parts[line.kind] = parts.get(line.kind, 0) + part
            left -= part
        if left and parts:
            parts[max(parts, key=parts.__getitem__)] += left
        return {kind: Money(amount) for kind, amount in parts.items()}


NO_COST = Cost(ZERO, ())


def cost_of(row: PriceRow, usage: Usage) -> Cost:
    """Price a call; the usage has to be consistent (see `Usage.clamped`)."""
    return cost_of_all([(row, usage)])


def cost_of_all(parts: Iterable[tuple[PriceRow, Usage]]) -> Cost:
    """Price a call of which several models did a part: each by its own row, rounded once."""
    lines = tuple(line for row, usage in parts for line in _lines(row, usage))
    return Cost(from_pico(sum(line.pico_usd for line in lines)), lines)


def _lines(row: PriceRow, usage: Usage) -> list[CostLine]:
    rates = row.rates_for(usage.input_tokens)
    lines = [
        CostLine(kind, count, getattr(rates, kind), row.row_id)
        for kind, count in usage.disjoint().items()
        if count
    ]
    if usage.web_searches and row.web_search is not None:
        lines.append(CostLine(SEARCH_KIND, usage.web_searches, row.web_search, row.row_id))
    return lines


def stated(total: Money, row: PriceRow | None, usage: Usage) -> Cost:
    """A cost that the provider states, with what the tokens would cost as its lines.

    What it has beyond them was for tools; of a model without a price it is all for tokens.
    """
    if row is None:
        lines = tuple(CostLine(kind, n, 0) for kind, n in usage.disjoint().items() if n)
        return Cost(total, lines or (CostLine(SEARCH_KIND, 0, 0),))
    computed = cost_of(row, usage)
    beyond = max(0, total - computed.total) * PICO_PER_NANO
    return Cost(total, (*computed.lines, CostLine(SEARCH_KIND, 1, beyond)))


@dataclass(frozen=True, slots=True)
class HoldPlan:
    """The worst case of a call: what its input and each token of output could cost at most."""

    input_pico: int
    output_pico_per_token: int
    output_tokens: int

    def amount(self, output_tokens: int | None = None) -> Money:
        """The hold for the planned output, or for another number of output tokens."""
        tokens = self.output_tokens if output_tokens is None else output_tokens
        return ceil_pico(self.input_pico + self.output_pico_per_token * tokens)

    def affordable_output_tokens(self, granted: Money) -> int:
        """How many output tokens a smaller hold pays for; 0 where not even the input fits."""
        left = granted * PICO_PER_NANO - self.input_pico
        if left < 0:
            return 0
        if self.output_pico_per_token == 0:
            return self.output_tokens
        return min(self.output_tokens, left // self.output_pico_per_token)


def plan_hold(row: PriceRow, *, input_tokens: int, output_tokens: int) -> HoldPlan:
    """Bound a call from above: every token at the dearest rate of any tier of the row."""
    return HoldPlan(
        input_pico=input_tokens * max(t.rates.dearest_input for t in row.tiers),
        output_pico_per_token=max(t.rates.dearest_output for t in row.tiers),
        output_tokens=output_tokens,
    )

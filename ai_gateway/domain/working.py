"""How a charge came about: enough to work it out again from what the ledger keeps of the call.

The rates are in it, so that no later price and no other price book can change what is shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ai_gateway.domain.money import PICO_PER_NANO, ZERO, Money, from_pico
from ai_gateway.domain.pricing import CostLine


class Basis(StrEnum):
    """What decided the total."""

    PRICES = "prices"
    """The lines, added up and rounded once."""
    HOLD = "hold"
    """The same, but no more than what was held: the tokens are only counted."""
    PROVIDER = "provider"
    """The provider stated its own cost; the lines are what the prices would make of it."""


@dataclass(frozen=True, slots=True)
class Working:
    """The arithmetic of a call, and what else explains it.

    `wanted` is the hold that was asked for, which may have been lowered; `output_cap` the cap that
    was sent in its stead. `sent_ms` and `answered_ms` count from the moment of admission;
    `upstream` says what the provider did.
    """

    basis: Basis
    lines: tuple[CostLine, ...] = ()
    stated: Money | None = None
    wanted: Money | None = None
    output_cap: int | None = None
    sent_ms: int | None = None
    answered_ms: int | None = None
    upstream: str = ""


@dataclass(frozen=True, slots=True)
class Rounding:
    """A sum in pico-USD, cut into whole nano-dollars and what is left, and the rounded amount."""

    pico_usd: int
    whole: int
    left_over: int
    rounded: Money

    @property
    def is_up(self) -> bool:
        return self.rounded > self.whole

    @property
    def is_tie(self) -> bool:
        """Just between two nano-dollars: the even one is taken."""
        return self.left_over * 2 == PICO_PER_NANO


def rounding_of(lines: Iterable[CostLine]) -> Rounding:
    """Add up the lines of a charge and round once, half to even."""
    pico_usd = sum(line.pico_usd for line in lines)
    whole, left_over = divmod(pico_usd, PICO_PER_NANO)
    return Rounding(pico_usd, whole, left_over, from_pico(pico_usd))


def worked_out(working: Working, held: Money) -> Money:
    """The cost of the call once more, from its working and the hold that was granted."""
    if working.basis is Basis.PROVIDER:
        return working.stated or ZERO
    rounded = rounding_of(working.lines).rounded
    return min(rounded, held) if working.basis is Basis.HOLD else rounded

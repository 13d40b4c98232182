"""Prices as staff change them: a dated entry in SQL with its audit, then published to the workers.

Nothing that was entered is altered, and nothing that was charged is priced again: an entry holds
from now on, or from a moment that is to come.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from ai_gateway.domain.audit import Action, Actor, Change, Fact, Target, TargetKind
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.price_entries import NO_ENTRIES, PriceEntry
from ai_gateway.domain.pricing import PriceRow
from ai_gateway.errors import InvalidRequest
from ai_gateway.services.audit import Audit
from ai_gateway.services.price_book import PriceBooks, PriceRecords
from ai_gateway.services.price_proposals import PriceProposals
from ai_gateway.stores.list_prices import PICO_USD_PER_TOKEN
from ai_gateway.stores.operator_prices import operator_row
from ai_gateway.stores.price_entries import MomentTaken, NewPrice

AMOUNTS = ("input", "cached_input", "cache_write", "cache_write_long", "output")
NEEDED = frozenset({"input", "output"})
MOST_UNCONFIRMED = 1_000
MOST = 1_000_000
DECIMALS = 6
MAX_MODEL_CHARACTERS = 128
MAX_REASON_CHARACTERS = 500
ENTERED = "entered by hand"
_AMOUNT = re.compile(rf"\d{{1,9}}(\.\d{{1,{DECIMALS}}})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PriceOrder:
    """Who wants a price for which model, from when on, and why.

    Without `effective_from` it holds at once. The same `order_id` acts once.
    """

    provider: str
    model: str
    actor: Actor
    effective_from: datetime | None = None
    reason: str = ""
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class PriceChange:
    """What was done; whether the workers know of it already."""

    entry: PriceEntry
    is_published: bool


class PriceAdmin:
    """Enters prices, accepts proposals, withdraws what was entered."""

    def __init__(
        self, records: PriceRecords, books: PriceBooks, *, audit: Audit, clock: Clock
    ) -> None:
        self._records = records
        self._books = books
        self._audit = audit
        self._clock = clock

    def enter(
        self, order: PriceOrder, amounts: Mapping[str, str], *, is_confirmed: bool = False
    ) -> PriceChange:
        """Set a price in USD for a million tokens, named as `AMOUNTS`; empty ones are left out.

        Raises `InvalidRequest`, `GatewayUnavailable`.
        """
        read = _amounts(amounts, is_confirmed=is_confirmed)
        return self._begin(order, operator_row("", "", read), ENTERED)

    def accept(self, order: PriceOrder) -> PriceChange:
        """Set the price that is proposed for a model; raises `InvalidRequest` where none is."""
        proposals = PriceProposals(self._books.catalog(), self._clock())
        proposal = proposals.for_model(order.provider, order.model)
        if proposal is None:
            raise InvalidRequest("There is no proposal for this model: enter a price.", "model")
        return self._begin(order, proposal.like, f"as {proposal.origin}")

    def withdraw(self, order: PriceOrder, entry_id: int) -> PriceChange:
        """Take back the entry in force, as of now, or one that is still to come, altogether."""
        timeline = self._books.catalog().entered.get((order.provider, order.model), NO_ENTRIES)
        now = self._clock()
        entry = next((one for one in timeline.all if one.entry_id == entry_id), None)
        if entry is None or entry.row is None:
            raise InvalidRequest("There is no such price to withdraw.", "entry_id")
        is_scheduled = entry in timeline.scheduled(now)
        if not is_scheduled and entry != timeline.in_force(now):
            raise InvalidRequest("This price is not in force any more.", "entry_id")
        moment = entry.effective_from if is_scheduled else now
        return self._add(order, moment, None, f"withdraws entry {entry_id}")

    def _begin(self, order: PriceOrder, like: PriceRow, origin: str) -> PriceChange:
        now = self._clock()
        moment = order.effective_from or now
        if moment < now:
            raise InvalidRequest(
                "This moment is past, and nothing past is priced again: leave it empty for now.",
                "effective_from",
            )
        return self._add(order, moment, like, origin)

    def _add(
        self, order: PriceOrder, moment: datetime, like: PriceRow | None, origin: str
    ) -> PriceChange:
        self._check(order)
        before = self._books.catalog().row(order.provider, order.model, None, moment)
        now = self._clock()
        new = NewPrice(
            provider=order.provider,
            model=order.model,
            effective_from=moment,
            like=like,
            origin=origin,
            reason=order.reason,
            made_at=now,
            made_by=order.actor.name,
            order_id=_order_id(order),
        )
        facts = {"effective_from": moment.isoformat(), "origin": origin}
        name = f"{order.provider}/{order.model}"
        audit = self._audit.entry(
            Action.PRICE_CHANGE,
            order.actor,
            Target(TargetKind.PRICE, name, name),
            Change(price_facts(before), facts | dict(price_facts(like)), order.reason),
        )
        try:
            entry = self._records.entries.add(new, audit)
        except MomentTaken as error:
            raise InvalidRequest(
                "This model has a price from this very moment on: choose another, if only a "
                "second later.",
                "effective_from",
            ) from error
        return PriceChange(entry, self._records.publish_soon())

    def _check(self, order: PriceOrder) -> None:
        names = {provider.name for provider in self._books.directory().providers}
        if order.provider not in names:
            raise InvalidRequest("Choose a provider that is on.", "provider")
        model = order.model
        is_name = bool(model) and model == model.strip() and model.isprintable()
        if not is_name or len(model) > MAX_MODEL_CHARACTERS:
            raise InvalidRequest(
                f"Name the model as the provider does, in at most {MAX_MODEL_CHARACTERS} "
                "characters.",
                "model",
            )
        if len(order.reason) > MAX_REASON_CHARACTERS:
            raise InvalidRequest(
                f"Give the reason in at most {MAX_REASON_CHARACTERS} characters.", "reason"
            )


def price_facts(row: PriceRow | None) -> Mapping[str, Fact]:
    """What a million tokens cost by a row, for the audit."""
    if row is None:
        return {"price": None}
    rates = row.tiers[0].rates
    facts: dict[str, Fact] = {name: usd_per_million(getattr(rates, name)) for name in AMOUNTS}
    if len(row.tiers) > 1:
        facts["tiers"] = len(row.tiers)
    return facts


def usd_per_million(pico_usd: int) -> str:
    """A rate in USD for a million tokens, exact, with two decimals at least."""
    whole, _, decimals = f"{Decimal(pico_usd) / PICO_USD_PER_TOKEN:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _amounts(texts: Mapping[str, str], *, is_confirmed: bool) -> dict[str, Decimal]:
    amounts = {}
    for name in AMOUNTS:
        text = texts.get(name, "").strip()
        if not text and name not in NEEDED:
            continue
        if not text:
            raise InvalidRequest("What costs nothing is 0; an empty price is none.", name)
        if not _AMOUNT.fullmatch(text):
            raise InvalidRequest(
                f"Write USD for a million tokens, such as 0.15, with at most {DECIMALS} decimals.",
                name,
            )
        amount = amounts[name] = Decimal(text)
        if amount > MOST:
            raise InvalidRequest(f"At most {MOST:,} USD for a million tokens.", name)
        if amount > MOST_UNCONFIRMED and not is_confirmed:
            raise InvalidRequest(
                f"More than {MOST_UNCONFIRMED:,} USD for a million tokens is mostly a slip: "
                "confirm it, if it is right.",
                name,
            )
    return amounts


def _order_id(order: PriceOrder) -> str | None:
    """Each actor has ids of their own, so that nobody's hides another's."""
    if not order.order_id:
        return None
    return sha256(f"{order.actor.user_id}:{order.order_id}".encode()).hexdigest()

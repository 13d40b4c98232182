"""What staff entered as prices, in SQL. It is append-only: no code alters or deletes an entry."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.domain.price_entries import PriceEntry
from ai_gateway.domain.pricing import PriceRow, Rates, Tier
from ai_gateway.stores.audit import row_of
from ai_gateway.stores.operator_prices import entered_row
from ai_gateway.stores.price_tables import PriceEntryRow
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.sql_errors import write


class MomentTaken(Exception):
    """The model has an entry of this kind from this very moment on."""


@dataclass(frozen=True, slots=True)
class NewPrice:
    """An entry as it is to be stored; without `like` a withdrawal. The same `order_id` acts once.

    Of `like` the prices count, not the names.
    """

    provider: str
    model: str
    effective_from: datetime
    like: PriceRow | None
    origin: str
    reason: str
    made_at: datetime
    made_by: str
    order_id: str | None = None


class PriceEntryTable:
    """Adds entries, each together with its audit, and reads them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def entries(self) -> list[PriceEntry]:
        """All that was ever entered, oldest first."""
        with transaction(self._engine) as session:
            return [_entry(row) for row in session.scalars(_in_order())]

    def add(self, new: NewPrice, audit: AuditEntry) -> PriceEntry:
        """Store an entry; raises `MomentTaken`. A repeated order gives what it made before."""

        def insert(session: Session) -> PriceEntry:
            made = _made_before(session, new)
            if made is not None:
                return _entry(made)
            row = _row(new)
            session.add_all([row, row_of(audit)])
            session.flush()
            return _entry(row)

        try:
            return write(insert, engine=self._engine)
        except IntegrityError as error:
            raise MomentTaken from error


def price_facts(row: PriceRow) -> dict[str, Any]:
    """The prices of a row as plain JSON; names and the id are kept beside it."""
    tiers = [{"over": tier.over_input_tokens, "rates": asdict(tier.rates)} for tier in row.tiers]
    return {"tiers": tiers, "web_search": row.web_search, "has_output": row.has_output}


def read_price(facts: Mapping[str, Any]) -> PriceRow:
    """Read back what `price_facts` wrote; raises `KeyError` or `TypeError`."""
    tiers = tuple(Tier(tier["over"], Rates(**tier["rates"])) for tier in facts["tiers"])
    return PriceRow("", "", "", tiers, facts["web_search"], facts["has_output"])


def _in_order() -> Select[PriceEntryRow]:
    return select(PriceEntryRow).order_by(PriceEntryRow.id)


def _made_before(session: Session, new: NewPrice) -> PriceEntryRow | None:
    if new.order_id is None:
        return None
    return session.scalar(_in_order().where(PriceEntryRow.order_id == new.order_id))


def _row(new: NewPrice) -> PriceEntryRow:
    return PriceEntryRow(
        provider=new.provider,
        model=new.model,
        effective_from=new.effective_from,
        is_withdrawal=new.like is None,
        price=price_facts(new.like) if new.like else None,
        origin=new.origin,
        reason=new.reason,
        made_at=new.made_at,
        made_by=new.made_by,
        order_id=new.order_id,
    )


def _entry(row: PriceEntryRow) -> PriceEntry:
    price = None
    if row.price is not None:
        price = entered_row(row.id, row.provider, row.model, read_price(row.price))
    return PriceEntry(
        entry_id=row.id,
        provider=row.provider,
        model=row.model,
        effective_from=row.effective_from,
        row=price,
        origin=row.origin,
        reason=row.reason,
        made_at=row.made_at,
        made_by=row.made_by,
    )

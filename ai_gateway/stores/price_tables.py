"""The SQL tables of prices: what staff entered, never altered, and the lists that were fetched."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ai_gateway.stores.tables import Base, Id, Moment


class PriceEntryRow(Base):
    """One dated price that staff entered, or its withdrawal. Inserted once, never altered.

    `price` has the rates as integers of pico-USD; a withdrawal has none. One moment of a model has
    one price, and at most the withdrawal that takes it out.
    """

    __tablename__ = "price_entry"
    __table_args__ = (UniqueConstraint("provider", "model", "effective_from", "is_withdrawal"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    provider: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(160))
    effective_from: Mapped[datetime] = mapped_column(Moment)
    is_withdrawal: Mapped[bool]
    price: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    origin: Mapped[str] = mapped_column(String(254))
    reason: Mapped[str] = mapped_column(String(500))
    made_at: Mapped[datetime] = mapped_column(Moment)
    made_by: Mapped[str] = mapped_column(String(150))
    order_id: Mapped[str | None] = mapped_column(String(64), unique=True)


class PriceListRow(Base):
    """A list of prices that was fetched and believed, compressed; the newest is in force."""

    __tablename__ = "price_list"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(String(12), unique=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    fetched_at: Mapped[datetime] = mapped_column(Moment)


class PriceFetchRow(Base):
    """The one row that tells how the last fetch ended; `fault` is null where it was good."""

    __tablename__ = "price_fetch"

    id: Mapped[int] = mapped_column(primary_key=True)
    tried_at: Mapped[datetime] = mapped_column(Moment)
    good_at: Mapped[datetime | None] = mapped_column(Moment)
    fault: Mapped[str | None] = mapped_column(String(500))

"""The SQL tables of the way from the outbox: how far it came, and what could not be booked."""

from datetime import datetime

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ai_gateway.stores.tables import Base, Moment


class OutboxPosition(Base):
    """The id of the last outbox entry that is in the ledger; moved in the same transaction.

    `late_bookings` counts the batches that changed sums of a day that was over.
    """

    __tablename__ = "outbox_position"

    id: Mapped[int] = mapped_column(primary_key=True)
    stream_id: Mapped[str] = mapped_column(String(40))
    late_bookings: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class SetAsideEntry(Base):
    """An outbox entry that could not be booked, kept whole for a person to look at."""

    __tablename__ = "set_aside_entry"

    stream_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    reason: Mapped[str] = mapped_column(String(200))
    payload: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)

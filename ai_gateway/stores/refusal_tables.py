"""The SQL tables of refused requests: the last ones whole, and their number for each hour."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ai_gateway.stores.tables import Base, Id, Moment


class RefusalRow(Base):
    """One refused request of a known user; the figures are those of the budget that refused."""

    __tablename__ = "refusal"
    __table_args__ = (
        Index("ix_refusal_recent", "at", "id"),
        Index("ix_refusal_user", "user_id", "at"),
        Index("ix_refusal_request", "request_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    outcome: Mapped[str] = mapped_column(String(24))
    reason: Mapped[str] = mapped_column(String(40))
    operation: Mapped[str] = mapped_column(String(32))
    request_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[int] = mapped_column(BigInteger)
    key_id: Mapped[str] = mapped_column(String(8))
    model: Mapped[str] = mapped_column(String(160))
    scope: Mapped[str | None] = mapped_column(String(16))
    window: Mapped[str | None] = mapped_column(String(8))
    limit_nano_usd: Mapped[int | None] = mapped_column(BigInteger)
    spent_nano_usd: Mapped[int | None] = mapped_column(BigInteger)
    held_nano_usd: Mapped[int | None] = mapped_column(BigInteger)
    needed_nano_usd: Mapped[int | None] = mapped_column(BigInteger)
    resets_at: Mapped[datetime | None] = mapped_column(Moment)
    input_pico_usd: Mapped[int | None] = mapped_column(BigInteger)
    output_pico_usd: Mapped[int | None] = mapped_column(BigInteger)
    output_tokens: Mapped[int | None] = mapped_column(BigInteger)
    asked_tokens: Mapped[int | None] = mapped_column(BigInteger)
    affordable_tokens: Mapped[int | None] = mapped_column(BigInteger)


class RefusalHour(Base):
    """How many requests were refused in an hour, by reason; `hour` as in `UsageHour`."""

    __tablename__ = "refusal_hour"

    hour: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    outcome: Mapped[str] = mapped_column(String(24), primary_key=True)
    reason: Mapped[str] = mapped_column(String(40), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger, default=0)


class RefusalPosition(Base):
    """The id of the last entry of the stream that is in SQL; moved in the same transaction."""

    __tablename__ = "refusal_position"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    stream_id: Mapped[str] = mapped_column(String(40))

"""The SQL tables of alerts: what staff chose, what is or was wrong, and every attempt to tell."""

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ai_gateway.stores.tables import Base, Id, Moment


class AlertRuleRow(Base):
    """What staff chose for a kind of alert; without a row the default of `domain.alerts` holds."""

    __tablename__ = "alert_rule"

    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    is_on: Mapped[bool]
    threshold: Mapped[int] = mapped_column(BigInteger)
    cool_down_seconds: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)


class AlertRow(Base):
    """Something that a rule found. The unique keys let one of many bookkeepers tell of it.

    What has no window may come again: each time is an episode, and one is open at a time.
    `absent_since` is when it was first not found any more. `is_told` is false where a cool-down
    kept the message back.
    """

    __tablename__ = "alert"
    __table_args__ = (
        UniqueConstraint("kind", "subject", "window", "episode"),
        Index(
            "uq_alert_open",
            "kind",
            "subject",
            "window",
            unique=True,
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index("ix_alert_resolved_at", "resolved_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(200))
    window: Mapped[str] = mapped_column(String(10))
    episode: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(254))
    words: Mapped[str] = mapped_column(String(500))
    opened_at: Mapped[datetime] = mapped_column(Moment)
    absent_since: Mapped[datetime | None] = mapped_column(Moment)
    resolved_at: Mapped[datetime | None] = mapped_column(Moment)
    is_told: Mapped[bool]


class AlertDeliveryRow(Base):
    """One message on its way through one channel; `notice_id` is its name for whoever gets it.

    Whoever sends it holds it until `leased_until`; a sender that died lets it lapse.
    """

    __tablename__ = "alert_delivery"
    __table_args__ = (
        UniqueConstraint("notice_id", "channel"),
        Index("ix_alert_delivery_waiting", "state", "channel", "id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    notice_id: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(12))
    notice_state: Mapped[str] = mapped_column(String(12))
    kind: Mapped[str | None] = mapped_column(String(32))
    title: Mapped[str] = mapped_column(String(400))
    lines: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Moment)
    attempts: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[datetime] = mapped_column(Moment)
    leased_until: Mapped[datetime | None] = mapped_column(Moment)


class AlertAttemptRow(Base):
    """One attempt to send a delivery. Without an end its sender died, or is at it."""

    __tablename__ = "alert_attempt"
    __table_args__ = (Index("ix_alert_attempt_recent", "started_at", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("alert_delivery.id"), index=True)
    number: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    is_sent: Mapped[bool]
    note: Mapped[str] = mapped_column(String(200))

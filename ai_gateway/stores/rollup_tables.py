"""The SQL tables of sums that pages read instead of the ledger; `rollups` makes their rows."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ai_gateway.stores.tables import Base, Moment, TallyColumns


class UsageHour(TallyColumns, Base):
    """Sums by hour of admission, user, provider and model. Pages read this, not the ledger.

    `hour` is the UTC instant at which the local hour began in the reporting zone.
    """

    __tablename__ = "usage_hour"
    __table_args__ = (Index("ix_usage_hour_user", "user_id", "hour"),)

    hour: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(160), primary_key=True)
    cost_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)


class ModelHour(TallyColumns, Base):
    """Sums of all users by hour of admission, provider and model; `hour` as in `UsageHour`."""

    __tablename__ = "model_hour"

    hour: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(160), primary_key=True)
    cost_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)


class ModelDay(TallyColumns, Base):
    """Sums of all users by day of admission, provider and model, for long spans.

    `day` is the UTC instant at which the local day began in the reporting zone.
    """

    __tablename__ = "model_day"

    day: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(160), primary_key=True)
    cost_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)


class LatencyBucket(Base):
    """How many calls of an hour took how long, in buckets 10 % wide, for percentiles of pages.

    `kind` is `duration`, `first_token` or `overhead`; `bucket` is `rollups.bucket_of` of the
    milliseconds, and of an overhead of the microseconds.
    """

    __tablename__ = "latency_bucket"

    hour: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(160), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    bucket: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger, default=0)


class LatencyDay(Base):
    """The same by local day and without the model, for long spans; `day` as in `ModelDay`."""

    __tablename__ = "latency_day"

    day: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    bucket: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger, default=0)


class OutcomeHour(Base):
    """How many calls of an hour ended how, by provider; `hour` as in `UsageHour`."""

    __tablename__ = "outcome_hour"

    hour: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(24), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger, default=0)

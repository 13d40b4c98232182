"""The SQL tables. Ledger and audit are append-only: no code updates or deletes a row of theirs.

Amounts are integers of nano-USD, moments are UTC. Migrations are in `migrations/`.
"""

from datetime import UTC, datetime

from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class Base(DeclarativeBase):
    """The base of every table; constraints have fixed names, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(metadata=Base.metadata)
"""Tables derive from `Base` and not from `db.Model`, which a type checker cannot see through."""

Id = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only for its own INTEGER type."""


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment needs a zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


class Installation(Base):
    """The one row that fixes what may not change after the first start."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True)
    timezone: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Moment)


class User(UserMixin, Base):
    """A person or program whose calls are summed; with a role also a member of staff."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(String(150), unique=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16), default="none")
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    keys: Mapped[list["VirtualKey"]] = relationship(back_populates="user")


class StaffSession(Base):
    """A log-in: its random id is stored hashed, so that a stolen table opens nothing."""

    __tablename__ = "staff_session"

    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    last_seen_at: Mapped[datetime] = mapped_column(Moment)
    user: Mapped[User] = relationship()


class VirtualKey(Base):
    """A credential that we issued. `version` grows with each change to it or to its limits.

    After a rotation the secret before it works until `previous_until`. `created_by` is a name as it
    was then, and empty for keys that are older than the column.
    """

    __tablename__ = "virtual_key"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key_id: Mapped[str] = mapped_column(String(8), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    last4: Mapped[str] = mapped_column(String(4))
    label: Mapped[str] = mapped_column(String(100), default="")
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    status: Mapped[str] = mapped_column(String(16), default="active")
    allowed_models: Mapped[list[str]] = mapped_column(JSON, default=list)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    created_by: Mapped[str] = mapped_column(String(150), default="", server_default=text("''"))
    previous_digest: Mapped[str | None] = mapped_column(String(64))
    previous_until: Mapped[datetime | None] = mapped_column(Moment)
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    user: Mapped[User] = relationship(back_populates="keys")


class KeyOrder(Base):
    """An order that made or rotated a key, so that one which is sent twice acts once."""

    __tablename__ = "key_order"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(8))
    at: Mapped[datetime] = mapped_column(Moment)


class SpendLimit(Base):
    """A limit that staff set. No row means: inherit. Kind `none` means: no limit, on purpose."""

    __tablename__ = "spend_limit"
    __table_args__ = (UniqueConstraint("scope", "subject_id", "window"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    scope: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[int] = mapped_column(BigInteger)
    window: Mapped[str] = mapped_column(String(8))
    kind: Mapped[str] = mapped_column(String(8))
    amount_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)


class TallyColumns:
    """The counts that ledger entries carry as differences and roll-ups as sums.

    The names are those of `domain.call.TALLY_FIELDS`; a test holds the two together.
    """

    requests: Mapped[int] = mapped_column(BigInteger, default=0)
    failures: Mapped[int] = mapped_column(BigInteger, default=0)
    cancellations: Mapped[int] = mapped_column(BigInteger, default=0)
    unpriced: Mapped[int] = mapped_column(BigInteger, default=0)
    input_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    cached_input_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    cache_write_long_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    output_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    audio_input_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    cached_audio_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    audio_output_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    image_input_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    image_output_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    web_searches: Mapped[int] = mapped_column(BigInteger, default=0)
    latency_ms: Mapped[int] = mapped_column(BigInteger, default=0)


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of those entries alone for which a condition holds."""
    condition = text(where)
    return Index(
        f"ix_ledger_entry_{name}",
        *columns,
        sqlite_where=condition,
        postgresql_where=condition,
    )


class LedgerEntry(TallyColumns, Base):
    """One difference booked for a call, or the adjustment of a reset. Inserted once, never altered.

    The cost and the counts are differences: a call is the sum of its entries. The words (outcome,
    confidence, ...) are as known when the entry was made; the last entry has the last word.
    `model` is the catalogue's name of what was asked for, `served_model` the provider's own word.
    `working` explains the whole cost of the call so far, not the difference (`stores.workings`).
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        UniqueConstraint("request_id", "entry_no"),
        Index("ix_ledger_entry_recent", "admitted_at", "id"),
        Index("ix_ledger_entry_user", "user_id", "admitted_at"),
        # Few calls have a later entry, and lists have to look for those alone.
        partial_index("later", "admitted_at", "request_id", where="entry_no > 1"),
        partial_index("later_user", "user_id", "admitted_at", "request_id", where="entry_no > 1"),
        partial_index("provider_id", "provider_id", where="provider_id IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    request_id: Mapped[str] = mapped_column(String(64))
    entry_no: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(16))
    seq: Mapped[int] = mapped_column(BigInteger, index=True)
    stream_id: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[int] = mapped_column(BigInteger)
    key_id: Mapped[str] = mapped_column(String(8))
    provider: Mapped[str] = mapped_column(String(64))
    model_requested: Mapped[str] = mapped_column(String(160))
    model: Mapped[str] = mapped_column(String(160))
    served_model: Mapped[str] = mapped_column(String(160))
    operation: Mapped[str] = mapped_column(String(32))
    stream: Mapped[bool]
    outcome: Mapped[str] = mapped_column(String(24))
    usage_status: Mapped[str] = mapped_column(String(16))
    confidence: Mapped[str] = mapped_column(String(16))
    price_status: Mapped[str] = mapped_column(String(16))
    cost_nano_usd: Mapped[int] = mapped_column(BigInteger)
    total_after_nano_usd: Mapped[int] = mapped_column(BigInteger)
    held_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    price_row: Mapped[str] = mapped_column(String(200))
    price_book: Mapped[str] = mapped_column(String(64))
    provider_id: Mapped[str | None] = mapped_column(String(160))
    raw_usage: Mapped[str | None] = mapped_column(Text)
    working: Mapped[str | None] = mapped_column(Text)
    ttft_ms: Mapped[int | None] = mapped_column(Integer)
    admitted_at: Mapped[datetime] = mapped_column(Moment)
    settled_at: Mapped[datetime] = mapped_column(Moment)


class AccountTotal(Base):
    """What the ledger says of one account: costs and adjustments, as its counter in Redis should.

    `is_refused` mirrors the mark that the last decision on the account was a refusal. The cost and
    the requests are of calls alone: a reset does not change them.
    """

    __tablename__ = "account_total"
    __table_args__ = (
        Index("ix_account_total_window", "window_id", "scope"),
        # The list of users looks up several rows of each: without it every look-up is two.
        {"sqlite_with_rowid": False},
    )

    scope: Mapped[str] = mapped_column(String(16), primary_key=True)
    subject_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    window_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    spent_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    is_refused: Mapped[bool] = mapped_column(default=False)
    cost_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    requests: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    last_request_at: Mapped[datetime | None] = mapped_column(Moment)


class AuditRow(Base):
    """One line of the audit. It names users without a foreign key: it outlives them.

    A trigger of its migration refuses every change to a row.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_recent", "at", "id"),
        Index("ix_audit_entry_actor_name", "actor_name", "at", "id"),
        Index("ix_audit_entry_target_name", "target_name", "at", "id"),
        Index("ix_audit_entry_action", "action", "at", "id"),
        Index("ix_audit_entry_result", "result", "at", "id"),
        Index("ix_audit_entry_target", "target_kind", "target_id", "at", "id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    actor_user_id: Mapped[int | None] = mapped_column(BigInteger)
    actor_name: Mapped[str] = mapped_column(String(150))
    actor_role: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(45))
    action: Mapped[str] = mapped_column(String(32))
    target_kind: Mapped[str | None] = mapped_column(String(16))
    target_id: Mapped[str | None] = mapped_column(String(64))
    target_name: Mapped[str | None] = mapped_column(String(254))
    before: Mapped[dict[str, str | int | bool | None]] = mapped_column(JSON)
    after: Mapped[dict[str, str | int | bool | None]] = mapped_column(JSON)
    reason: Mapped[str] = mapped_column(String(500))
    request_id: Mapped[str | None] = mapped_column(String(64))
    result: Mapped[str] = mapped_column(String(16))

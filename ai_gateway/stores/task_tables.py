"""The SQL tables of tasks on a clock, and of the files that old ledger entries went into."""

from datetime import datetime

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ai_gateway.stores.tables import Base, Id, Moment


class TaskRow(Base):
    """A task: when it is due, who does it now and until when that counts, and its last run."""

    __tablename__ = "task"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(Moment)
    claimed_by: Mapped[str | None] = mapped_column(String(32))
    claimed_at: Mapped[datetime | None] = mapped_column(Moment)
    claimed_until: Mapped[datetime | None] = mapped_column(Moment)
    last_run_at: Mapped[datetime | None] = mapped_column(Moment)
    last_took_ms: Mapped[int | None] = mapped_column(Integer)
    last_outcome: Mapped[str | None] = mapped_column(String(16))
    last_detail: Mapped[str] = mapped_column(String(200), default="")
    runs: Mapped[int] = mapped_column(BigInteger, default=0)
    failures: Mapped[int] = mapped_column(BigInteger, default=0)


class LedgerArchiveRow(Base):
    """A file with entries of one day that has been verified; then they leave the ledger.

    What was removed is added up in the transaction that removes it, so that ledger and archive
    together have each entry once, at any moment. `last_seq` is the highest number in the file.
    """

    __tablename__ = "ledger_archive"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    day: Mapped[str] = mapped_column(String(10))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[int] = mapped_column(BigInteger)
    cost_nano_usd: Mapped[int] = mapped_column(BigInteger)
    last_seq: Mapped[int] = mapped_column(BigInteger)
    written_at: Mapped[datetime] = mapped_column(Moment)
    removed_entries: Mapped[int] = mapped_column(BigInteger, default=0)
    removed_cost_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    removed_at: Mapped[datetime | None] = mapped_column(Moment)

"""The SQL tables of the house rules: their one version, and what is paused now."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from ai_gateway.stores.tables import Base, Moment


class RulesVersion(Base):
    """One row: it grows with each change of a pause or of a limit that holds for everybody."""

    __tablename__ = "rules_version"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)


class PauseRow(Base):
    """What is paused now; one that is lifted leaves its line of the audit alone."""

    __tablename__ = "pause"

    scope: Mapped[str] = mapped_column(String(16), primary_key=True)
    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(150))
    reason: Mapped[str] = mapped_column(String(200))
    since: Mapped[datetime] = mapped_column(Moment)
    by: Mapped[str] = mapped_column(String(150))

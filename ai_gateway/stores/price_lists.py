"""The lists of prices that were fetched, in SQL: the newest is the last good one."""

import gzip
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from ai_gateway.stores.price_list import PriceList, read_list
from ai_gateway.stores.price_tables import PriceFetchRow, PriceListRow
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.sql_errors import write

KEPT = 20
ONLY = 1
MOST_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list as it was fetched, by the digest of its content."""

    digest: str
    body: bytes
    fetched_at: datetime

    def read(self) -> PriceList:
        """Raises `UnreadableList`, as where a newer version of the gateway had fetched it."""
        return read_list(self.body, self.fetched_at)


@dataclass(frozen=True, slots=True)
class FetchState:
    """How the last fetch ended, and when one was good; all None before the first."""

    tried_at: datetime | None = None
    good_at: datetime | None = None
    fault: str | None = None


class PriceListTable:
    """Keeps what was believed, and how the last fetch ended."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest(self) -> KeptList | None:
        query = select(PriceListRow).order_by(PriceListRow.id.desc()).limit(1)
        with transaction(self._engine) as session:
            row = session.scalar(query)
        return KeptList(row.digest, gzip.decompress(row.body), row.fetched_at) if row else None

    def state(self) -> FetchState:
        with transaction(self._engine) as session:
            row = session.get(PriceFetchRow, ONLY)
        return FetchState(row.tried_at, row.good_at, row.fault) if row else FetchState()

    def keep(self, found: KeptList) -> None:
        """Let a list be the newest; one that is known already is so again, as of now."""

        def insert(session: Session) -> None:
            session.execute(delete(PriceListRow).where(PriceListRow.digest == found.digest))
            packed = gzip.compress(found.body, mtime=0)
            session.add(PriceListRow(digest=found.digest, body=packed, fetched_at=found.fetched_at))
            session.flush()
            newest = select(PriceListRow.id).order_by(PriceListRow.id.desc()).limit(KEPT)
            kept = list(session.scalars(newest))
            session.execute(delete(PriceListRow).where(PriceListRow.id.not_in(kept)))
            _note(session, found.fetched_at, None)

        write(insert, engine=self._engine)

    def note_fault(self, fault: str, tried_at: datetime) -> None:
        """Remember that the last fetch brought nothing that can be believed."""

        def note(session: Session) -> None:
            _note(session, tried_at, fault[:MOST_CHARACTERS])

        write(note, engine=self._engine)


def _note(session: Session, tried_at: datetime, fault: str | None) -> None:
    row = session.get(PriceFetchRow, ONLY)
    if row is None:
        row = PriceFetchRow(id=ONLY)
        session.add(row)
    row.tried_at, row.fault = tried_at, fault
    if fault is None:
        row.good_at = tried_at

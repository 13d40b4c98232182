"""The last refused requests of one user, with the figures of the budget that had no room."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select

from ai_gateway.domain.money import Money
from ai_gateway.stores.refusal_tables import RefusalRow
from ai_gateway.stores.sql import transaction


@dataclass(frozen=True, slots=True)
class RefusedBudget:
    """What a call needed at most, and what there was: spent and held were of the `limit` then."""

    limit: Money
    spent: Money
    held: Money
    needed: Money
    resets_at: datetime

    @property
    def left(self) -> Money:
        return Money(max(0, self.limit - self.spent - self.held))


@dataclass(frozen=True, slots=True)
class OwnRefusal:
    """One refused request; `budget` is None where it was refused for another reason."""

    request_id: str
    at: datetime
    model: str
    reason: str
    budget: RefusedBudget | None


class OwnRefusals:
    """Reads only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest(self, user_id: int, count: int) -> tuple[OwnRefusal, ...]:
        query = (
            select(RefusalRow)
            .where(RefusalRow.user_id == user_id)
            .order_by(RefusalRow.at.desc(), RefusalRow.id.desc())
            .limit(count)
        )
        with transaction(self._engine) as session:
            return tuple(map(_read, session.scalars(query)))


def _read(row: RefusalRow) -> OwnRefusal:
    return OwnRefusal(row.request_id, row.at, row.model, row.reason, _budget(row))


def _budget(row: RefusalRow) -> RefusedBudget | None:
    if row.limit_nano_usd is None or row.resets_at is None:
        return None
    return RefusedBudget(
        limit=Money(row.limit_nano_usd),
        spent=Money(row.spent_nano_usd or 0),
        held=Money(row.held_nano_usd or 0),
        needed=Money(row.needed_nano_usd or 0),
        resets_at=row.resets_at,
    )

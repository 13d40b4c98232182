"""The virtual keys with what they spent, filtered, sorted and cut into pages by SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, case, func, or_, select, true

from ai_gateway.domain.key_list import (
    KeyCounts,
    KeyCut,
    KeyEntry,
    KeyFilter,
    KeySelection,
    KeySort,
    KeyState,
    KeyWindows,
)
from ai_gateway.domain.limits import Budget, Scope, Window
from ai_gateway.domain.virtual_key import KeyStatus, key_id_of
from ai_gateway.errors import KeyNotFound
from ai_gateway.stores.budget_columns import BudgetColumns
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import AccountTotal, User, VirtualKey

Rows = Select[*tuple[Any, ...]]

_NUMBER = VirtualKey.__table__.c.id
_EXPIRES_AT = VirtualKey.__table__.c.expires_at


class KeyRows:
    """Reads keys in short transactions of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def count(self, windows: KeyWindows, selection: KeySelection) -> KeyCounts:
        """How many keys each filter shows among those of the search and the owner."""
        state = _state(windows.now)

        def how_many(*states: KeyState) -> Any:
            return func.coalesce(func.sum(case((state.in_(states), 1), else_=0)), 0)

        query = select(
            func.count(VirtualKey.id),
            how_many(KeyState.ACTIVE, KeyState.ROTATING),
            how_many(KeyState.ROTATING),
            how_many(KeyState.EXPIRED),
            how_many(KeyState.REVOKED),
        )
        query = query.join(User, VirtualKey.user_id == User.id).where(_is_of(selection))
        with transaction(self._engine) as session:
            return KeyCounts(*(int(number) for number in session.execute(query).one()))

    def page(
        self, windows: KeyWindows, cut: KeyCut, selection: KeySelection
    ) -> tuple[KeyEntry, ...]:
        """Some rows of the list, sorted; equal values go by the time they were made."""
        query = _KeyQuery(windows)
        # Sorting numbers alone is much quicker than sorting all that is shown.
        numbers = (
            query.numbers(cut.sort)
            .where(_is_of(selection), query.shows(selection.chosen))
            .order_by(*query.order(cut.sort, is_descending=cut.is_descending))
            .offset(cut.offset)
            .limit(cut.count)
        )
        with transaction(self._engine) as session:
            wanted = list(session.scalars(numbers))
            rows = query.all().where(VirtualKey.id.in_(wanted))
            found = {entry.number: entry for entry in map(query.read, session.execute(rows))}
        return tuple(found[number] for number in wanted if number in found)

    def after(
        self, windows: KeyWindows, selection: KeySelection, *, number: int, count: int
    ) -> tuple[KeyEntry, ...]:
        """The next keys of a selection in the order in which they were made."""
        query = _KeyQuery(windows)
        rows = (
            query.all()
            .where(_is_of(selection), query.shows(selection.chosen), VirtualKey.id > number)
            .order_by(VirtualKey.id)
            .limit(count)
        )
        with transaction(self._engine) as session:
            return tuple(map(query.read, session.execute(rows)))

    def newest(self, windows: KeyWindows, owner_id: int, count: int) -> tuple[KeyEntry, ...]:
        """The last keys that were made for one user, the newest first."""
        query = _KeyQuery(windows)
        rows = query.all().where(VirtualKey.user_id == owner_id)
        with transaction(self._engine) as session:
            found = session.execute(rows.order_by(VirtualKey.id.desc()).limit(count))
            return tuple(map(query.read, found))

    def find(self, windows: KeyWindows, key_id: str, owner_id: int | None) -> KeyEntry:
        """One key; raises `KeyNotFound`, also for one of another owner than that."""
        query = _KeyQuery(windows)
        rows = query.all().where(
            _is_of(KeySelection(owner_id=owner_id)), VirtualKey.key_id == key_id
        )
        with transaction(self._engine) as session:
            row = session.execute(rows).one_or_none()
        if row is None:
            raise KeyNotFound(key_id)
        return query.read(row)


class _KeyQuery:
    """The keys with their owners and both budgets."""

    def __init__(self, windows: KeyWindows) -> None:
        self._now = windows.now
        self._state = _state(windows.now)
        self._day = BudgetColumns(Budget(Scope.KEY, Window.DAY), windows.daily, _NUMBER)
        self._month = BudgetColumns(Budget(Scope.KEY, Window.MONTH), windows.monthly, _NUMBER)

    def numbers(self, sort: KeySort) -> Rows:
        """The numbers of the keys, with no more tables than the order needs."""
        query = _with_owner(select(_NUMBER))
        budget = {KeySort.DAILY_SPEND: self._day, KeySort.MONTHLY_SPEND: self._month}.get(sort)
        return budget.join(query) if budget else query

    def all(self) -> Rows:
        owner = (User.username, User.is_enabled)
        facts = (*self._day.facts, *self._month.facts)
        query = _with_owner(select(VirtualKey, *owner, self._state, _last_used(), *facts))
        return self._month.join(self._day.join(query))

    def shows(self, chosen: KeyFilter) -> ColumnElement[bool]:
        if chosen is KeyFilter.ALL:
            return true()
        if chosen is KeyFilter.ACTIVE:
            return self._state.in_((KeyState.ACTIVE, KeyState.ROTATING))
        return self._state == KeyState(chosen)

    def order(self, sort: KeySort, *, is_descending: bool) -> list[Any]:
        columns = [*self._sorted_by(sort), _NUMBER]
        return [column.desc() if is_descending else column.asc() for column in columns]

    def read(self, row: Sequence[Any]) -> KeyEntry:
        key, username, is_enabled, state, last_used_at, *facts = row
        until = key.previous_until
        return KeyEntry(
            number=key.id,
            key_id=key.key_id,
            last4=key.last4,
            label=key.label,
            user_id=key.user_id,
            username=username,
            is_owner_enabled=is_enabled,
            state=KeyState(state),
            allowed_models=tuple(key.allowed_models),
            created_at=key.created_at,
            created_by=key.created_by,
            expires_at=key.expires_at,
            previous_until=until if until is not None and until > self._now else None,
            last_used_at=last_used_at,
            daily=self._day.read(facts[:4]),
            monthly=self._month.read(facts[4:]),
        )

    def _sorted_by(self, sort: KeySort) -> tuple[ColumnElement[Any], ...]:
        columns: dict[KeySort, tuple[ColumnElement[Any], ...]] = {
            KeySort.CREATED: (),
            KeySort.LABEL: (func.lower(VirtualKey.label),),
            KeySort.OWNER: (func.lower(User.username),),
            # The databases do not agree on where NULL stands.
            KeySort.EXPIRES: (VirtualKey.expires_at.is_(None), _EXPIRES_AT),
            KeySort.LAST_USED: (_last_used().is_not(None), _last_used()),
            KeySort.DAILY_SPEND: (self._day.spent,),
            KeySort.MONTHLY_SPEND: (self._month.spent,),
        }
        return columns[sort]


def _with_owner(query: Rows) -> Rows:
    return query.select_from(VirtualKey).join(User, VirtualKey.user_id == User.id)


def _state(now: datetime) -> ColumnElement[str]:
    return case(
        (VirtualKey.status != KeyStatus.ACTIVE.value, KeyState.REVOKED.value),
        (VirtualKey.expires_at <= now, KeyState.EXPIRED.value),
        (VirtualKey.previous_until > now, KeyState.ROTATING.value),
        else_=KeyState.ACTIVE.value,
    )


def _last_used() -> ColumnElement[Any]:
    """One step into the index: the names of windows grow with time, and a day's is after its
    month's. No call writes it anywhere else.
    """
    return (
        select(AccountTotal.last_request_at)
        .where(
            AccountTotal.scope == Scope.KEY,
            AccountTotal.subject_id == _NUMBER,
            AccountTotal.last_request_at.is_not(None),
        )
        .order_by(AccountTotal.window_id.desc())
        .limit(1)
        .scalar_subquery()
    )


def _is_of(selection: KeySelection) -> ColumnElement[bool]:
    wanted: list[ColumnElement[bool]] = [true()]
    if selection.owner_id is not None:
        wanted.append(VirtualKey.user_id == selection.owner_id)
    if search := selection.search:
        texts = (VirtualKey.label, User.username, User.email)
        wanted.append(
            or_(
                *(text.icontains(search, autoescape=True) for text in texts),
                VirtualKey.key_id.startswith(key_id_of(search), autoescape=True),
            )
        )
    return and_(*wanted)

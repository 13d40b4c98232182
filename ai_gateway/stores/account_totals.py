"""What the ledger says of each account: what the counters in Redis have to be."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import ColumnElement, Engine, and_, false, or_, select

from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.domain.money import Money
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import AccountTotal, LedgerEntry, VirtualKey

ROWS_AT_ONCE = 2_000


class AccountTotals:
    """Reads only, and keeps no writer waiting."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def spent(self, windows: Sequence[str]) -> Iterator[tuple[Account, Money]]:
        """Every account of some windows, as it is asked for; never all of them in memory."""
        return self._read(AccountTotal.window_id.in_(windows))

    def spent_since(self, seq: int, windows: Sequence[str]) -> Iterator[tuple[Account, Money]]:
        """At least those that an entry with a higher number than `seq` has changed."""
        is_newer = LedgerEntry.seq > seq
        users = select(LedgerEntry.user_id).where(is_newer)
        keys = select(LedgerEntry.key_id).where(is_newer)
        numbers = select(VirtualKey.id).where(VirtualKey.key_id.in_(keys))
        is_touched = or_(
            AccountTotal.scope == Scope.INSTALLATION,
            and_(AccountTotal.scope == Scope.USER, AccountTotal.subject_id.in_(users)),
            and_(AccountTotal.scope == Scope.KEY, AccountTotal.subject_id.in_(numbers)),
        )
        return self._read(and_(AccountTotal.window_id.in_(windows), is_touched))

    def spent_of(self, accounts: Iterable[Account]) -> dict[Account, Money]:
        """The totals of some accounts, where they have any."""
        alike: dict[tuple[Scope, str], list[int]] = {}
        for account in accounts:
            alike.setdefault((account.scope, account.window_id), []).append(account.subject_id)
        theirs = (
            and_(
                AccountTotal.scope == scope,
                AccountTotal.window_id == window,
                AccountTotal.subject_id.in_(numbers),
            )
            for (scope, window), numbers in alike.items()
        )
        return dict(self._read(or_(false(), *theirs)))

    def _read(self, wanted: ColumnElement[bool]) -> Iterator[tuple[Account, Money]]:
        found = AccountTotal.__table__.c
        query = select(found.scope, found.subject_id, found.window_id, found.spent_nano_usd)
        scopes = {scope.value: scope for scope in Scope}
        # One text for all accounts of a window.
        windows: dict[str, tuple[Window, str]] = {}
        with transaction(self._engine) as session:
            rows = session.execute(
                query.where(wanted), execution_options={"yield_per": ROWS_AT_ONCE}
            )
            for scope, subject_id, window_id, spent in rows:
                window = windows.setdefault(window_id, (_window(window_id), window_id))
                yield Account(scopes[scope], subject_id, *window), Money(spent)


def _window(window_id: str) -> Window:
    return Window.DAY if window_id.count("-") == 2 else Window.MONTH

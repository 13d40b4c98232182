"""Gives users room again this window, without raising a limit; the ledger keeps what was spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

from ai_gateway.domain.audit import Action, Actor, AuditEntry, Change, user_target
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Account, Scope, Window, window_id
from ai_gateway.domain.money import Money, usd_text
from ai_gateway.errors import InvalidRequest, UserNotFound
from ai_gateway.services.audit import Audit
from ai_gateway.stores.reset_records import ResetRecords
from ai_gateway.stores.resets import AccountReset, SpendResets

MAX_USERS = 200
MAX_REASON_CHARACTERS = 500
BOTH = tuple(Window)


@dataclass(frozen=True, slots=True)
class ResetOrder:
    """Who wants which windows reset, and why. The same `reset_id` acts once for each user."""

    reset_id: str
    actor: Actor
    reason: str
    windows: tuple[Window, ...] = BOTH


@dataclass(frozen=True, slots=True)
class UserReset:
    """What a reset took off the counters of one user."""

    user_id: int
    username: str
    taken: Mapping[Window, Money]
    reset_at: datetime


class SpendReset:
    """Resets of users; never of a key or the installation.

    Counter, adjustment and mark change in one script, the audit follows: where it cannot be
    written, the caller has to try again with the same `reset_id`, which only writes the audit.
    """

    def __init__(
        self,
        resets: SpendResets,
        records: ResetRecords,
        *,
        audit: Audit,
        clock: Clock,
        zone: ZoneInfo,
    ) -> None:
        self._resets = resets
        self._records = records
        self._audit = audit
        self._clock = clock
        self._zone = zone

    def reset_user(
        self,
        user_id: int,
        *,
        reset_id: str,
        actor: Actor,
        reason: str,
        windows: tuple[Window, ...] = BOTH,
    ) -> UserReset:
        """Set a user's counters of these windows to 0.

        Raises `UserNotFound`, `InvalidRequest`, and `BudgetUnavailable` or `GatewayUnavailable`
        where it may be tried again with the same `reset_id`.
        """
        done = self.reset_users([user_id], ResetOrder(reset_id, actor, reason, windows))
        if not done:
            raise UserNotFound(user_id)
        return done[0]

    def reset_users(self, user_ids: Sequence[int], order: ResetOrder) -> tuple[UserReset, ...]:
        """The same for many users; those that are gone are left out."""
        _check(user_ids, order)
        now = self._clock()
        names = self._records.names(user_ids)
        wanted = {
            (user_id, window): self._account_reset(user_id, window, order.reset_id, now)
            for user_id in names
            for window in order.windows
        }
        taken = self._take(wanted, now)
        done = tuple(
            UserReset(
                user_id, name, {window: taken[user_id, window] for window in order.windows}, now
            )
            for user_id, name in names.items()
        )
        self._records.keep([self._entry(reset, order) for reset in done])
        return done

    def _take(
        self, wanted: Mapping[tuple[int, Window], AccountReset], now: datetime
    ) -> dict[tuple[int, Window], Money]:
        # Redis forgets a reset after a day, or when it loses its memory; the ledger does not.
        booked = self._records.booked([reset.reset_id for reset in wanted.values()])
        new = [reset for reset in wanted.values() if reset.reset_id not in booked]
        amounts = dict(booked) | {
            reset.reset_id: amount
            for reset, amount in zip(new, self._resets.reset(new, now), strict=True)
        }
        return {key: amounts[reset.reset_id] for key, reset in wanted.items()}

    def _account_reset(
        self, user_id: int, window: Window, reset_id: str, now: datetime
    ) -> AccountReset:
        account = Account(Scope.USER, user_id, window, window_id(window, now, self._zone))
        return AccountReset(f"{_name(reset_id, user_id)}:{window}", account)

    def _entry(self, reset: UserReset, order: ResetOrder) -> AuditEntry:
        # The ledger has the adjustments under the same name.
        actor = replace(order.actor, request_id=_name(order.reset_id, reset.user_id))
        before = {f"{window}_spend_usd": usd_text(nano) for window, nano in reset.taken.items()}
        change = Change(before, dict.fromkeys(before, usd_text(Money(0))), order.reason)
        target = user_target(reset.user_id, reset.username)
        return self._audit.entry(Action.SPEND_RESET, actor, target, change)


def _check(user_ids: Sequence[int], order: ResetOrder) -> None:
    if not user_ids or len(user_ids) > MAX_USERS:
        raise InvalidRequest(f"Choose 1 to {MAX_USERS} users.", "selected")
    if not order.windows:
        raise InvalidRequest("Choose the day, the month, or both.", "windows")
    if not 0 < len(order.reason.strip()) <= MAX_REASON_CHARACTERS:
        raise InvalidRequest(
            f"Give a reason, in at most {MAX_REASON_CHARACTERS} characters.", "reason"
        )


def _name(reset_id: str, user_id: int) -> str:
    """Short enough for the ledger, whatever a caller took for an id."""
    return f"reset_{sha256(f'{reset_id}:{user_id}'.encode()).hexdigest()[:32]}"

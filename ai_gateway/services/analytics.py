"""What programs ask of one user, and of the last calls. Everything else is in the reports."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.errors import UserNotFound
from ai_gateway.services.key_holder import KeyHolder, UserStanding
from ai_gateway.services.usage_report import Usage, UsageReports
from ai_gateway.stores.recent_calls import CallPosition, RecentCall, RecentCalls
from ai_gateway.stores.usage_sums import Step, UsageSums
from ai_gateway.stores.user_directory import KnownUser, UserDirectory

__all__ = [
    "Analytics",
    "AnalyticsParts",
    "CallPage",
    "Position",
    "RecentCall",
    "Step",
    "UsageSums",
    "UserProfile",
    "UserReport",
]
"""Some are of the stores: the views see those through the services that hand them out."""

Position = tuple[datetime, int]
"""Where a call stands among all: when it was admitted, and its number among those of that time."""


@dataclass(frozen=True, slots=True)
class UserReport:
    """What a user used by the ledger, and where the budgets stand by the counters."""

    usage: Usage
    standing: UserStanding


@dataclass(frozen=True, slots=True)
class UserProfile:
    """A user with the report of theirs."""

    user: KnownUser
    report: UserReport


@dataclass(frozen=True, slots=True)
class CallPage:
    """Some calls, newest first, and where the older ones begin; None where there are none."""

    calls: tuple[RecentCall, ...]
    older_than: Position | None


@dataclass(frozen=True, slots=True)
class AnalyticsParts:
    """The reads that the answers are made of."""

    usage: UsageReports
    holder: KeyHolder
    directory: UserDirectory
    calls: RecentCalls


class Analytics:
    """Answers for one user at a time; who may ask is not decided here."""

    def __init__(self, parts: AnalyticsParts, zone: ZoneInfo) -> None:
        self._parts = parts
        self._zone = zone

    def user(self, user_id: int, days: int) -> UserReport:
        """Today so far and the days before it, `days` in all."""
        return UserReport(
            usage=self._parts.usage.last_days(days, user_id),
            standing=self._parts.holder.standing(user_id, self._zone),
        )

    def profile(self, user_id: int, days: int) -> UserProfile:
        """Likewise, with who the user is; raises `UserNotFound`."""
        user = self._parts.directory.find(user_id)
        if user is None:
            raise UserNotFound(user_id)
        return UserProfile(user, self.user(user_id, days))

    def last_calls(
        self, count: int, *, older_than: Position | None = None, user_id: int | None = None
    ) -> CallPage:
        """The calls of one user, or of all."""
        before = None if older_than is None else CallPosition(*older_than)
        # One more than asked for tells whether there is another page.
        found = self._parts.calls.newest(count + 1, before=before, user_id=user_id)
        calls = found[:count]
        if len(found) <= count:
            return CallPage(calls, None)
        last = calls[-1].position
        return CallPage(calls, (last.admitted_at, last.entry_id))

"""The health of each part of the gateway, for the system page: a state in a word, and facts.

Nothing here calls out of the installation: what providers do is known from the calls themselves.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from time import perf_counter
from zoneinfo import ZoneInfo

from ai_gateway.domain.call import FAILURES, Outcome
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import INSTALLATION_ID, Account, Scope, Window, window_id
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.health import Health, LiveState
from ai_gateway.stores.redis_facts import RedisFacts, RedisProbe
from ai_gateway.stores.rollups import local_hour
from ai_gateway.stores.system_sums import LedgerFacts, OutcomeCount, SystemSums

SLOW = timedelta(milliseconds=100)
"""A database or a Redis that takes longer for a trifle slows everything down."""

LONG_LAG = timedelta(seconds=60)
MEMORY_WARNING = Fraction(1, 10)
MEMORY_FULL = Fraction(6, 10)
"""Parts of the memory of Redis (money.md 1.7): from the first on somebody should look."""

MOST_SKEW = timedelta(seconds=5)
SEEN_FOR = timedelta(hours=24)
BAD_RATE, FAILED_RATE = Fraction(1, 10), Fraction(1, 2)
LEAST_CALLS = 5


class PartState(StrEnum):
    """How a part is; nobody can tell of an unknown one."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """Calls of this hour to one provider, and the hour of its last failure within a day."""

    provider: str
    requests: int
    failures: int
    last_failure: datetime | None
    last_outcome: str | None

    @property
    def error_rate(self) -> Fraction | None:
        return Fraction(self.failures, self.requests) if self.requests else None

    @property
    def state(self) -> PartState:
        rate = self.error_rate
        if rate is None or self.requests < LEAST_CALLS:
            return PartState.OK if not self.failures else PartState.UNKNOWN
        if rate >= FAILED_RATE:
            return PartState.DOWN
        return PartState.DEGRADED if rate >= BAD_RATE else PartState.OK


@dataclass(frozen=True, slots=True)
class PartsHealth:
    """What was found. `redis` is None while it does not answer."""

    now: datetime
    live: LiveState
    redis: RedisFacts | None
    sql_took: timedelta
    ledger: LedgerFacts
    providers: tuple[ProviderHealth, ...]
    price_book: str

    @property
    def sql_state(self) -> PartState:
        return PartState.OK if self.sql_took < SLOW else PartState.DEGRADED

    @property
    def redis_state(self) -> PartState:
        if self.redis is None:
            return PartState.DOWN
        is_full = bool(self.redis.max_bytes) and self.memory_used >= MEMORY_WARNING
        if not self.redis.is_policy_safe or not self.redis.is_trusted:
            return PartState.DOWN if not self.redis.is_policy_safe else PartState.DEGRADED
        return PartState.DEGRADED if is_full or self.redis.took >= SLOW else PartState.OK

    @property
    def memory_used(self) -> Fraction:
        """The used part of the memory that Redis may have; 0 where it has no bound."""
        if self.redis is None or not self.redis.max_bytes:
            return Fraction(0)
        return Fraction(self.redis.used_bytes, self.redis.max_bytes)

    @property
    def ledger_state(self) -> PartState:
        """How the settled calls come into SQL: by the bookkeeper, whose lag tells that it lives."""
        if self.ledger.set_aside:
            return PartState.DEGRADED
        if self.live.ledger_lag is None:
            return PartState.UNKNOWN
        return PartState.OK if self.live.ledger_lag <= LONG_LAG else PartState.DEGRADED

    @property
    def bookkeeper_at(self) -> datetime | None:
        """When the bookkeeper last gave a sign of life."""
        return None if self.redis is None else self.redis.bookkeeper_at

    @property
    def clock_skew(self) -> timedelta | None:
        """How far the clock of Redis is ahead of ours: leases go by it, windows by ours."""
        return None if self.redis is None else self.redis.now - self.now

    @property
    def clock_state(self) -> PartState:
        if self.clock_skew is None:
            return PartState.UNKNOWN
        return PartState.OK if abs(self.clock_skew) <= MOST_SKEW else PartState.DEGRADED


class PartsHealthReport:
    """Asks the parts, each within its own time limit; raises `GatewayUnavailable` without SQL."""

    def __init__(
        self,
        probe: RedisProbe,
        sums: SystemSums,
        *,
        price_book: Callable[[], str],
        clock: Clock,
        zone: ZoneInfo,
    ) -> None:
        self._probe = probe
        self._sums = sums
        self._price_book = price_book
        self._clock = clock
        self._zone = zone

    def read(self, health: Health) -> PartsHealth:
        """`health` knows how far the ledger is behind and since when Redis is away."""
        began = perf_counter()
        ledger = self._sums.ledger()
        took = timedelta(seconds=perf_counter() - began)
        now = self._clock()
        return PartsHealth(
            now=now,
            live=health.live_state(),
            redis=self._redis(now),
            sql_took=took,
            ledger=ledger,
            providers=self._providers(now),
            price_book=self._price_book(),
        )

    def _redis(self, now: datetime) -> RedisFacts | None:
        month = window_id(Window.MONTH, now, self._zone)
        try:
            return self._probe.facts(
                Account(Scope.INSTALLATION, INSTALLATION_ID, Window.MONTH, month)
            )
        except BudgetUnavailable:
            return None

    def _providers(self, now: datetime) -> tuple[ProviderHealth, ...]:
        hour = local_hour(now, self._zone)
        rows = self._sums.outcomes(hour - SEEN_FOR, None)
        names = sorted({row.provider for row in rows})
        return tuple(
            _provider(name, [row for row in rows if row.provider == name], hour) for name in names
        )


def _provider(name: str, rows: list[OutcomeCount], hour: datetime) -> ProviderHealth:
    failures = [row for row in rows if row.outcome in FAILURES and row.count > 0]
    last = max(failures, key=lambda row: (row.hour, row.count), default=None)
    present: Counter[str] = Counter()
    for row in rows:
        if row.hour == hour:
            present[row.outcome] += row.count
    return ProviderHealth(
        provider=name,
        requests=present.total(),
        failures=sum(count for outcome, count in present.items() if Outcome(outcome).is_failure),
        last_failure=last.hour if last else None,
        last_outcome=last.outcome if last else None,
    )

"""Looks whether any rule has to do with the present, and has people told. The bookkeeper calls it.

It stands apart from the bookkeeper's loop: the ledger waits for no look and for no mail server.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock, Thread
from types import MappingProxyType
from zoneinfo import ZoneInfo

from ai_gateway.domain.alerts import AlertKind, Rule, default_rule
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Window, window_id
from ai_gateway.errors import GatewayError
from ai_gateway.services.alert_delivery import AlertDelivery
from ai_gateway.services.alert_outages import OutageTeller
from ai_gateway.services.alert_sources import PartWatch, Reader
from ai_gateway.stores.alert_rules import AlertRules
from ai_gateway.stores.alerts import AlertTable, Look

logger = logging.getLogger(__name__)

EVERY_SECONDS = 30
SELDOM = MappingProxyType({AlertKind.BUDGET_PROJECTED: timedelta(minutes=5)})
"""What changes slowly and reads much; all other rules are looked at each time."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The two stores that may be away; SQL is where alerts themselves are kept."""

    redis: PartWatch
    sql: PartWatch


class Alerting:
    """One look after the other; `run` is one look, and sends what is due."""

    def __init__(
        self,
        tables: tuple[AlertRules, AlertTable],
        sources: Mapping[AlertKind, Reader],
        parts: Parts,
        *,
        outages: OutageTeller,
        delivery: AlertDelivery,
    ) -> None:
        self._rules, self._alerts = tables
        self._sources = {**sources, AlertKind.REDIS_DOWN: parts.redis.read}
        self._parts = parts
        self._outages = outages
        self._delivery = delivery
        self._known = {kind: default_rule(kind) for kind in AlertKind}
        self._due: dict[AlertKind, datetime] = {}
        self._is_redis_told = False

    def run(self, now: datetime, zone: ZoneInfo) -> None:
        """Raises nothing of ours: what is away is looked at again the next time."""
        redis_since = self._parts.redis.look(now)
        sql_since = self._parts.sql.look(now)
        try:
            if sql_since is None:
                self._by_way_of_sql(Look(now, _open_windows(now, zone)))
                return
        except GatewayError as error:
            _log_wait("alerts", error)
            return
        sql, redis = self._parts.sql, self._parts.redis
        self._outages.tell(self._known[sql.kind], sql.name, sql_since, now)
        if redis_since is not None and not self._is_redis_told:
            self._outages.tell(self._known[redis.kind], redis.name, redis_since, now)

    def _by_way_of_sql(self, look: Look) -> None:
        self._known = self._rules.all()
        self._outages.settle(AlertKind.SQL_DOWN, is_over=True, now=look.at)
        self._outages.settle(AlertKind.REDIS_DOWN, is_over=False, now=look.at)
        self._alerts.close([kind for kind, rule in self._known.items() if not rule.is_on], look.at)
        for kind, read in self._sources.items():
            rule = self._known[kind]
            if rule.is_on and look.at >= self._due.get(kind, look.at):
                self._look_at(rule, read, look)
        self._delivery.send_due()

    def _look_at(self, rule: Rule, read: Reader, look: Look) -> None:
        try:
            found = read(rule, look.at)
            self._alerts.sync(rule, found, look)
        except GatewayError as error:
            # Not known is neither firing nor over.
            _log_wait(rule.kind, error)
            return
        self._due[rule.kind] = look.at + SELDOM.get(rule.kind, timedelta(0))
        if rule.kind is AlertKind.REDIS_DOWN:
            self._is_redis_told = bool(found)


class AlertWatch:
    """One look at a time, each in a thread of its own."""

    def __init__(self, alerting: Alerting, clock: Clock, zone: ZoneInfo) -> None:
        self._alerting = alerting
        self._clock = clock
        self._zone = zone
        self._is_looking = Lock()

    def start_look(self) -> None:
        """Return at once; nothing happens while the last look still runs."""
        if self._is_looking.acquire(blocking=False):
            # No daemon: a process that ends lets a message arrive and be marked, within its limits
            # of time, or it would be sent again.
            Thread(target=self._look_and_release, name="alerts").start()

    def _look_and_release(self) -> None:
        try:
            self._alerting.run(self._clock(), self._zone)
        except Exception:
            # The next look must not be lost with this one.
            logger.exception("alerts_failed")
        finally:
            self._is_looking.release()


def _open_windows(now: datetime, zone: ZoneInfo) -> frozenset[str]:
    return frozenset(window_id(window, now, zone) for window in Window)


def _log_wait(what: str, error: GatewayError) -> None:
    cause = error.__cause__ or error
    logger.warning("alerts_wait", extra={"what": what, "cause": type(cause).__name__})

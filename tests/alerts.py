"""Alerts for tests: the bookkeeper's looks on a database of one's own, and seeds for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import redis
from sqlalchemy import Engine

from ai_gateway.domain.alerts import AlertKind, Condition, Rule, default_rule
from ai_gateway.domain.clock import Clock
from ai_gateway.notify.channel import Channel, NotSent
from ai_gateway.services.alert_admin import AlertAdmin, AlertStores
from ai_gateway.services.alert_delivery import AlertDelivery
from ai_gateway.services.alert_outages import SQL_NAME, OutageTeller
from ai_gateway.services.alert_sources import PartWatch, Reader
from ai_gateway.services.alerting import Alerting, Parts
from ai_gateway.services.audit import Audit
from ai_gateway.stores.alert_deliveries import AlertDeliveries
from ai_gateway.stores.alert_marks import AlertMarks
from ai_gateway.stores.alert_rules import AlertRules
from ai_gateway.stores.alerts import AlertTable, Look
from ai_gateway.stores.audit import AuditTable
from tests.money import UTC_ZONE

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass
class NoChannel:
    """A way that leads nowhere, for pages: it takes everything, or nothing."""

    name: str
    target: str
    failure: str = ""

    def send(self, _notice: object) -> str:
        if self.failure:
            raise NotSent(self.failure)
        return ""


MAIL = NoChannel("email", "ops@example.com, finance@example.com through mail.example.com:587")
WEBHOOK = NoChannel("webhook", "https://hooks.slack.com, Slack", "answered 503")


def stores_of(engine: Engine, channels: Sequence[Channel]) -> AlertStores:
    names = [channel.name for channel in channels]
    return AlertStores(AlertRules(engine), AlertTable(engine, names), AlertDeliveries(engine))


def admin_of(engine: Engine, clock: Clock, channels: Sequence[Channel] = ()) -> AlertAdmin:
    audit = Audit(AuditTable(engine), clock)
    return AlertAdmin(stores_of(engine, channels), channels, audit, clock)


@dataclass
class Desk:
    """One bookkeeper's alerts. What rules find is in `found`, and both stores can be away."""

    engine: Engine
    client: redis.Redis
    channels: Sequence[Channel]
    now: datetime = NOON
    found: dict[AlertKind, list[Condition]] = field(default_factory=dict)
    sources: Mapping[AlertKind, Reader] = field(default_factory=dict)
    is_redis_up: bool = True
    is_sql_up: bool = True

    def __post_init__(self) -> None:
        stores = self.stores = stores_of(self.engine, self.channels)
        self.alerting = Alerting(
            (stores.rules, stores.alerts),
            {kind: self._finder(kind) for kind in AlertKind} | dict(self.sources),
            Parts(
                redis=PartWatch(AlertKind.REDIS_DOWN, "Redis", lambda: self.is_redis_up),
                sql=PartWatch(AlertKind.SQL_DOWN, SQL_NAME, lambda: self.is_sql_up),
            ),
            outages=OutageTeller(
                self.channels, AlertMarks(self.client), stores.alerts, stores.deliveries
            ),
            delivery=AlertDelivery(stores.deliveries, self.channels, lambda: self.now),
        )

    def look(self, *, after: timedelta | float = 30) -> None:
        """Let time pass, and look; a number is of seconds."""
        self.now += after if isinstance(after, timedelta) else timedelta(seconds=after)
        self.alerting.run(self.now, UTC_ZONE)

    def _finder(self, kind: AlertKind) -> Reader:
        return lambda _rule, _now: self.found.get(kind, [])


def seed_alerts(engine: Engine, now: datetime) -> None:
    """Open and closed alerts of several kinds, and deliveries of every outcome."""
    stores = stores_of(engine, (MAIL, WEBHOOK))
    day, month = f"{now:%Y-%m-%d}", f"{now:%Y-%m}"
    look = Look(now - timedelta(hours=2), frozenset({day, month}))

    def found(kind: AlertKind, condition: Condition, at: Look = look) -> Rule:
        rule = default_rule(kind)
        stores.alerts.sync(rule, [condition], at)
        return rule

    errors = Condition("lab", "lab", "31 of 88 calls failed in the last hours (35 %)")
    rule = found(AlertKind.PROVIDER_ERRORS, errors)
    for minutes in (40, 42):
        later = look.at + timedelta(minutes=minutes)
        stores.alerts.sync(rule, [], replace(look, at=later))
    words = "$25.00 of $25.00 spent (100 %, last call refused); resets 2026-11-24 00:00 UTC"
    late = replace(look, at=now - timedelta(minutes=9))
    found(
        AlertKind.BUDGET_REACHED,
        Condition("user:2:day", "user amelia.stone, day", words, day),
        late,
    )
    near = "$4,120.50 of $5,000.00 spent (82 %); resets 2026-12-01 00:00 UTC"
    found(
        AlertKind.BUDGET_NEAR,
        Condition("installation:0:month", "the installation, month", near, month),
        late,
    )
    at = now - 9 * timedelta(seconds=40)
    # The last message is still on its way to the second of them.
    for channel, outcomes in ((MAIL, "...."), (WEBHOOK, "xx...x")):
        for outcome in outcomes:
            claim = stores.deliveries.claim(channel.name, at)
            assert claim is not None
            stores.deliveries.finish(claim, "answered 503" if outcome == "x" else None, at)
            at += timedelta(seconds=40)

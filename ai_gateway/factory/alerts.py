"""Puts alerts together: the ways to people, what staff choose, and what the bookkeeper looks at."""

from collections.abc import Callable, Mapping

import redis

from ai_gateway.domain.alerts import AlertKind
from ai_gateway.domain.clock import Clock
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.factory.from_settings import default_limits
from ai_gateway.notify.channel import Channel
from ai_gateway.notify.mail import MailChannel, MailServer
from ai_gateway.notify.webhook import WebhookChannel, webhook_form
from ai_gateway.services.alert_admin import AlertAdmin, AlertStores
from ai_gateway.services.alert_delivery import AlertDelivery
from ai_gateway.services.alert_outages import SQL_NAME, OutageTeller
from ai_gateway.services.alert_sources import (
    BudgetSource,
    LedgerSource,
    PartWatch,
    Reader,
    TracingSource,
    TrafficSource,
)
from ai_gateway.services.alerting import Alerting, AlertWatch, Parts
from ai_gateway.services.audit import Audit
from ai_gateway.services.tracing_health import TRACING_OFF, TracingHealth, TracingHealthReport
from ai_gateway.services.verification import Verification
from ai_gateway.settings import MailSettings, Settings
from ai_gateway.stores import sql
from ai_gateway.stores.alert_deliveries import AlertDeliveries
from ai_gateway.stores.alert_marks import AlertMarks
from ai_gateway.stores.alert_rules import AlertRules
from ai_gateway.stores.alert_sums import AlertSums
from ai_gateway.stores.alerts import AlertTable
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.tables import db
from ai_gateway.stores.tracing_state import TracingStateStore


def alert_admin(settings: Settings, audit: Audit, clock: Clock) -> AlertAdmin:
    channels = channels_of(settings)
    return AlertAdmin(_stores(channels), channels, audit, clock)


def alert_watch(settings: Settings, client: redis.Redis, clock: Clock) -> Callable[[], object]:
    """What the bookkeeper does each half minute; it waits for nothing."""
    channels = channels_of(settings)
    stores = _stores(channels)
    published, engine = PublishedState(client), db.engine
    alerting = Alerting(
        (stores.rules, stores.alerts),
        _sources(settings, client, clock),
        Parts(
            redis=PartWatch(AlertKind.REDIS_DOWN, "Redis", lambda: _is_trusted(published)),
            sql=PartWatch(AlertKind.SQL_DOWN, SQL_NAME, lambda: sql.is_up(engine)),
        ),
        outages=OutageTeller(channels, AlertMarks(client), stores.alerts, stores.deliveries),
        delivery=AlertDelivery(stores.deliveries, channels, clock),
    )
    return AlertWatch(alerting, clock, settings.timezone).start_look


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """The ways to people that the operator has set, mail first."""
    chosen = settings.alerts
    found: list[Channel] = [_mail(chosen.mail)] if chosen.mail else []
    if chosen.webhook_url:
        url, form = chosen.webhook_url, chosen.webhook_form
        found.append(WebhookChannel(url, webhook_form(url) if form == "auto" else form))
    return tuple(found)


def _mail(chosen: MailSettings) -> MailChannel:
    server = MailServer(
        chosen.host,
        chosen.port,
        chosen.security,
        chosen.username,
        chosen.password.value if chosen.password else "",
        is_local=chosen.is_local,
    )
    return MailChannel(server, chosen.sender, chosen.recipients)


def _stores(channels: tuple[Channel, ...]) -> AlertStores:
    names = [channel.name for channel in channels]
    engine = db.engine
    return AlertStores(AlertRules(engine), AlertTable(engine, names), AlertDeliveries(engine))


def _sources(settings: Settings, client: redis.Redis, clock: Clock) -> Mapping[AlertKind, Reader]:
    zone = settings.timezone
    sums, ledger, outbox = AlertSums(db.engine), Ledger(db.engine, zone), Outbox(client)
    budgets = BudgetSource(sums, default_limits(settings), zone)
    traffic = TrafficSource(sums, zone)
    booking = LedgerSource(Verification(ledger, outbox, clock=clock, zone=zone), ledger, outbox)
    tracing = TracingSource(_tracing_health(settings, client, clock))
    return {
        AlertKind.BUDGET_NEAR: budgets.near,
        AlertKind.BUDGET_REACHED: budgets.reached,
        AlertKind.BUDGET_PROJECTED: budgets.projected,
        AlertKind.UNPRICED_MODEL: traffic.unpriced,
        AlertKind.PROVIDER_ERRORS: traffic.provider_errors,
        AlertKind.LEDGER_DRIFT: booking.drift,
        AlertKind.OUTBOX_LAG: booking.lag,
        AlertKind.EXPORT_QUEUE: tracing.export_queue,
    }


def _tracing_health(
    settings: Settings, client: redis.Redis, clock: Clock
) -> Callable[[], TracingHealth]:
    chosen = settings.tracing
    if not chosen.is_on:
        return lambda: TRACING_OFF
    store = TracingStateStore(client)
    return TracingHealthReport(
        store, project=chosen.project, endpoint=chosen.endpoint, clock=clock
    ).read


def _is_trusted(published: PublishedState) -> bool:
    try:
        return published.has_epoch()
    except BudgetUnavailable:
        return False

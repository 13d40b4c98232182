"""What the home page and `flask doctor` are made of."""

from collections.abc import Callable
from pathlib import Path

import redis

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import INSTALLATION_ID, Account, Scope, Window, window_id
from ai_gateway.providers.registry import Registry
from ai_gateway.services.checklist import Checklist, SetUpChoices, SetUpSources
from ai_gateway.services.tracing_health import TracingHealth
from ai_gateway.settings import Settings
from ai_gateway.stores.pauses import PauseActs
from ai_gateway.stores.redis_facts import RedisFacts, RedisProbe
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.schema import SchemaVersion
from ai_gateway.stores.tables import db

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def checklist_of(
    settings: Settings,
    providers: Registry,
    client: redis.Redis,
    tracing: Callable[[], TracingHealth],
    clock: Clock,
) -> Checklist:
    """Asks the parts of this installation."""
    probe = RedisProbe(client)

    def facts() -> RedisFacts:
        month = window_id(Window.MONTH, clock(), settings.timezone)
        return probe.facts(Account(Scope.INSTALLATION, INSTALLATION_ID, Window.MONTH, month))

    sources = SetUpSources(
        is_migrated=SchemaVersion(db.engine, MIGRATIONS).is_current,
        steps=ReportingStore().set_up_facts,
        redis=facts,
        tracing=tracing,
        pauses=PauseActs(db.engine).all,
    )
    choices = SetUpChoices(
        providers.names,
        is_simulated=settings.simulator_active,
        has_langsmith_key=settings.tracing.api_key is not None,
    )
    return Checklist(sources, choices)

"""The health of the parts in words: cards of the system page, and a text without secrets."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ai_gateway import __version__
from ai_gateway.domain.house_rules import EVERYTHING, provider_pause
from ai_gateway.services.parts_health import PartsHealth, PartState, ProviderHealth
from ai_gateway.services.system_report import SystemReport
from ai_gateway.services.tracing_health import TracingHealth, TracingState
from ai_gateway.stores.redis_facts import SAFE_POLICY, RedisFacts
from ai_gateway.web.admin.conditions import pause_of
from ai_gateway.web.admin.wording import outcome_words
from ai_gateway.web.context import services
from ai_gateway.web.formatting import exact_count, moment, money, rate, span

MEGABYTE = 2**20

TRACING_STATES = {
    TracingState.CONNECTED: PartState.OK,
    TracingState.DEGRADED: PartState.DEGRADED,
    TracingState.DISCONNECTED: PartState.DOWN,
}


@dataclass(frozen=True, slots=True)
class Card:
    """One part: its state, facts as name and text, and since when it is so."""

    name: str
    state: str
    facts: tuple[tuple[str, str], ...]
    since: datetime | None = None
    word: str = ""


def health_cards(health: PartsHealth, report: SystemReport) -> tuple[Card, ...]:
    """In the order of the page."""
    return (
        _gateway(health),
        _redis(health),
        _sql(health),
        _ledger(health),
        _holds(health),
        _prices(health, report),
        tracing_card(services().tracing_health()),
        *map(_provider, health.providers),
    )


def diagnostics(health: PartsHealth, report: SystemReport) -> str:
    """What somebody who helps needs to know; no name of a user, no key, no address."""
    return "\n".join(_diagnostic_lines(health, report))


def _diagnostic_lines(health: PartsHealth, report: SystemReport) -> Iterator[str]:
    yield f"AI Gateway diagnostics, {health.now.isoformat()}"
    for card in health_cards(health, report):
        facts = "; ".join(f"{name}: {text}" for name, text in card.facts)
        yield f"{card.name}: {card.word or card.state}" + (f" ({facts})" if facts else "")
    sums = report.usage.current
    period = report.usage.period
    yield f"Window: {period.since.isoformat()} to {period.until.isoformat()}"
    yield f"Requests: {sums.requests}, failed: {sums.failures}, refused: {report.refused}"


def _gateway(health: PartsHealth) -> Card:
    state = health.clock_state
    skew = health.clock_skew
    facts = (
        ("Version", __version__),
        ("Python", platform.python_version()),
        ("Up for", span(health.now - services().instance.started_at)),
        ("Workers on this host", str(services().instance.workers)),
        ("Reporting zone", services().zone.key),
        ("Clock against Redis", "unknown" if skew is None else f"{skew.total_seconds():+.1f} s"),
    )
    # Whoever reads this was served: without Redis only the clocks cannot be compared.
    shown = PartState.OK if state is PartState.UNKNOWN else state
    return Card("Gateway", shown, facts)


def _redis(health: PartsHealth) -> Card:
    if health.redis is None:
        down_since = health.live.redis_down_since
        facts = (("Calls", "new ones are refused (503)"),)
        return Card("Redis", health.redis_state, facts, down_since)
    return Card("Redis", health.redis_state, tuple(_redis_facts(health.redis)))


def _redis_facts(redis: RedisFacts) -> Iterator[tuple[str, str]]:
    yield "Server", redis.server
    yield "Round trip", _milliseconds(redis.took)
    bound = f" of {redis.max_bytes // MEGABYTE} MB" if redis.max_bytes else ", without a bound"
    yield "Memory", f"{redis.used_bytes // MEGABYTE} MB{bound}"
    if redis.is_policy_safe:
        yield "Eviction", redis.policy
    else:
        yield "Eviction", f"{redis.policy}: must be {SAFE_POLICY}, or money is thrown away"
    yield "Up for", span(redis.up_for)
    if not redis.is_trusted:
        yield "Counters", "are being restored from the ledger"


def _sql(health: PartsHealth) -> Card:
    kinds = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    facts = (
        ("Database", kinds.get(services().instance.database, services().instance.database)),
        ("A small read", _milliseconds(health.sql_took)),
        ("Entries", exact_count(health.ledger.entries)),
        ("Oldest", _moment_or_none(health.ledger.oldest)),
    )
    return Card("Database", health.sql_state, facts)


def _ledger(health: PartsHealth) -> Card:
    lag = health.live.ledger_lag
    facts = [
        ("Behind", "unknown" if lag is None else f"{lag.total_seconds():.1f} s"),
        (
            "Waiting",
            "unknown" if health.redis is None else exact_count(health.redis.outbox_entries),
        ),
        ("Set aside", exact_count(health.ledger.set_aside)),
        ("Last sign of life", _moment_or_none(health.bookkeeper_at)),
    ]
    return Card("Bookkeeper", health.ledger_state, tuple(facts))


def _holds(health: PartsHealth) -> Card:
    redis = health.redis
    if redis is None:
        return Card("Open holds", PartState.UNKNOWN, (("Calls", "unknown"), ("Amount", "unknown")))
    facts = (("Calls", exact_count(redis.open_holds)), ("Amount", money(redis.held)))
    return Card("Open holds", PartState.OK, facts)


def _prices(health: PartsHealth, report: SystemReport) -> Card:
    unpriced = report.usage.current.unpriced
    facts = (
        ("Price book", health.price_book),
        ("Unpriced requests", f"{exact_count(unpriced)} in this window"),
    )
    return Card("Prices", PartState.DEGRADED if unpriced else PartState.OK, facts)


def tracing_card(tracing: TracingHealth) -> Card:
    """Of what was found in the background; nobody waits for LangSmith."""
    word = tracing.state.value.capitalize()
    if tracing.state is TracingState.OFF:
        return Card("LangSmith", "off", (("Tracing", "is not set up"),), word=word)
    facts = (
        ("Tracing", "on"),
        ("Project", tracing.project or "—"),
        ("Last sent", _moment_or_none(tracing.sent_at)),
        ("Waiting", exact_count(tracing.queued)),
        ("Dropped", exact_count(tracing.dropped)),
        ("Last error", tracing.error or "none"),
    )
    return Card("LangSmith", TRACING_STATES[tracing.state], facts, tracing.since, word)


def _provider(provider: ProviderHealth) -> Card:
    pause = pause_of(EVERYTHING) or pause_of(provider_pause(provider.provider))
    if pause is not None:
        facts = [("Paused by", pause.by), ("Reason", pause.reason)]
        return Card(provider.provider, PartState.DOWN, tuple(facts), pause.since, "Paused")
    part = rate(provider.error_rate)
    facts = [("This hour", f"{exact_count(provider.requests)} calls, {part} failed")]
    if provider.last_failure is not None and provider.last_outcome is not None:
        words = outcome_words(provider.last_outcome)[2]
        facts.append(
            ("Last failure", f"{words}, in the hour of {_moment_or_none(provider.last_failure)}")
        )
    else:
        facts.append(("Last failure", "none within a day"))
    return Card(provider.provider, provider.state, tuple(facts))


def _milliseconds(length: timedelta) -> str:
    return f"{length.total_seconds() * 1000:.1f} ms"


def _moment_or_none(value: datetime | None) -> str:
    return "—" if value is None else moment(value, services().zone)

"""What a scrape adds to the counters of the workers: figures of the bookkeeper, and this instance.

Made anew at each scrape, so that what is gone vanishes by itself.
"""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ai_gateway import __version__
from ai_gateway.domain.money import NANO_PER_USD

FIGURE_SILENCE_SECONDS = 60
"""Figures of a bookkeeper that has been silent for so long are left out, never repeated."""

PREFIX = "ai_gateway_"
SEPARATOR = "|"
"""Stands in the name of a figure between its family and the values of its labels."""

PAIR = "pair"
"""Begins the name of a figure that is no metric: a provider and model that was asked of late."""

_BUDGET = ("scope", "name", "window")


@dataclass(frozen=True, slots=True)
class FigureFamily:
    """A family of figures, by its name without prefix; what ends in `_usd` comes in nano-USD."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"

    def value(self, figure: float) -> float:
        return figure / NANO_PER_USD if self.name.endswith("_usd") else figure


FIGURES = (
    FigureFamily("budget_limit_usd", "Limit of a budget in USD.", _BUDGET),
    FigureFamily(
        "budget_spent_usd", "What a budget has spent since its window began, in USD.", _BUDGET
    ),
    FigureFamily(
        "budget_reserved_usd", "What the open holds of a budget reserve, in USD.", _BUDGET
    ),
    FigureFamily("budget_reset_timestamp_seconds", "When the window of a budget ends.", _BUDGET),
    FigureFamily("budgets", "Budgets by their state, all of them.", ("scope", "state")),
    FigureFamily("pauses", "What staff paused, by its scope.", ("scope",)),
    FigureFamily(
        "reservations_expired_total",
        "Holds whose lease lapsed, as when their worker died.",
        kind="counter",
    ),
    FigureFamily("reservations_outstanding", "Open holds."),
    FigureFamily("reservations_outstanding_usd", "What the open holds reserve, in USD."),
    FigureFamily(
        "reservation_oldest_age_seconds", "Age of the oldest open hold; 0 when there is none."
    ),
    FigureFamily(
        "ledger_spend_usd", "Cost in the ledger since the window began, in USD.", ("window",)
    ),
    FigureFamily(
        "ledger_lag_seconds", "Age of the oldest settled call that is not in the ledger yet."
    ),
    FigureFamily(
        "ledger_writes_total",
        "Writes of the bookkeeper to the ledger.",
        ("result",),
        kind="counter",
    ),
    FigureFamily(
        "ledger_drift_usd", "Sum of the counters in Redis less that of the ledger, in USD."
    ),
    FigureFamily(
        "ledger_last_reconcile_timestamp_seconds", "When Redis and ledger were last compared."
    ),
    FigureFamily(
        "ledger_conflicts_total",
        "Entries set aside because they could not be booked.",
        kind="counter",
    ),
    FigureFamily(
        "ledger_rebuilds_total",
        "Rebuilds of the counters in Redis from the ledger.",
        kind="counter",
    ),
    FigureFamily(
        "ledger_epoch_rollbacks_total",
        "Times that Redis came back with an older state.",
        kind="counter",
    ),
    FigureFamily(
        "clock_jump_total",
        "Times that the clock of Redis jumped by more than 30 s.",
        kind="counter",
    ),
    FigureFamily(
        "user_spend_usd",
        "Spend of the users with the most, in USD; `__other__` is the rest.",
        ("user", "window"),
    ),
    FigureFamily(
        "user_requests", "Requests of the users with the highest spend.", ("user", "window")
    ),
    FigureFamily("user_tokens", "Tokens of the users with the highest spend.", ("user", "window")),
    FigureFamily("price_catalog_timestamp_seconds", "When the list of prices was made."),
    FigureFamily("active_users", "Users with a call since the window began.", ("window",)),
    FigureFamily("task_due_timestamp_seconds", "When a task is due next.", ("task",)),
    FigureFamily("task_last_run_timestamp_seconds", "When a task last ran.", ("task",)),
    FigureFamily("task_last_run_duration_seconds", "How long its last run took.", ("task",)),
    FigureFamily(
        "task_runs_total",
        "Runs of a task, by how they ended.",
        ("task", "outcome"),
        kind="counter",
    ),
)


@dataclass(frozen=True, slots=True)
class State:
    """What a scrape adds to the counters: `figures` is None where they are unknown or old.

    `clock_skew_seconds` is by how much Redis is ahead; None where it does not answer.
    """

    figures: Mapping[str, float] | None
    dependencies: Mapping[str, bool]
    clock_skew_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What an instance says of itself; it started so many seconds after 1970, None if unknown."""

    revision: str = ""
    started_at: float | None = None


def pairs_of_late(figures: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Provider and model of each that was asked of late, by what the bookkeeper says."""
    for name in figures:
        kind, _, pair = name.partition(SEPARATOR)
        if kind == PAIR:
            provider, _, model = pair.partition(SEPARATOR)
            yield provider, model


class StateCollector(Collector):
    """Gauges of the moment."""

    def __init__(self, state: State, instance: InstanceFacts) -> None:
        self._state = state
        self._instance = instance

    def collect(self) -> Iterator[Metric]:
        yield from _of_instance(self._instance)
        up = GaugeMetricFamily(
            "ai_gateway_dependency_up", "Whether a part answers.", labels=["dependency"]
        )
        for name, is_up in self._state.dependencies.items():
            up.add_metric([name], float(is_up))
        yield up
        if self._state.clock_skew_seconds is not None:
            yield GaugeMetricFamily(
                "ai_gateway_clock_skew_seconds",
                "How far the clock of Redis is ahead of that of this host.",
                value=self._state.clock_skew_seconds,
            )
        if self._state.figures is not None:
            yield from _of_figures(self._state.figures)


def _of_instance(instance: InstanceFacts) -> Iterator[Metric]:
    build = {
        "version": __version__,
        "revision": instance.revision,
        "python": platform.python_version(),
        "server": f"gunicorn {version('gunicorn')}",
    }
    yield InfoMetricFamily("ai_gateway_build", "What is running.", value=build)
    if instance.started_at is not None:
        yield GaugeMetricFamily(
            "ai_gateway_start_time_seconds",
            "When the service was started.",
            value=instance.started_at,
        )


def _of_figures(figures: Mapping[str, float]) -> Iterator[Metric]:
    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for name, figure in figures.items():
        family_name, *labels = name.split(SEPARATOR)
        declared = _BY_NAME.get(family_name)
        if declared is None or len(labels) != len(declared.labels):
            continue
        if family_name not in families:
            kind = CounterMetricFamily if declared.kind == "counter" else GaugeMetricFamily
            families[family_name] = kind(
                PREFIX + declared.name, declared.help, labels=declared.labels
            )
        families[family_name].add_metric(labels, declared.value(figure))
    yield from families.values()


_BY_NAME = {family.name: family for family in FIGURES}

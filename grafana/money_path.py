"""Rows of the operations board: what the gateway depends on, whether the money is sound, tasks."""

from grafana.classic import Row
from grafana.panel import Look, Panel
from grafana.queries import promql
from grafana.visualisations import lines, stacked, stat, table, up_or_down

DEPENDENCIES = Row(
    "Dependencies",
    (
        Panel(
            "Dependency state",
            up_or_down,
            "none",
            (12, 8),
            "Down as soon as one instance cannot reach it. Without redis new calls are refused; "
            "without sql calls go on and the staff pages do not; langsmith stops no call.",
            (promql("min by (dependency) (ai_gateway_dependency_up{<SEL>})", "{{dependency}}"),),
        ),
        Panel(
            "Ledger lag",
            lines,
            "s",
            (12, 8),
            "Money not yet booked: the age of the oldest settled call that is not in the ledger. "
            "While it grows, all figures of spend are too low.",
            (promql("max(ai_gateway_ledger_lag_seconds{<JOB>})", "lag"),),
            steps=((0, "transparent"), (30, "yellow"), (120, "red")),
        ),
    ),
)

MONEY_PATH = Row(
    "Money path",
    (
        Panel(
            "Open reservations",
            lines,
            "short",
            (10, 8),
            "Holds of calls that run. What is held cannot be spent, so a leak blocks users who "
            "have not spent anything.",
            (
                promql("max(ai_gateway_reservations_outstanding{<JOB>})", "count"),
                promql("max(ai_gateway_reservations_outstanding_usd{<JOB>})", "USD"),
                promql("max(ai_gateway_reservation_oldest_age_seconds{<JOB>})", "oldest age s"),
            ),
            looks={"USD": Look(unit="currencyUSD", is_on_right=True)},
        ),
        Panel(
            "Ledger drift",
            stat,
            "currencyUSD",
            (4, 8),
            "What the counters in Redis and the ledger in SQL differ by; anything but 0 for long "
            "is a fault.",
            (promql("max(abs(ai_gateway_ledger_drift_usd{<JOB>}))"),),
            steps=((0, "green"), (0.01, "yellow"), (1, "red")),
        ),
        Panel(
            "Reserve results",
            stacked,
            "reqps",
            (10, 8),
            "deny is policy, stale a changed limit or key that is read anew; dup, cold and error "
            "are trouble.",
            (
                promql(
                    "sum by (result) (rate(ai_gateway_reserve_total{<SEL>}[$__rate_interval]))",
                    "{{result}}",
                ),
            ),
            looks={
                "ok": Look(colour="green"),
                "stale": Look(colour="blue"),
                "deny": Look(colour="yellow"),
                "dup": Look(colour="purple"),
                "cold": Look(colour="orange"),
                "error": Look(colour="red"),
            },
        ),
        Panel(
            "Expired holds and overruns",
            lines,
            "short",
            (24, 6),
            "Expired: a worker died and left a hold. Overrun: a call cost more than was held for "
            "it, so the estimates are too low.",
            (
                promql(
                    "max(increase(ai_gateway_reservations_expired_total{<JOB>}[$__rate_interval]))"
                    " or vector(0)",
                    "expired holds",
                ),
                promql(
                    "sum(increase("
                    "ai_gateway_reservation_overrun_usd_total{<SEL>}[$__rate_interval]))"
                    " or vector(0)",
                    "overrun USD",
                ),
            ),
            looks={"overrun USD": Look(unit="currencyUSD", is_on_right=True)},
        ),
    ),
)

TASKS = Row(
    "Tasks",
    (
        Panel(
            "Tasks on a clock",
            table,
            "s",
            (24, 9),
            "What the bookkeeper does every hour or day. A task is late when it is due and nobody "
            "has done it; why one failed stands on the staff page.",
            (
                promql(
                    "time() - max by (task) (ai_gateway_task_last_run_timestamp_seconds{<JOB>})",
                    "Last run, ago",
                ),
                promql(
                    "max by (task) (ai_gateway_task_last_run_duration_seconds{<JOB>})", "Duration"
                ),
                promql(
                    "clamp_min(time() - max by (task)"
                    " (ai_gateway_task_due_timestamp_seconds{<JOB>}), 0)",
                    "Late by",
                ),
                promql(
                    "max by (task)"
                    ' (increase(ai_gateway_task_runs_total{<JOB>,outcome="ok"}[$__range]))',
                    "Runs that went well",
                ),
                promql(
                    "max by (task)"
                    ' (increase(ai_gateway_task_runs_total{<JOB>,outcome="failed"}[$__range]))',
                    "Runs that failed",
                ),
            ),
            looks={
                "Late by": Look(
                    cell="color-text",
                    steps=((0, "text"), (3600, "yellow"), (21600, "red")),
                ),
                "Runs that went well": Look(unit="short"),
                "Runs that failed": Look(
                    unit="short", cell="color-text", steps=((0, "text"), (1, "red"))
                ),
            },
        ),
    ),
)

"""The board "AI Gateway": what it spends, what is asked of it, and whether it is well."""

from grafana.classic import Board, Row
from grafana.queries import VARIABLES, promql
from grafana.visualisations import (
    Look,
    Panel,
    daily_bars,
    donut,
    lines,
    sparkline,
    stacked,
    stat,
    table,
    up_or_down,
)

NOW = Row(
    "Now",
    (
        Panel(
            "Spend today",
            stat,
            "currencyUSD",
            (4, 4),
            "What the ledger has booked since the day began in the gateway's time zone. Exact, "
            "and the same figure as on the staff pages. Covers all providers and models.",
            (promql('max(ai_gateway_ledger_spend_usd{<JOB>,window="day"})'),),
        ),
        Panel(
            "Spend this month",
            stat,
            "currencyUSD",
            (4, 4),
            "What the ledger has booked since the month began: the number to hold against the "
            "providers' invoices. Exact. Covers all providers and models.",
            (promql('max(ai_gateway_ledger_spend_usd{<JOB>,window="month"})'),),
        ),
        Panel(
            "Cost / 1k requests",
            stat,
            "currencyUSD",
            (4, 4),
            "Cost over admitted requests in the chosen time: tells growth of use from dearer "
            "models and longer prompts.",
            (
                promql(
                    "1000 * sum(increase(ai_gateway_cost_usd_total{<MOD>}[$__range])) / "
                    "(sum(increase(ai_gateway_requests_total{<MOD>,<ADM>}[$__range])) > 0)"
                ),
            ),
        ),
        Panel(
            "Requests / s",
            sparkline,
            "reqps",
            (4, 4),
            "Client requests of every outcome: what is asked of the gateway right now.",
            (promql("sum(rate(ai_gateway_requests_total{<MOD>}[$__rate_interval]))"),),
        ),
        Panel(
            "Success rate",
            stat,
            "percentunit",
            (4, 4),
            "Successes among the requests that were ours to serve in the chosen time. Refusals, "
            "a provider's own 4xx and callers who left are not counted against us.",
            (
                promql(
                    '(sum(increase(ai_gateway_requests_total{<MOD>,outcome="success"}[$__range]))'
                    " or vector(0)) / "
                    "(sum(increase(ai_gateway_requests_total{<MOD>,<SLI>}[$__range])) > 0)"
                ),
            ),
            steps=((0, "red"), (0.99, "yellow"), (0.995, "green")),
        ),
        Panel(
            "Error ratio",
            sparkline,
            "percentunit",
            (4, 4),
            "Failed among admitted requests, counted as on the staff pages: a provider's 4xx is "
            "a failure here, a spent budget is not.",
            (
                promql(
                    "(sum(rate(ai_gateway_requests_total{<MOD>,<ERR>}[$__rate_interval]))"
                    " or vector(0)) / "
                    "(sum(rate(ai_gateway_requests_total{<MOD>,<ADM>}[$__rate_interval])) > 0)"
                ),
            ),
            steps=((0, "green"), (0.01, "yellow"), (0.05, "red")),
        ),
    ),
)

TRAFFIC = Row(
    "Traffic",
    (
        Panel(
            "Requests by outcome",
            stacked,
            "reqps",
            (12, 8),
            "Every request ends in exactly one outcome, so the height is the traffic and the "
            "colours are how it went.",
            (
                promql(
                    "sum by (outcome) (rate(ai_gateway_requests_total{<MOD>}[$__rate_interval]))",
                    "{{outcome}}",
                ),
            ),
            looks={
                "success": Look(colour="green"),
                "cancelled": Look(colour="text"),
                "client_error": Look(colour="light-blue"),
                "auth_error": Look(colour="purple"),
                "budget_blocked": Look(colour="yellow"),
                "upstream_rejected": Look(colour="light-orange"),
                "upstream_error": Look(colour="orange"),
                "upstream_timeout": Look(colour="dark-orange"),
                "gateway_error": Look(colour="red"),
            },
        ),
        Panel(
            "Tokens by type",
            stacked,
            "short",
            (12, 8),
            "Tokens per second. The types do not overlap: input is without cached tokens, output "
            "is without reasoning, so the height is the total.",
            (
                promql(
                    "sum by (type) (rate(ai_gateway_tokens_total{<MOD>}[$__rate_interval]))",
                    "{{type}}",
                ),
            ),
        ),
    ),
)

SPEND = Row(
    "Spend",
    (
        Panel(
            "Spend per day by provider",
            daily_bars,
            "currencyUSD",
            (16, 8),
            "Trend and mix of suppliers over two weeks. A bar is the 24 hours before its mark, so "
            "the running day has none yet; the time zone is this page's, not the budgets'.",
            (
                promql(
                    "sum by (provider) (increase(ai_gateway_cost_usd_total{<MOD>}[1d]))",
                    "{{provider}}",
                ),
            ),
        ),
        Panel(
            "Cost by token type",
            donut,
            "currencyUSD",
            (8, 8),
            "Input, output, reasoning, cache: shows which lever would save most in the chosen "
            "time. The types do not overlap.",
            (
                promql(
                    "sum by (type) (increase(ai_gateway_cost_usd_total{<MOD>}[$__range])) > 0",
                    "{{type}}",
                ),
            ),
        ),
    ),
)

MODELS = Row(
    "Models",
    (
        Panel(
            "Model table",
            table,
            "short",
            (24, 9),
            "One line for each model in the chosen time, to sort and to export. Requests are the "
            "admitted ones, errors their failed share.",
            (
                promql(
                    "sum by (provider, model)"
                    " (increase(ai_gateway_cost_usd_total{<MOD>}[$__range]))",
                    "Cost",
                ),
                promql(
                    "sum by (provider, model)"
                    " (increase(ai_gateway_requests_total{<MOD>,<ADM>}[$__range]))",
                    "Requests",
                ),
                promql(
                    "sum by (provider, model) (increase(ai_gateway_tokens_total{<MOD>}[$__range]))",
                    "Tokens",
                ),
                # A model without a failure has no failed series: that is 0, not an empty cell.
                promql(
                    "(sum by (provider, model)"
                    " (increase(ai_gateway_requests_total{<MOD>,<ERR>}[$__range]))"
                    " or 0 * sum by (provider, model)"
                    " (increase(ai_gateway_requests_total{<MOD>,<ADM>}[$__range]))) / "
                    "(sum by (provider, model)"
                    " (increase(ai_gateway_requests_total{<MOD>,<ADM>}[$__range])) > 0)",
                    "Errors",
                ),
            ),
            looks={
                "Cost": Look(unit="currencyUSD"),
                "Errors": Look(
                    unit="percentunit", steps=((0, "text"), (0.01, "yellow"), (0.05, "red"))
                ),
            },
        ),
    ),
)

HEALTH = Row(
    "Health",
    (
        Panel(
            "Ledger lag",
            lines,
            "s",
            (12, 6),
            "Age of the oldest settled call that is not in the ledger yet. While it grows, the "
            "spend above is too low: look at the bookkeeper and at the SQL store.",
            (promql("max(ai_gateway_ledger_lag_seconds{<JOB>})", "lag"),),
            steps=((0, "transparent"), (30, "yellow"), (120, "red")),
        ),
        Panel(
            "Dependency state",
            up_or_down,
            "none",
            (12, 6),
            "Down as soon as one instance cannot reach it. Without redis new calls are refused; "
            "without sql calls go on and the staff pages do not.",
            (promql("min by (dependency) (ai_gateway_dependency_up{<SEL>})", "{{dependency}}"),),
        ),
    ),
)

BOARD = Board(
    uid="ai-gateway",
    title="AI Gateway",
    description="What the gateway spends, what is asked of it, and whether it is well.",
    since="now-24h",
    refresh="1m",
    variables=VARIABLES,
    rows=(NOW, TRAFFIC, SPEND, MODELS, HEALTH),
)

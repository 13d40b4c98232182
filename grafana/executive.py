"""The board for finance and managers: exact figures first, then trend, mix and data quality."""

from grafana.classic import Board, Row
from grafana.panel import Link, Look, Panel
from grafana.queries import INSTANCE, JOB, MODEL, PROVIDER, promql
from grafana.visualisations import daily_bars, donut, gauge, lines, stat, table

NOW = Row(
    "Now",
    (
        Panel(
            "Spend today",
            stat,
            "currencyUSD",
            (8, 4),
            "Exact figure of the ledger since the day began in the gateway's time zone, as on the "
            "staff pages. Covers all providers and models.",
            (promql('max(ai_gateway_ledger_spend_usd{<JOB>,window="day"})'),),
        ),
        Panel(
            "Spend this month",
            stat,
            "currencyUSD",
            (8, 4),
            "The number that finance holds against the providers' invoices: exact, from the "
            "ledger. Covers all providers and models.",
            (promql('max(ai_gateway_ledger_spend_usd{<JOB>,window="month"})'),),
        ),
        Panel(
            "Projected month end",
            stat,
            "currencyUSD",
            (8, 4),
            "The month so far, and the pace of the last seven days over the time to the reset. "
            "Compare it with the budget; too low in the first week of a new gateway.",
            (
                promql(
                    'max(ai_gateway_ledger_spend_usd{<JOB>,window="month"}) + '
                    "(sum(rate(ai_gateway_cost_usd_total{<JOB>}[7d])) or vector(0)) * <LEFT>"
                ),
            ),
        ),
        Panel(
            "Monthly budget used",
            gauge,
            "percentunit",
            (8, 5),
            "One look: is the installation inside its plan? Empty where it has no limit.",
            (
                promql(
                    "max(ai_gateway_budget_spent_usd"
                    '{<JOB>,scope="installation",window="month"}) / '
                    "(max(ai_gateway_budget_limit_usd"
                    '{<JOB>,scope="installation",window="month"}) > 0)'
                ),
            ),
            steps=((0, "green"), (0.7, "yellow"), (0.9, "orange"), (1, "red")),
        ),
        Panel(
            "Cost per 1k requests",
            stat,
            "currencyUSD",
            (8, 5),
            "Total cost over total requests, as on the pages: tells growth of use from dearer "
            "models and longer prompts.",
            (
                promql(
                    "1000 * sum(increase(ai_gateway_cost_usd_total{<MOD>}[$__range])) / "
                    "(sum(increase(ai_gateway_requests_total{<MOD>,<ADM>}[$__range])) > 0)"
                ),
            ),
        ),
        Panel(
            "Success rate",
            stat,
            "percentunit",
            (8, 5),
            "Quality for a reader who will not open the operations board: successes among the "
            "requests that were ours to serve. Refusals and callers who left do not count.",
            (
                promql(
                    '(sum(increase(ai_gateway_requests_total{<MOD>,outcome="success"}[$__range]))'
                    " or vector(0)) / "
                    "(sum(increase(ai_gateway_requests_total{<MOD>,<SLI>}[$__range])) > 0)"
                ),
            ),
            steps=((0, "red"), (0.99, "yellow"), (0.995, "green")),
        ),
    ),
)

TREND = Row(
    "Trend",
    (
        Panel(
            "Spend per day by provider",
            daily_bars,
            "currencyUSD",
            (12, 8),
            "Trend and mix of suppliers. A bar is the 24 hours before its mark, so the running "
            "day has none yet; the days are those of this page or of UTC, not the budgets'.",
            (
                promql(
                    "sum by (provider) (increase(ai_gateway_cost_usd_total{<MOD>}[1d]))",
                    "{{provider}}",
                ),
            ),
        ),
        Panel(
            "Month to date against budget",
            lines,
            "currencyUSD",
            (12, 8),
            "Distance to the limit over the month. Exact, from the ledger; covers all providers "
            "and models.",
            (
                promql('max(ai_gateway_ledger_spend_usd{<JOB>,window="month"})', "spent"),
                promql(
                    'max(ai_gateway_budget_limit_usd{<JOB>,scope="installation",window="month"})',
                    "limit",
                ),
            ),
            looks={"limit": Look(colour="red", is_dashed=True)},
        ),
    ),
)

MIX = Row(
    "Mix",
    (
        Panel(
            "Spend by token type",
            donut,
            "currencyUSD",
            (8, 9),
            "Input, output, reasoning, cache: shows which lever would save most in the chosen "
            "time. The types do not overlap.",
            (
                promql(
                    "sum by (type) (increase(ai_gateway_cost_usd_total{<MOD>}[$__range])) > 0",
                    "{{type}}",
                ),
            ),
        ),
        Panel(
            "Model table",
            table,
            "short",
            (16, 9),
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
                    unit="percentunit",
                    steps=((0, "text"), (0.01, "yellow"), (0.05, "red")),
                    cell="color-text",
                ),
            },
        ),
    ),
)

QUALITY = Row(
    "Data quality",
    (
        Panel(
            "Unpriced requests",
            stat,
            "percentunit",
            (12, 4),
            "Data quality: the share of successes that cost 0 for want of a price or of a usage. "
            "It says how far the money figures can be trusted.",
            (
                promql(
                    "(sum(increase(ai_gateway_unpriced_requests_total{<MOD>}[$__range]))"
                    " or vector(0)) / (sum(increase("
                    'ai_gateway_requests_total{<MOD>,outcome="success"}[$__range])) > 0)'
                ),
            ),
            steps=((0, "green"), (0.001, "orange"), (0.01, "red")),
        ),
        Panel(
            "Estimated spend",
            stat,
            "percentunit",
            (12, 4),
            "Data quality: the share of the money that no provider's report of usage backs, since "
            "it was counted by us or charged for a call that was cut off.",
            (
                promql(
                    "(sum(increase("
                    'ai_gateway_settled_usd_total{<SEL>,confidence!="reported"}[$__range]))'
                    " or vector(0)) / "
                    "(sum(increase(ai_gateway_settled_usd_total{<SEL>}[$__range])) > 0)"
                ),
            ),
            steps=((0, "green"), (0.02, "yellow"), (0.05, "red")),
        ),
    ),
)

BOARD = Board(
    uid="ai-gateway-executive",
    title="AI Gateway: executive",
    description="What the gateway spends, where it goes, and how sure the figures are.",
    since="now-30d",
    refresh="5m",
    choices=(JOB, INSTANCE, PROVIDER, MODEL),
    staff_page=Link("Staff overview", "${gateway_url}/admin/ai-analytics/"),
    rows=(NOW, TREND, MIX, QUALITY),
)

"""The board for whoever is on call: how it is, what is asked, what fails and how slow it is."""

from grafana.classic import Board, Row
from grafana.money_path import DEPENDENCIES, MONEY_PATH, TASKS
from grafana.panel import Link, Look, Panel, Query
from grafana.queries import INSTANCE, JOB, MODEL, PROVIDER, promql
from grafana.visualisations import gauge, lines, sparkline, stacked, stacked_bars, stat


def _percentiles(histogram: str, chosen: str) -> tuple[Query, ...]:
    """Instances are added up before the quantile is taken; that of no call is NaN: left out."""
    return tuple(
        promql(
            f"histogram_quantile({share}, sum by (le)"
            f" (rate({histogram}_bucket{{{chosen}}}[$__rate_interval]))) >= 0",
            legend,
        )
        for share, legend in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    )


STATE = Row(
    "State",
    (
        Panel(
            "Availability",
            stat,
            "percentunit",
            (5, 4),
            "The share of requests that were ours to serve and were served in the chosen time: "
            "the measure of the alert rules, with the same filter.",
            (
                promql(
                    "1 - (sum(rate(ai_gateway_requests_total{<MOD>,<BAD>}[$__range]))"
                    " or vector(0)) / "
                    "(sum(rate(ai_gateway_requests_total{<MOD>,<SLI>}[$__range])) > 0)"
                ),
            ),
            steps=((0, "red"), (0.99, "yellow"), (0.995, "green")),
        ),
        Panel(
            "Requests per second",
            sparkline,
            "reqps",
            (5, 4),
            "Client requests of every outcome: what is asked of the gateway right now.",
            (promql("sum(rate(ai_gateway_requests_total{<MOD>}[$__rate_interval]))"),),
        ),
        Panel(
            "Error ratio",
            sparkline,
            "percentunit",
            (5, 4),
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
        Panel(
            "Capacity used",
            gauge,
            "percentunit",
            (5, 4),
            "Requests being served over what the workers can serve at once. When it is full, "
            "new requests wait before the gateway sees them.",
            (
                promql(
                    "sum(ai_gateway_requests_in_flight{<SEL>}) / "
                    "(sum(ai_gateway_worker_capacity{<SEL>}) > 0)"
                ),
            ),
            steps=((0, "green"), (0.7, "yellow"), (0.9, "red")),
        ),
        Panel(
            "Firing alerts",
            stat,
            "short",
            (4, 4),
            "Alerts of our rules that fire in this Prometheus; docs/runbook.md has an entry for "
            "each of them.",
            (promql('count(ALERTS{alertstate="firing",alertname=~"AIGateway.*"}) or vector(0)'),),
            steps=((0, "green"), (1, "red")),
            link=Link("Alerts", "/alerting/list"),
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
            (24, 8),
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
    ),
)

ERRORS = Row(
    "Errors",
    (
        Panel(
            "Error ratio by provider",
            lines,
            "percentunit",
            (8, 8),
            "Who is failing: the share of our requests to a provider that did not end well.",
            (
                # A provider without a failure has no failed series: that is 0, not a gap.
                promql(
                    "(sum by (provider) (rate("
                    'ai_gateway_upstream_requests_total{<MOD>,result!="ok"}[$__rate_interval]))'
                    " or 0 * sum by (provider)"
                    " (rate(ai_gateway_upstream_requests_total{<MOD>}[$__rate_interval]))) / "
                    "(sum by (provider)"
                    " (rate(ai_gateway_upstream_requests_total{<MOD>}[$__rate_interval])) > 0)",
                    "{{provider}}",
                ),
            ),
            steps=((0, "transparent"), (0.05, "yellow"), (0.2, "red")),
        ),
        Panel(
            "Upstream failures by class",
            stacked_bars,
            "reqps",
            (8, 8),
            "A 429 asks for quota, a 5xx for the provider's status page, a timeout for the "
            "network or a smaller prompt: each class has its own repair.",
            (
                promql(
                    # Every class exists from the start; only what happened is worth a colour.
                    "sum by (provider, result) (rate("
                    'ai_gateway_upstream_requests_total{<MOD>,result!="ok"}[$__rate_interval]))'
                    " > 0",
                    "{{provider}} {{result}}",
                ),
            ),
        ),
        Panel(
            "Streams cut",
            stacked_bars,
            "reqps",
            (8, 8),
            "Streams that the client, the gateway or the provider ended early. Many by clients "
            "mean that answers are too slow or too long.",
            (
                promql(
                    "sum by (provider, side) (rate(ai_gateway_stream_aborts_total"
                    '{<SEL>,provider=~"$provider"}[$__rate_interval])) > 0',
                    "{{provider}} {{side}}",
                ),
            ),
        ),
    ),
)

LATENCY = Row(
    "Latency",
    (
        Panel(
            "Request duration",
            lines,
            "s",
            (8, 8),
            "From the first byte in to the last byte out, over all chosen instances; mostly the "
            "provider's time, and of streams the whole answer.",
            _percentiles("ai_gateway_request_duration_seconds", "<MOD>"),
        ),
        Panel(
            "Time to first token p95",
            lines,
            "s",
            (8, 8),
            "What users of a chat feel: how long nothing is on their screen. Streams only.",
            (
                promql(
                    "histogram_quantile(0.95, sum by (le, model) (rate("
                    "ai_gateway_time_to_first_token_seconds_bucket{<MOD>}[$__rate_interval])))"
                    " >= 0",
                    "{{model}}",
                ),
            ),
            steps=((0, "transparent"), (2.5, "yellow")),
        ),
        Panel(
            "Gateway overhead",
            lines,
            "s",
            (8, 8),
            "Our promise, measured: the time of a request that was not spent waiting for the "
            "provider.",
            _percentiles("ai_gateway_overhead_seconds", "<SEL>"),
            steps=((0, "transparent"), (0.03, "yellow"), (0.1, "red")),
        ),
    ),
)

BOARD = Board(
    uid="ai-gateway-operations",
    title="AI Gateway: operations",
    description="Whether the gateway is well, what fails, how slow it is, what it depends on.",
    since="now-3h",
    refresh="30s",
    choices=(JOB, INSTANCE, PROVIDER, MODEL),
    staff_page=Link("Staff pages: system", "${gateway_url}/admin/ai-analytics/system/"),
    rows=(STATE, TRAFFIC, ERRORS, LATENCY, DEPENDENCIES, MONEY_PATH, TASKS),
)

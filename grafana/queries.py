"""What the boards' queries have in common: the choices as label matchers, and the outcomes."""

from grafana.panel import Query
from grafana.variables import LabelChoice, WordChoice

REFUSED = "client_error|auth_error|budget_blocked"
FAILED = "upstream_rejected|upstream_error|upstream_timeout|gateway_error"
FREE = "models|count_tokens|stored_responses"

SHORT_FORMS = {
    # From now to the end of the month as the gateway reckons it; PromQL's own calendar is UTC.
    "<LEFT>": (
        '(max(ai_gateway_budget_reset_timestamp_seconds{<JOB>,scope="installation",window="month"})'
        " - time())"
    ),
    # For figures of the whole installation, which every instance repeats: under `max` only.
    "<JOB>": 'job=~"$job"',
    "<SEL>": 'job=~"$job",instance=~"$instance"',
    "<MOD>": 'job=~"$job",instance=~"$instance",provider=~"$provider",model=~"$model"',
    "<BUD>": 'job=~"$job",scope=~"$scope",name=~"$budget"',
    "<BAD>": 'outcome=~"upstream_error|upstream_timeout|gateway_error"',
    # Requests that are ours to serve: what a caller or a provider refused is left out.
    "<SLI>": f'outcome!~"{REFUSED}|upstream_rejected|cancelled"',
    # What the pages count; calls that are free of charge are in no ledger.
    "<ADM>": f'operation!~"{FREE}",outcome!~"{REFUSED}"',
    "<ERR>": f'operation!~"{FREE}",outcome=~"{FAILED}"',
}

JOB = LabelChoice("job", "Job", "label_values(ai_gateway_build_info, job)")
INSTANCE = LabelChoice(
    "instance", "Instance", 'label_values(ai_gateway_build_info{job=~"$job"}, instance)'
)
PROVIDER = LabelChoice(
    "provider", "Provider", 'label_values(ai_gateway_requests_total{job=~"$job"}, provider)'
)
MODEL = LabelChoice(
    "model",
    "Model",
    'label_values(ai_gateway_requests_total{job=~"$job",provider=~"$provider"}, model)',
)
SCOPE = LabelChoice(
    "scope", "Scope", 'label_values(ai_gateway_budget_limit_usd{job=~"$job"}, scope)'
)
BUDGET = LabelChoice(
    "budget",
    "Budget",
    'label_values(ai_gateway_budget_limit_usd{job=~"$job",scope=~"$scope"}, name)',
)
USER = LabelChoice("user", "User", 'label_values(ai_gateway_user_spend_usd{job=~"$job"}, user)')
WINDOW = WordChoice("window", "Window", ("day", "month"))


def promql(text: str, legend: str = "") -> Query:
    """Make a query of `text`, with the short forms written out."""
    for short, meant in SHORT_FORMS.items():
        text = text.replace(short, meant)
    return Query(text, legend)

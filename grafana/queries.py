"""What the boards' queries have in common: the variables as label matchers, and the outcomes."""

from grafana.classic import Variable
from grafana.visualisations import Query

REFUSED = "client_error|auth_error|budget_blocked"
FAILED = "upstream_rejected|upstream_error|upstream_timeout|gateway_error"

MATCHERS = {
    # For figures of the whole installation, which every instance repeats: under `max` only.
    "<JOB>": 'job=~"$job"',
    "<SEL>": 'job=~"$job",instance=~"$instance"',
    "<MOD>": 'job=~"$job",instance=~"$instance",provider=~"$provider",model=~"$model"',
    # Requests that are ours to serve: what a caller or a provider refused is left out.
    "<SLI>": f'outcome!~"{REFUSED}|upstream_rejected|cancelled"',
    # What the pages count: the gateway answers the list of models by itself.
    "<ADM>": f'operation!="models",outcome!~"{REFUSED}"',
    "<ERR>": f'outcome=~"{FAILED}"',
}

VARIABLES = (
    Variable("job", "Job", "label_values(ai_gateway_build_info, job)"),
    Variable("instance", "Instance", 'label_values(ai_gateway_build_info{job=~"$job"}, instance)'),
    Variable(
        "provider", "Provider", 'label_values(ai_gateway_requests_total{job=~"$job"}, provider)'
    ),
    Variable(
        "model",
        "Model",
        'label_values(ai_gateway_requests_total{job=~"$job",provider=~"$provider"}, model)',
    ),
)


def promql(text: str, legend: str = "") -> Query:
    """Make a query of `text`, with the short forms of `MATCHERS` written out."""
    for short, matcher in MATCHERS.items():
        text = text.replace(short, matcher)
    return Query(text, legend)

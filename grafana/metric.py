"""The form of a declared metric: kind, place, labels with their closed sets, buckets."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "summary", "info"]

Place = Literal["W", "B", "I"]
"""W: files of the workers, summed over instances. B: figures of the bookkeeper, the same on every
instance. I: set by the instance that answers the scrape."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label; without `values` they come from a list that the gateway bounds at run time."""

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of `/metrics`, by the name in its `# TYPE` line."""

    name: str
    help: str
    kind: Kind
    place: Place
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, without `+Inf`."""
    is_ad_hoc: bool = False
    """Whether it is for questions of the moment: no panel and no alert of ours uses it."""


def doubling(first: float, count: int) -> tuple[float, ...]:
    """Bounds that double, free of the noise of binary fractions."""
    return tuple(round(first * 2**power, 6) for power in range(count))


# Of OpenTelemetry's conventions for GenAI, so that the aliases of `gen_ai.yml` are exact, and
# longer at the end of the durations for models that reason.
DURATION_BUCKETS = doubling(0.01, 17)
FIRST_TOKEN_BUCKETS = (
    *(0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 60.0),
)
PER_TOKEN_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
OVERHEAD_BUCKETS = doubling(0.0005, 12)
DEPENDENCY_BUCKETS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
)
COST_BUCKETS = (0.00001, 0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 25.0)
TOKEN_BUCKETS = tuple(float(4**power) for power in range(11))

OPERATION = Label(
    "operation",
    (
        *("chat", "completions", "embeddings", "responses", "stored_responses", "messages"),
        *("count_tokens", "models"),
    ),
)
PROVIDER = Label("provider")
"""A row of the registry of providers; empty where no provider saw the request."""
MODEL = Label("model")
"""A name of the price book, else `other`; empty where no provider saw the request."""
STREAM = Label("stream", ("true", "false"))
OUTCOME = Label(
    "outcome",
    (
        *("success", "client_error", "auth_error", "budget_blocked", "upstream_rejected"),
        *("upstream_error", "upstream_timeout", "gateway_error", "cancelled"),
    ),
)
UPSTREAM_RESULT = Label(
    "result",
    (
        *("ok", "timeout", "connect", "http_429", "http_4xx", "http_5xx", "overloaded"),
        *("invalid_response", "stream_cut", "content_filter"),
    ),
)
TOKEN_TYPES = (
    *("input", "cached_input", "cache_write", "cache_write_long", "output", "reasoning"),
    *("audio_input", "audio_output", "image_input"),
)
TOKEN_TYPE = Label("type", TOKEN_TYPES)
COST_TYPE = Label("type", (*TOKEN_TYPES, "per_request", "tool"))
SCOPE = Label("scope", ("installation", "user", "key"))
NAME = Label("name")
"""Internal id of a user or key; the installation, and the twenty nearest to their limit."""
WINDOW = Label("window", ("day", "month"))
USER = Label("user")
"""Internal id: the twenty with the highest spend, and `__other__`."""
TASK = Label("task")
"""One of the bookkeeper's tasks on a clock; `ai_gateway/domain/tasks.py` has them all."""
DEPENDENCY = Label("dependency", ("redis", "sql", "langsmith"))
SINK = Label("sink", ("langsmith",))
EXPORT_LOSS = Label("reason", ("queue_full", "too_large", "rejected", "auth", "gave_up", "exit"))
REDIS_ERROR = Label(
    "kind",
    (
        *("timeout", "connection", "loading", "oom", "misconf", "noscript", "readonly"),
        *("cluster", "noreplicas", "cold", "other"),
    ),
)

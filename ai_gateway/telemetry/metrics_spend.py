"""Metrics of money: tokens and cost by kind, how sure it is, and what budgets decided.

Every call counts once, when it is settled; so do the decisions that let it in.
"""

from collections.abc import Mapping
from itertools import product

from prometheus_client import CollectorRegistry

from ai_gateway.domain.call import Outcome, PriceStatus
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.money import NANO_PER_USD
from ai_gateway.domain.pricing import SEARCH_KIND
from ai_gateway.domain.usage import Confidence, UsageStatus
from ai_gateway.telemetry.metrics_kinds import Counter, Histogram
from ai_gateway.telemetry.metrics_traffic import METERED
from ai_gateway.telemetry.observer import LocalCall, SettledCall

TOKEN_TYPES = (
    *("input", "cached_input", "cache_write", "cache_write_long", "output", "reasoning"),
    *("audio_input", "audio_output", "image_input"),
)
COST_TYPES = (*TOKEN_TYPES, "tool")
_FOLDED = {"cached_audio": "cached_input", "image_output": "output", SEARCH_KIND: "tool"}
_TOKEN_TYPE = {kind: kind for kind in COST_TYPES} | _FOLDED

COST_BUCKETS = (0.00001, 0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 25.0)
TOKEN_BUCKETS = tuple(float(4**power) for power in range(11))

REASONS = ("missing_price", "missing_usage")
DECISIONS = ("allow", "warn", "block", "fail_closed")

PAIR_FAMILIES = (
    "ai_gateway_tokens_total",
    "ai_gateway_cost_usd_total",
    "ai_gateway_unpriced_requests_total",
)
"""They have a provider and a model."""


class SpendMetrics:
    """Money is in USD here and an integer everywhere else."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._tokens = Counter(
            "ai_gateway_tokens_total",
            "Tokens of settled calls; the types are disjoint.",
            ["provider", "model", "type"],
            registry=registry,
        )
        self._cost = Counter(
            "ai_gateway_cost_usd_total",
            "Cost of settled calls in USD; the types are disjoint.",
            ["provider", "model", "type"],
            registry=registry,
        )
        self._unpriced = Counter(
            "ai_gateway_unpriced_requests_total",
            "Settled calls that cost 0 for want of a price or of a usage.",
            ["provider", "model", "reason"],
            registry=registry,
        )
        self._request_cost = Histogram(
            "ai_gateway_request_cost_usd",
            "Cost of a settled call in USD.",
            ["model"],
            buckets=COST_BUCKETS,
            registry=registry,
        )
        request_tokens = Histogram(
            "ai_gateway_request_tokens",
            "Tokens of a settled call.",
            ["direction"],
            buckets=TOKEN_BUCKETS,
            registry=registry,
        )
        self._input_tokens = request_tokens.labels("input")
        self._output_tokens = request_tokens.labels("output")
        settled = Counter(
            "ai_gateway_settled_usd_total",
            "Cost of settled calls in USD by how sure it is.",
            ["confidence"],
            registry=registry,
        )
        self._settled = {sure: settled.labels(sure) for sure in Confidence}
        self._budgets = _BudgetMetrics(registry)

    def answered_locally(self, fact: LocalCall) -> None:
        self._budgets.answered_locally(fact)

    def begin(self, labels: tuple[str, str]) -> None:
        """Let the series of a provider and model be there, at zero if they are new."""
        if labels not in self._pairs:
            self._meet(labels)

    def settled(self, fact: SettledCall, labels: tuple[str, str]) -> None:
        """`labels` are those of its provider and model."""
        pair = self._pairs.get(labels) or self._meet(labels)
        finished = fact.finished
        for kind, count in finished.usage.disjoint().items():
            if count:
                pair.tokens[_TOKEN_TYPE[kind]].inc(count)
        for kind, amount in fact.cost_by_kind.items():
            if amount:
                pair.cost[_TOKEN_TYPE[kind]].inc(amount / NANO_PER_USD)
        usd = finished.cost / NANO_PER_USD
        pair.request_cost.observe(usd)
        self._settled[finished.confidence].inc(usd)
        self._input_tokens.observe(finished.usage.input_tokens)
        self._output_tokens.observe(finished.usage.output_tokens)
        if (reason := _why_free(fact)) is not None:
            pair.unpriced[reason].inc()
        self._budgets.settled(fact)

    def _meet(self, labels: tuple[str, str]) -> "_Pair":
        pair = self._pairs[labels] = _Pair(
            tokens={kind: self._tokens.labels(*labels, kind) for kind in TOKEN_TYPES},
            cost={kind: self._cost.labels(*labels, kind) for kind in COST_TYPES},
            unpriced={reason: self._unpriced.labels(*labels, reason) for reason in REASONS},
            request_cost=self._request_cost.labels(labels[1]),
        )
        return pair


class _Pair:
    """The series of one provider and model, made together so that each starts at zero."""

    def __init__(
        self,
        *,
        tokens: Mapping[str, Counter],
        cost: Mapping[str, Counter],
        unpriced: Mapping[str, Counter],
        request_cost: Histogram,
    ) -> None:
        self.tokens = tokens
        self.cost = cost
        self.unpriced = unpriced
        self.request_cost = request_cost


class _BudgetMetrics:
    """What budgets decided, and how good the holds were."""

    def __init__(self, registry: CollectorRegistry) -> None:
        decisions = Counter(
            "ai_gateway_budget_decisions_total",
            "Decisions of budgets about calls.",
            ["scope", "decision"],
            registry=registry,
        )
        self._decisions = {
            (scope, decision): decisions.labels(scope, decision)
            for scope, decision in product(Scope, DECISIONS)
        }
        self._reserved = Counter(
            "ai_gateway_reserved_usd_total",
            "Worst cases that were reserved, in USD.",
            registry=registry,
        )
        self._overrun = Counter(
            "ai_gateway_reservation_overrun_usd_total",
            "Cost beyond what had been reserved, in USD.",
            registry=registry,
        )

    def answered_locally(self, fact: LocalCall) -> None:
        if fact.budget is not None:
            self._decisions[Scope(fact.budget.scope), "block"].inc()
        elif fact.outcome is Outcome.GATEWAY_ERROR and fact.operation in METERED:
            # Nobody could be asked, so that not even the budget of all can have room.
            self._decisions[Scope.INSTALLATION, "fail_closed"].inc()

    def settled(self, fact: SettledCall) -> None:
        for scope in fact.allowed_by:
            self._decisions[scope, "allow"].inc()
        for scope in fact.warned_by:
            self._decisions[scope, "warn"].inc()
        held, cost = fact.call.held, fact.finished.cost
        self._reserved.inc(held / NANO_PER_USD)
        if cost > held:
            self._overrun.inc((cost - held) / NANO_PER_USD)


def _why_free(fact: SettledCall) -> str | None:
    """Why a call cost too little, if it did; what failed unbilled costs nothing by right."""
    finished = fact.finished
    if finished.usage_status is UsageStatus.NOT_BILLED:
        return None
    if finished.price_status is PriceStatus.UNPRICED:
        return "missing_price"
    is_untold = finished.usage_status is UsageStatus.MISSING and not finished.cost
    return "missing_usage" if is_untold else None

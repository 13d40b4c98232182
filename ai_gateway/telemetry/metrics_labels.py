"""Labels of metrics: children that are kept, and a bound on the models that have series."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry

from ai_gateway.domain.call import AdmittedCall
from ai_gateway.telemetry.metrics_kinds import Counter, Histogram, Summary

NO_MODEL = ""
OTHER_MODEL = "other"
"""The label of every model that is not in the price book: a client's string never becomes one."""

MOST_PAIRS = 60
"""Of provider and model, in one worker: with some 125 series each they stay below 10,000."""

Child = TypeVar("Child", Counter, Histogram, Summary)


class Kept(dict[tuple[str, ...], Child], Generic[Child]):
    """The children of a family by their label values; the library's own look-up costs more.

    Those that are named at once start at zero, so that `increase` sees their first event.
    """

    def __init__(self, family: Child, at_start: Iterable[tuple[str, ...]] = ()) -> None:
        super().__init__()
        self._family: Child = family
        for values in at_start:
            self.begin(*values)

    def __missing__(self, values: tuple[str, ...]) -> Child:
        self.begin(*values)
        return self[values]

    def begin(self, *values: str) -> None:
        """Make a child that is not there yet, at zero."""
        if values not in self:
            self[values] = self._family.labels(*values)


class ModelLabels:
    """The provider and model of a call as labels: the first so many pairs, then `other`.

    Sums stay right. Series in the files of workers can never be removed, so that they may not grow
    with what callers choose from a long price book.
    """

    def __init__(
        self, registry: CollectorRegistry, families: Iterable[str], *, most: int = MOST_PAIRS
    ) -> None:
        overflow = Counter(
            "ai_gateway_metrics_label_overflow_total",
            "Label sets that were counted under `other`, by metric.",
            ["metric"],
            registry=registry,
        )
        self._overflows = [overflow.labels(family) for family in families]
        self._most = most
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        self._own = 0

    def of(self, call: AdmittedCall) -> tuple[str, str]:
        """The labels of a call."""
        asked = (call.provider, model_label(call))
        return self._known.get(asked) or self._meet(asked)

    def of_pair(self, provider: str, model: str) -> tuple[str, str]:
        """The labels of a model that has a price."""
        return self._known.get((provider, model)) or self._meet((provider, model))

    def _meet(self, asked: tuple[str, str]) -> tuple[str, str]:
        labels = asked
        if asked[1] != OTHER_MODEL:
            if self._own < self._most:
                self._own += 1
            else:
                labels = (asked[0], OTHER_MODEL)
                for overflow in self._overflows:
                    overflow.inc()
        self._known[asked] = labels
        return labels


def model_label(call: AdmittedCall) -> str:
    return call.model if call.price_row else OTHER_MODEL

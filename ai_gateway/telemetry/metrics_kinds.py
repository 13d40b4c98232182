"""The library's kinds of metrics, with a shorter way from what happened to the values.

Theirs ask each time whether all labels are there (without them there is no value that could be
counted in), know exemplars, which files cannot hold, and look for a bucket one by one.
"""

from bisect import bisect_left

import prometheus_client


class Counter(prometheus_client.Counter):
    """Only ever rises."""

    def inc(self, amount: float = 1) -> None:  # type: ignore[override]  # has no exemplars
        if amount < 0:
            raise ValueError("a counter that falls would look like a new one to Prometheus")
        self._value.inc(amount)


class Summary(prometheus_client.Summary):
    """A number of events, and their sum."""

    def observe(self, amount: float) -> None:
        self._count.inc(1)
        self._sum.inc(amount)


class Histogram(prometheus_client.Histogram):
    """Counts an event in the first bucket whose bound it does not exceed; scrapes add them up."""

    def observe(self, amount: float) -> None:  # type: ignore[override]  # has no exemplars
        self._sum.inc(amount)
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)

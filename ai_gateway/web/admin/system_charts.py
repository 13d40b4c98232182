"""The charts of the system page; a bar without a call is a gap, not a zero."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from ai_gateway.services.system_report import PERCENTS, SystemReport, Times
from ai_gateway.stores.rollups import DURATION, FIRST_TOKEN, OVERHEAD
from ai_gateway.stores.usage_sums import Step, UsageSums
from ai_gateway.web.admin.charts import Chart, ChartKind, Series, Value, fold_series
from ai_gateway.web.admin.usage_charts import start_labels
from ai_gateway.web.admin.wording import outcome_words, refusal_words
from ai_gateway.web.context import services
from ai_gateway.web.formatting import count, rate, seconds

Totals = tuple[UsageSums, ...]
"""The sums of everything in each hour or day."""

Lines = Iterable[tuple[str, tuple[Value | None, ...]]]
"""Each with its name and a value for every bar."""


def system_charts(report: SystemReport) -> tuple[Chart, ...]:
    """In the order of the page."""
    ends = [(outcome_words(outcome)[2], bars) for outcome, bars in report.outcomes.items()]
    failures = [
        (outcome_words(outcome)[2], bars)
        for outcome, bars in report.outcomes.items()
        if outcome.is_failure
    ]
    totals = report.usage.totals()
    return (
        _bars(report, "outcomes", "Requests by outcome", ends),
        _bars(report, "errors", "Errors by class", failures),
        _lines(report, "duration", "Duration of calls ≈", report.times[DURATION], _seconds),
        _lines(report, "first-token", "Time to first token ≈", report.times[FIRST_TOKEN], _seconds),
        _lines(report, "overhead", "Gateway overhead ≈", report.times[OVERHEAD], own_time),
        _refused(report),
        _bars(report, "tokens", "Tokens", _tokens(totals)),
        _chart(report, "cached", "Share of cached input", _cached(totals), _SHARE),
    )


def own_time(microseconds: Value) -> str:
    """`1.3 ms`, from one second on as a duration."""
    if microseconds < 1_000_000:
        return f"{float(microseconds) / 1000:.1f} ms"
    return seconds(microseconds // 1000)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the charts of one kind have in common."""

    kind: ChartKind
    form: Callable[[Value], str]


def _bars(report: SystemReport, name: str, title: str, lines: Lines) -> Chart:
    return _chart(report, name, title, lines, _Kind(ChartKind.BARS, _count))


def _lines(
    report: SystemReport, name: str, title: str, times: Times, form: Callable[[Value], str]
) -> Chart:
    lines = [
        (f"p{percent}", tuple(None if at is None else round(at) for at in times.course[percent]))
        for percent in PERCENTS
    ]
    return _chart(report, name, title, lines, _Kind(ChartKind.LINES, form))


def _chart(report: SystemReport, name: str, title: str, lines: Lines, kind: _Kind) -> Chart:
    period = report.usage.period
    return Chart(
        id=name,
        title=title,
        kind=kind.kind,
        labels=start_labels(report.starts, period, services().zone),
        series=tuple(Series(words, values) for words, values in lines),
        form=kind.form,
        label_name="Day" if period.step is Step.DAY else "Hour",
    )


def _refused(report: SystemReport) -> Chart:
    """Those of the commonest reasons; the others are added up."""
    lines = [Series(refusal_words(one.reason), one.course) for one in report.refusals]
    return replace(
        _bars(report, "refused", "Refused by us, by reason", ()), series=fold_series(lines)
    )


def _cached(totals: Totals) -> Lines:
    return [
        (
            "Cached input",
            tuple(
                Fraction(sums.cached_input_tokens, sums.input_tokens) if sums.input_tokens else None
                for sums in totals
            ),
        )
    ]


def _tokens(totals: Totals) -> Lines:
    parts: dict[str, Callable[[UsageSums], int]] = {
        "Input": lambda sums: sums.input_tokens - sums.cached_input_tokens,
        "Cached input": lambda sums: sums.cached_input_tokens,
        "Output": lambda sums: sums.output_tokens,
    }
    return [
        (words, tuple(part(sums) if sums.requests else None for sums in totals))
        for words, part in parts.items()
    ]


def _share(part: Value) -> str:
    return rate(part)


_SHARE = _Kind(ChartKind.LINES, _share)


def _seconds(milliseconds: Value) -> str:
    return seconds(milliseconds)


def _count(number: Value) -> str:
    return count(int(number))

"""Five hundred calls at once at a limit for fifty: none beyond it, and how many in vain refused."""

from collections.abc import Callable

import pytest

from tests.e2e.false_refusals import AFFORDED, ASKED, BEGIN, CAPS, END, PAGE, measure, with_table
from tests.e2e.operating import Operator
from tests.e2e.test_budget_is_a_ceiling import nano, refusal
from tests.running import RunningGateway


@pytest.mark.parametrize("kind", CAPS)
def test_calls_at_once_stay_below_the_limit(
    operator: Operator,
    gateway: RunningGateway,
    kind: str,
    record_property: Callable[[str, object], None],
) -> None:
    caller, figures = measure(operator, kind)
    record_property("false_refusals", figures.false_refusals)
    assert figures.count(200) + figures.count(429) == ASKED
    assert caller.billed() == figures.spent <= figures.limit
    assert caller.account() == (figures.spent, 0)
    gateway.flask("ledger", "verify")
    refused = [refusal(answer, "openai") for answer in figures.answers if answer.status == 429]
    needed = max(nano(one["needed"]) for one in refused)
    # With a cap as many as fit side by side; without one, the first may take all that there is.
    at_least = figures.limit // needed if kind == "capped" else 1
    assert at_least <= figures.count(200) <= AFFORDED
    assert figures.false_refusals == AFFORDED - figures.count(200)


def test_page_of_benchmarks_has_a_place_for_the_figures() -> None:
    written = with_table(PAGE.read_text(), "new")
    assert f"{BEGIN}\n\nnew\n\n{END}" in written

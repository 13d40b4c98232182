"""The operating guide and the program say the same."""

import re

from ai_gateway.cli import ledger
from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.domain.money import Money
from ai_gateway.services.verification import Difference
from ai_gateway.stores.counter_restore import CLAIM_SECONDS, COUNTERS_AT_ONCE
from ai_gateway.stores.redis_client import POOL_CONNECTIONS
from ai_gateway.stores.sql import engine_options
from tests.running import PROJECT

GUIDE = (PROJECT / "docs" / "operating.md").read_text()
RULES = (PROJECT / "grafana/prometheus/rules/alerts.yml").read_text()


def differences(*by: int) -> list[Difference]:
    account = Account(Scope.USER, 2, Window.DAY, "2026-11-25")
    return [Difference(account, Money(111_000 + more), Money(111_000)) for more in by]


def test_every_alert_is_told_with_its_severity() -> None:
    shipped = re.findall(r"alert: (\w+)(?s:.*?)severity: (\w+)", RULES)
    told = re.findall(r"(?m)^\| \[(\w+)\]\(runbook\.md#(\w+)\) \| (\w+) \|", GUIDE)
    assert [(name, severity) for name, _, severity in told] == shipped
    assert all(link == name.lower() for name, link, _ in told)


def test_the_failure_that_is_shown_is_what_the_command_says() -> None:
    [found] = differences(-8_000)
    assert ledger._told(found) in GUIDE
    assert ledger._advice([found]) in GUIDE
    assert ledger.STEPS.split(", ")[0] == "docs/operating.md"
    assert "\n## When `ledger verify` fails\n" in GUIDE


def test_the_advice_goes_by_the_side_that_has_more() -> None:
    below, above, both = (ledger._advice(differences(*by)) for by in ((-1, -2), (1, 2), (1, -1)))
    assert below.startswith("The counters lack what was booked")
    assert above.startswith("The ledger lacks what was counted")
    assert both.startswith("Counters are above and below")


def test_the_numbers_are_those_of_the_program() -> None:
    pool = engine_options("postgresql://")
    assert f"{pool['pool_size'] + pool['max_overflow']} at most for each worker" in GUIDE
    assert f"{POOL_CONNECTIONS} at most for each worker" in GUIDE
    assert f"in steps of {COUNTERS_AT_ONCE}" in GUIDE
    assert f"the next goes on after {CLAIM_SECONDS} s" in GUIDE

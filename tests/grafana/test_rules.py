"""The rules for Prometheus: valid, tested alert by alert, and each alert has its runbook entry."""

import re
import subprocess
from pathlib import Path

import pytest

from grafana.queries import SHORT_FORMS
from tests.grafana.shipped import (
    ALERTS,
    GRAFANA,
    PROMETHEUS,
    RECORDING,
    RULE_TESTS,
    Json,
    Rule,
    read_yaml,
)

RUNBOOK = GRAFANA.parent / "docs" / "runbook.md"
NAMES = {alert.name for alert in ALERTS}

every_alert = pytest.mark.parametrize("alert", ALERTS, ids=str)


def promtool(*arguments: str | Path) -> tuple[int, str]:
    """Run promtool; give its status and what it complained of."""
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def _tested() -> dict[str, list[tuple[str, bool]]]:
    """By alert: test and expectation in the order of time, whether it fires."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for path in RULE_TESTS:
        for test in read_yaml(path)["tests"]:
            for case in _in_time(test):
                fires = (test["name"], bool(case["exp_alerts"]))
                found.setdefault(case["alertname"], []).append(fires)
    return found


def _in_time(test: Json) -> list[Json]:
    cases = test.get("alert_rule_test", [])
    return sorted(cases, key=lambda case: int(case["eval_time"].removesuffix("m")))


@pytest.mark.prometheus
def test_the_shipped_configuration_and_its_rules_are_valid() -> None:
    status, said = promtool("check", "config", PROMETHEUS / "prometheus.yml")
    assert (status, "20 rules found" in said, "9 rules found" in said) == (0, True, True), said
    status, said = promtool("check", "rules", PROMETHEUS / "rules" / "gen_ai.yml")
    assert status == 0, said


@pytest.mark.prometheus
def test_the_rule_tests_pass() -> None:
    status, said = promtool("test", "rules", *RULE_TESTS)
    assert status == 0, said


@pytest.mark.prometheus
def test_a_rule_test_fails_when_its_alert_is_broken(tmp_path: Path) -> None:
    text = (PROMETHEUS / "rules" / "alerts.yml").read_text(encoding="utf-8")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "alerts.yml").write_text(text.replace("> 120", "> 12000"), "utf-8")
    recording = (PROMETHEUS / "rules" / "recording.yml").read_text(encoding="utf-8")
    (tmp_path / "rules" / "recording.yml").write_text(recording, "utf-8")
    (tmp_path / "tests").mkdir()
    copied = tmp_path / "tests" / "ledger.yml"
    copied.write_text((PROMETHEUS / "tests" / "ledger.yml").read_text("utf-8"), "utf-8")

    status, said = promtool("test", "rules", copied)

    assert status != 0
    assert set(re.findall(r"alertname: (\w+)", said)) == {"AIGatewayLedgerLag"}


@pytest.mark.parametrize("window", ["5m", "30m", "1h", "6h"])
def test_alerts_and_boards_mean_the_same_by_a_failure(window: str) -> None:
    (ratio,) = [rule for rule in RECORDING if rule.name.endswith(f":error_ratio{window}")]
    for matcher in (SHORT_FORMS["<BAD>"], SHORT_FORMS["<SLI>"]):
        assert f"ai_gateway_requests_total{{{matcher}}}[{window}]" in ratio.expr


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_groups_are_evaluated_in_the_order_of_the_files(path: Path) -> None:
    """Without the order promtool takes a random one, and results differ from run to run."""
    content = read_yaml(path)
    groups = [
        name
        for file in content["rule_files"]
        for name in re.findall(r"(?m)^  - name: (\S+)$", (path.parent / file).read_text("utf-8"))
    ]
    assert content["group_eval_order"] == groups


@every_alert
def test_alert_is_tested_quiet_then_firing_then_quiet(alert: Rule) -> None:
    by_test: dict[str, list[bool]] = {}
    for test, fires in _tested()[alert.name]:
        by_test.setdefault(test, []).append(fires)
    assert [False, True, False] in by_test.values()


@every_alert
def test_alert_says_how_grave_it_is_and_where_to_look(alert: Rule) -> None:
    assert alert.labels["severity"] in {"critical", "warning"}
    assert alert.annotations["summary"]
    assert alert.annotations["runbook"] == f"docs/runbook.md#{alert.name.lower()}"


def test_every_alert_has_its_entry_in_the_runbook_and_the_other_way_round() -> None:
    entries = re.findall(r"(?m)^## (AIGateway\w+)$", RUNBOOK.read_text(encoding="utf-8"))
    assert sorted(entries) == sorted(NAMES)


@every_alert
def test_the_entry_has_its_four_parts_and_the_severity_of_the_rule(alert: Rule) -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    entry = re.split(r"(?m)^## ", text.split(f"## {alert.name}\n")[1])[0]
    assert re.findall(r"(?m)^- \*\*(.+?)\*\*", entry) == [
        "Means.",
        "Look first.",
        "Mend.",
        "Wake somebody.",
    ]
    assert f"({alert.labels['severity']})" in entry


def test_the_panels_that_the_runbook_names_exist() -> None:
    boards = "".join(path.read_text("utf-8") for path in (GRAFANA / "dashboards").glob("*.json"))
    named = re.findall(r"panel \*([^*]+)\*", RUNBOOK.read_text(encoding="utf-8"))
    assert named
    assert [title for title in named if f'"title": "{title}"' not in boards] == []

"""Docs and code say the same: settings, metrics, addresses, errors, layout, in both directions."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from flask import Flask

from ai_gateway.factory import create_app
from ai_gateway.settings import read_settings
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_state import FIGURES, SEPARATOR, InstanceFacts, State
from ai_gateway.web.error_bodies import INTERNAL_ROW, ROWS
from tests.deploy.compose import compose_variables

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"

EVERY_FIGURE = {SEPARATOR.join((family.name, *family.labels)): 0.0 for family in FIGURES}


class Recording(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path_factory.mktemp("docs"))})


def settings_read() -> set[str]:
    """One rule is told for the files of keys; here is each beside its key."""
    environment = Recording()
    read_settings(environment)
    keys = {name for name in environment.asked if name.endswith("_API_KEY")}
    files = {f"{name}_FILE" for name in keys if not name.startswith("LANGSMITH_")}
    assert files < environment.asked
    return environment.asked - files


def names_in(text: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, text))


def test_every_setting_is_in_the_docs_and_the_other_way_round() -> None:
    told = names_in((DOCS / "settings.md").read_text(), r"`([A-Z][A-Z0-9_]{3,})`")
    assert told == settings_read() | compose_variables() | {"OPENAI_API_KEY_FILE"}


def test_the_example_environment_has_every_setting_of_the_operator() -> None:
    told = names_in((PROJECT / ".env.example").read_text(), r"(?m)^#?\s*([A-Z][A-Z0-9_]{3,})=")
    internal = {
        "AI_GATEWAY_WORKER_SLOT",
        "AI_GATEWAY_STARTED_AT",
        "PROMETHEUS_MULTIPROC_DIR",
    }
    assert told == (settings_read() | compose_variables()) - internal


def test_every_metric_is_in_the_docs_and_the_other_way_round() -> None:
    metrics = Metrics(instance=InstanceFacts(started_at=0.0))
    scrape = metrics.scrape(State(EVERY_FIGURE, {"redis": True, "sql": True}, 0.0)).text.decode()
    exported = {
        name
        for name in re.findall(r"(?m)^# TYPE (\w+) \w+$", scrape)
        # The library's own mark of when a series began; there is none with several workers.
        if not name.endswith("_created")
    }
    told = names_in((DOCS / "metrics.md").read_text(), r"`(ai_gateway_\w+)`")
    assert told == exported


def test_every_address_is_in_the_docs(app: Flask) -> None:
    told = names_in((DOCS / "rest-api.md").read_text(), r"`(?:(?:GET|POST) )?(/[\w/.-]*)`")
    served = {rule.rule for rule in app.url_map.iter_rules() if "<" not in rule.rule}
    assert served <= told, served - told
    assert told <= served | {"/v1/..."}, told - served


def test_every_error_code_is_in_the_docs_with_its_status() -> None:
    text = (DOCS / "rest-api.md").read_text()
    told = set(re.findall(r"(?m)^\| (\d{3}) \| `(\w+)` \|", text))
    rows = [*ROWS.values(), INTERNAL_ROW]
    assert told == {(str(row.status), row.code) for row in rows}


@pytest.mark.parametrize("page", [*sorted(DOCS.rglob("*.md")), PROJECT / "README.md"], ids=str)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    roots = "ai_gateway|docs|tests|simulator|bench|grafana|stores|services|web|providers|domain"
    for name in names_in(page.read_text(), rf"`((?:{roots})/[\w./-]+)`"):
        assert (PROJECT / name).exists() or (PROJECT / "ai_gateway" / name).exists(), name


@pytest.mark.parametrize("page", [*sorted(DOCS.rglob("*.md")), PROJECT / "README.md"], ids=str)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in names_in(page.read_text(), r"\]\((?!https?:|#)([^)#]+)"):
        assert (page.parent / target).exists(), target


def test_the_change_log_and_the_version_agree() -> None:
    assert "## Unreleased" in (PROJECT / "CHANGELOG.md").read_text()

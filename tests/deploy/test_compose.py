"""compose.yaml: its schema, what it promises about every service, and the files that it mounts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ai_gateway.settings import read_settings
from tests.deploy.by_hand import PROJECT
from tests.deploy.compose import (
    FILE,
    NEEDED,
    MissingVariableError,
    Service,
    compose_variables,
    read_services,
    read_yaml,
)
from tests.deploy.dockerfile import read_stages

SERVICES = read_services(NEEDED)
OURS = ("setup", "gateway", "bookkeeper")
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.?\d*[\w.-]*")
GRAFANA_SOURCE = PROJECT / "grafana/provisioning/datasources/prometheus.yml"

every_service = pytest.mark.parametrize("name", SERVICES)


def schema_faults(path: Path) -> str:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_the_file_follows_the_schema_of_compose() -> None:
    assert schema_faults(FILE) == ""


def test_the_schema_names_a_key_that_compose_does_not_know(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("read_only:", "readonly:"))
    assert "readonly" in schema_faults(wrong)


@pytest.mark.parametrize("name", NEEDED)
def test_without_a_secret_nothing_starts(name: str) -> None:
    with pytest.raises(MissingVariableError, match=name):
        read_services({**NEEDED, name: ""})


@every_service
def test_every_image_is_pinned(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])


def test_the_base_image_is_pinned_and_one() -> None:
    (base,) = {stage.base for stage in read_stages((PROJECT / "Dockerfile").read_text())}
    assert PINNED.fullmatch(base)


@every_service
def test_every_service_has_as_few_rights_as_it_can(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"][0] == "/tmp"  # noqa: S108 - the container's own
    assert service["restart"] == ("no" if name == "setup" else "unless-stopped")


@every_service
def test_what_is_published_is_at_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


def test_the_stores_are_reached_by_our_processes_alone() -> None:
    networks = read_yaml(FILE)["networks"]
    assert networks["stores"] == {"internal": True}
    inside = {name for name, service in SERVICES.items() if "stores" in service.get("networks", [])}
    assert inside == {*OURS, "valkey", "postgres"}
    for name in ("valkey", "postgres"):
        assert SERVICES[name]["networks"] == ["stores"]
        assert "ports" not in SERVICES[name]


@every_service
def test_what_is_mounted_exists(name: str) -> None:
    volumes = read_yaml(FILE)["volumes"]
    for mount in SERVICES[name].get("volumes", []):
        source, target, *mode = mount.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (PROJECT / source).exists(), source
            assert mode == ["ro"]
        else:
            assert source in volumes


@pytest.mark.parametrize("name", OURS)
def test_our_processes_wait_for_what_they_need(name: str) -> None:
    needed = SERVICES[name]["depends_on"]
    for store in ("postgres", "valkey"):
        assert needed[store] == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[store]
    if name != "setup":
        assert needed["setup"] == {"condition": "service_completed_successfully"}


def test_the_gateway_may_stop_for_longer_than_gunicorn_waits() -> None:
    config = (PROJECT / "gunicorn.conf.py").read_text()
    (grace,) = re.findall(r"(?m)^graceful_timeout = (\d+)$", config)
    assert seconds(SERVICES["gateway"]) > int(grace) + 5


def test_the_bookkeeper_may_stop_for_as_long_as_beside_the_supervisor() -> None:
    assert seconds(SERVICES["bookkeeper"]) >= 20


def test_the_first_password_goes_into_no_log() -> None:
    assert SERVICES["setup"]["logging"] == {"driver": "none"}


def test_every_variable_is_explained() -> None:
    told = (PROJECT / "docs" / "settings.md").read_text()
    for name in compose_variables():
        assert re.search(rf"(?m)^\| (`\w+`, )*`{name}`", told), name


@pytest.mark.parametrize("name", OURS)
def test_our_processes_understand_their_environment(name: str) -> None:
    settings = read_settings(SERVICES[name]["environment"])
    assert not settings.is_embedded
    assert settings.simulator_active is False
    assert str(settings.data_dir) in SERVICES[name]["tmpfs"]


def test_the_boards_get_their_figures_from_the_prometheus_of_the_file() -> None:
    ours = read_yaml(PROJECT / "deploy/grafana-datasource.yml")
    (source,) = ours["datasources"]
    assert source.pop("url") == "http://prometheus:9090"
    (theirs,) = (usual := read_yaml(GRAFANA_SOURCE))["datasources"]
    del theirs["url"]
    assert ours == usual


def test_prometheus_has_the_rules_and_the_job_of_the_usual_one() -> None:
    ours = read_yaml(PROJECT / "deploy/prometheus.yml")
    usual = read_yaml(PROJECT / "grafana/prometheus/prometheus.yml")
    assert ours["global"] == usual["global"]
    assert ours["rule_files"] == usual["rule_files"]
    (job,), (usual_job,) = ours["scrape_configs"], usual["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == (
        usual_job["job_name"],
        usual_job["metrics_path"],
    )
    assert job["static_configs"] == [{"targets": ["gateway:8000"]}]


def test_grafana_finds_the_boards_where_its_provider_looks() -> None:
    (provider,) = read_yaml(PROJECT / "grafana/provisioning/dashboards/ai-gateway.yml")["providers"]
    mounts = SERVICES["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts


def seconds(service: Service) -> int:
    return int(service["stop_grace_period"].removesuffix("s"))

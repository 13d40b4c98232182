"""Our services run as compose.yaml says, by the image's user in its read-only folder."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest
import redis

from tests.deploy.by_hand import run_with_installed_packages
from tests.deploy.running import Deployment, deployed, status
from tests.running import wait_for
from tests.serve.gateway_process import free_port
from tests.tools import program

pytestmark = [pytest.mark.long, pytest.mark.postgresql]

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(run_with_installed_packages) as running:
        yield running


def test_a_call_is_served_and_booked(deployment: Deployment) -> None:
    made = deployment.run("flask", "user", "create", "ada", "--email", "ada@example.com")
    assert made.returncode == 0, made.stderr
    key = deployment.run("flask", "key", "create", "ada").stdout.strip()
    request = urllib.request.Request(
        f"{deployment.base_url}/v1/chat/completions",
        json.dumps(CALL).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        request_id = answer.headers["x-request-id"]
        cost = answer.headers["x-ai-gateway-cost-usd"]
    assert float(cost) > 0
    found = wait_for(
        lambda: deployment.rows("SELECT request_id FROM ledger_entry"), "the call is booked"
    )
    assert found == [(request_id,)]


def test_our_services_run_as_the_user_of_the_image(deployment: Deployment) -> None:
    user = deployment.image.stage.last("USER").partition(":")[0]
    own = str(os.geteuid())
    assert deployment.run("id", "-u").stdout.strip() == (user if own == "0" else own)


def test_the_set_up_may_run_again(deployment: Deployment) -> None:
    again = deployment.run()
    assert (again.returncode, again.stdout) == (0, "")


def test_the_health_check_finds_the_gateway(deployment: Deployment) -> None:
    image = deployment.image
    command = image.as_its_user(image.stage.health_check)
    done = subprocess.run(command, env=deployment.environment("gateway"), check=False, timeout=60)
    assert done.returncode == 0


def test_the_signal_of_the_image_ends_our_services(deployment: Deployment) -> None:
    for name in ("gateway", "bookkeeper"):
        assert deployment.stop(name) == 0, deployment.said(name)
        deployment.start(name)
    deployment.wait_until_ready()


def test_valkey_drops_nothing_and_writes_before_it_answers(deployment: Deployment) -> None:
    with redis.Redis.from_url(deployment.environment("gateway")["REDIS_URL"]) as client:
        chosen = client.config_get("maxmemory", "maxmemory-policy", "append*", "save")
    assert chosen["maxmemory"] == str(512 * 1024 * 1024)
    assert chosen["maxmemory-policy"] == "noeviction"
    assert (chosen["appendonly"], chosen["appendfsync"], chosen["save"]) == ("yes", "always", "")


def test_the_health_check_of_postgresql_finds_it(deployment: Deployment) -> None:
    _, name, *options = deployment.services["postgres"]["healthcheck"]["test"]
    command = [program(name) or "", *options, f"--port={deployment.ports['postgres']}"]
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)


@pytest.mark.prometheus
def test_promtool_accepts_the_configuration(deployment: Deployment) -> None:
    token = deployment.folder / "metrics-token"
    token.touch(mode=0o600)
    promtool = program("promtool")
    assert promtool is not None
    command = [promtool, "check", "config", str(deployment.prometheus_config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rule files found" in done.stdout


@pytest.mark.prometheus
def test_prometheus_scrapes_with_the_token_and_nobody_without(deployment: Deployment) -> None:
    address = f"127.0.0.1:{free_port()}"
    deployment.start_prometheus(address)

    def target() -> dict[str, str]:
        try:
            with urllib.request.urlopen(f"http://{address}/api/v1/targets") as answer:
                found: list[dict[str, str]] = json.load(answer)["data"]["activeTargets"]
        except OSError:
            return {}
        return found[0] if found and found[0]["health"] != "unknown" else {}

    assert wait_for(target, "Prometheus has scraped")["health"] == "up", target()["lastError"]
    assert status(f"{deployment.base_url}/metrics") == 403
    assert (deployment.folder / "metrics-token").stat().st_mode & 0o077 == 0

"""Calls through the whole application, as LangSmith gets them: one finished run for each."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ai_gateway.domain.clock import system_clock
from ai_gateway.factory import SHUTDOWN_EXTENSION
from ai_gateway.factory.tracing import tracing_watch
from ai_gateway.settings import read_settings
from ai_gateway.stores.redis_client import connect
from simulator.testing import RunningSimulator, running_simulator
from tests.gateway_app import ANTHROPIC, OPENAI, GatewayApp, credential, opened_app
from tests.langsmith.stand_in import StandIn
from tests.redis_servers import RedisServer, running_redis
from tests.running import wait_for
from tests.web.staff_app import log_in

CANARY = "canary-7f3a91"
LINKS = "/admin/ai-analytics/langsmith"
HEALTH = "/api/v1/ai/analytics/langsmith/health/"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


def variables(stand_in: StandIn, **more: str) -> dict[str, str]:
    return {
        "LANGSMITH_API_KEY": stand_in.key,
        "LANGSMITH_ENDPOINT": stand_in.url,
        "LANGSMITH_PROJECT": "tests",
        **more,
    }


@contextmanager
def traced(
    server: RedisServer, simulator: RunningSimulator, chosen: dict[str, str]
) -> Iterator[GatewayApp]:
    with opened_app(server, simulator, chosen) as opened:
        yield opened
        opened.app.extensions[SHUTDOWN_EXTENSION]()


@pytest.fixture
def gateway(
    server: RedisServer, simulator: RunningSimulator, stand_in: StandIn
) -> Iterator[GatewayApp]:
    with traced(server, simulator, variables(stand_in)) as opened:
        yield opened


@pytest.fixture
def telling(
    server: RedisServer, simulator: RunningSimulator, stand_in: StandIn
) -> Iterator[GatewayApp]:
    """With content."""
    chosen = variables(stand_in, AI_GATEWAY_TRACE_CONTENT="true")
    with traced(server, simulator, chosen) as opened:
        yield opened


def only_run(stand_in: StandIn) -> dict[str, Any]:
    wait_for(lambda: stand_in.runs, "a run arrives", 20)
    (run,) = stand_in.runs.values()
    return run


def usage_of(run: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = run["extra"]["metadata"]["usage_metadata"]
    return found


def test_a_call_is_one_run_with_our_tokens_cost_user_and_no_content(
    gateway: GatewayApp, stand_in: StandIn
) -> None:
    key = gateway.make_key()
    answer = gateway.call(key, prompt=CANARY)
    assert answer.json is not None
    run = only_run(stand_in)
    metadata, told = run["extra"]["metadata"], answer.json["usage"]
    assert usage_of(run)["input_tokens"] == told["prompt_tokens"]
    assert usage_of(run)["output_tokens"] == told["completion_tokens"]
    assert usage_of(run)["total_cost"] == float(answer.headers["x-ai-gateway-cost-usd"]) > 0
    parts = usage_of(run)["input_cost"] + usage_of(run)["output_cost"]
    assert parts == pytest.approx(usage_of(run)["total_cost"], abs=1e-12)
    assert metadata["gateway_request_id"] == answer.headers["x-request-id"]
    assert metadata["key_id"] == key.split("_")[1]
    assert metadata["user_id"].isdigit()
    assert metadata["ls_provider"] == "openai"
    assert run["run_type"] == "llm"
    assert run["tags"] == ["openai", "chat", "success"]
    assert (run["inputs"], run["outputs"]) == ({}, {})
    assert "error" not in run
    sent = b"".join(stand_in.bodies)
    for secret in (CANARY, key, answer.json["choices"][0]["message"]["content"]):
        assert secret.encode() not in sent


def test_content_goes_where_it_is_switched_on(telling: GatewayApp, stand_in: StandIn) -> None:
    answer = telling.call(telling.make_key(), prompt=CANARY)
    assert answer.json is not None
    run = only_run(stand_in)
    assert run["inputs"]["messages"] == [{"role": "user", "content": CANARY}]
    message = answer.json["choices"][0]["message"]
    assert run["outputs"]["choices"][0]["message"]["content"] == message["content"]


@pytest.mark.parametrize("path", [OPENAI, ANTHROPIC])
def test_a_stream_has_its_first_token_and_its_whole_text(
    telling: GatewayApp, stand_in: StandIn, path: str
) -> None:
    answer = telling.call(telling.make_key(), path, stream=True)
    text = "".join(_texts(answer.text))
    answer.close()
    run = only_run(stand_in)
    assert text
    assert run["outputs"]["choices"][0]["message"]["content"] == text
    (event,) = run["events"]
    assert event["name"] == "new_token"
    assert run["start_time"] <= event["time"] <= run["end_time"]
    assert run["tags"][-1] == "stream"


def _texts(stream: str) -> Iterator[str]:
    for line in stream.splitlines():
        if line.startswith("data: {"):
            event = json.loads(line[6:])
            choices = event.get("choices") or [{}]
            yield choices[0].get("delta", {}).get("content") or ""
            yield event.get("delta", {}).get("text") or ""


def test_a_failure_of_the_provider_is_an_error_without_its_body(
    gateway: GatewayApp, stand_in: StandIn
) -> None:
    answer = gateway.call(gateway.make_key(), prompt=f"{CANARY} [[status=500]]")
    assert answer.status_code == 502
    run = only_run(stand_in)
    assert run["error"] == "upstream_error: UpstreamUnavailable (500)"
    assert run["tags"][-1] == "upstream_error"


def test_a_client_that_leaves_is_an_interruption(gateway: GatewayApp, stand_in: StandIn) -> None:
    answer = gateway.client.post(
        OPENAI,
        json={
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "[[tokens=30]] [[pace=50]]"}],
            "stream": True,
        },
        headers=credential(gateway.make_key()),
        buffered=False,
    )
    assert next(iter(answer.response))
    answer.close()
    run = only_run(stand_in)
    assert run["error"] == "cancelled: the client left"
    assert run["extra"]["metadata"]["ls_is_error_interrupt"] is True


def test_refused_calls_are_no_runs(gateway: GatewayApp, stand_in: StandIn) -> None:
    assert gateway.call("sk-agw_nobody").status_code == 401
    gateway.call(gateway.make_key())
    only_run(stand_in)


@pytest.mark.parametrize(
    "chosen", [{"LANGSMITH_TRACING_ENABLED": "false"}, {"LANGSMITH_API_KEY": ""}], ids=str
)
def test_nothing_at_all_is_asked_where_tracing_is_off(
    server: RedisServer, simulator: RunningSimulator, stand_in: StandIn, chosen: dict[str, str]
) -> None:
    with traced(server, simulator, variables(stand_in, **chosen)) as gateway:
        gateway.call(gateway.make_key())
        assert gateway.services.tracing_health().state.value == "off"
        assert "langsmith" not in _up(gateway)
    assert not stand_in.requests


def _up(gateway: GatewayApp) -> dict[str, str]:
    text = gateway.services.health.scrape().text.decode()
    return dict(re.findall(r'(?m)^ai_gateway_dependency_up\{dependency="(\w+)"\} (\S+)$', text))


def look(gateway: GatewayApp, server: RedisServer, stand_in: StandIn) -> None:
    """Have the bookkeeper's check done, and wait for it."""
    settings = read_settings(variables(stand_in))
    with connect(server.url, timeout_seconds=5) as client:
        before = client.get("{agw}:tracing")
        tracing_watch(settings, client, system_clock)()
        wait_for(lambda: client.get("{agw}:tracing") != before, "LangSmith is checked", 20)
        # What it does after that needs the client too.
        for thread in threading.enumerate():
            if thread.name == "tracing-watch":
                thread.join(20)


def test_the_state_is_told_to_programs_pages_and_the_scrape(
    gateway: GatewayApp, server: RedisServer, stand_in: StandIn
) -> None:
    staff = gateway.make_key(gateway.make_user("--role", "viewer"))

    def told() -> dict[str, Any]:
        answer = gateway.client.get(HEALTH, headers=credential(staff))
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json or {}
        return found

    shape = {"enabled": True, "project": "tests", "endpoint": stand_in.url}
    assert told() == {**shape, "connected": False, "error": "NotChecked"}
    look(gateway, server, stand_in)
    assert told() == {**shape, "connected": True, "error": None}
    assert gateway.services.tracing_health().project_link is None
    gateway.call(staff)
    only_run(stand_in)
    look(gateway, server, stand_in)
    health = gateway.services.tracing_health()
    assert health.state.value == "connected"
    assert health.project_link is not None
    assert _up(gateway)["langsmith"] == "1.0"
    # The check passes, and what is sent is refused.
    stand_in.answer(status=503)
    gateway.call(staff)
    wait_for(
        lambda: gateway.services.tracing_health().state.value == "degraded", "it is degraded", 20
    )
    assert gateway.services.tracing_health().queued == 1
    since = gateway.services.tracing_health().since
    look(gateway, server, stand_in)
    health = gateway.services.tracing_health()
    assert (health.state.value, health.error) == ("disconnected", "InternalServerError (503)")
    assert since is not None
    assert health.since is not None
    assert health.since > since
    assert gateway.client.get("/health/ready").status_code == 200


def test_the_key_of_langsmith_is_on_no_page_and_in_no_answer(
    gateway: GatewayApp, server: RedisServer, stand_in: StandIn
) -> None:
    staff = gateway.make_key(gateway.make_user("--role", "viewer"))
    stand_in.answer(mode="drop")
    look(gateway, server, stand_in)
    answer = gateway.client.get(HEALTH, headers=credential(staff))
    assert answer.json is not None
    assert answer.json["error"] == "APIConnectionError"
    assert stand_in.key[:5] not in answer.text


def test_pages_lead_to_the_run_and_to_the_errors_without_asking(
    gateway: GatewayApp, server: RedisServer, stand_in: StandIn
) -> None:
    log_in(gateway.client, gateway.make_staff("--role", "viewer"))
    overview = gateway.client.get("/admin/ai-analytics/").text
    assert "NotChecked" in overview
    assert "View in LangSmith" not in overview
    assert gateway.client.get(f"{LINKS}/errors/").location.endswith(
        "/admin/ai-analytics/#langsmith"
    )
    gateway.call(gateway.make_key(), prompt="[[status=500]]")
    run = only_run(stand_in)
    with gateway.app.app_context():
        gateway.bookkeeper().book(block_ms=None)
    look(gateway, server, stand_in)
    asked = stand_in.requests.total()
    overview = gateway.client.get("/admin/ai-analytics/").text
    assert 'aria-label="LangSmith" data-state="ok"' in overview
    project = gateway.services.tracing_health().project_link
    assert project is not None
    (link,) = re.findall(rf'href="({LINKS}/calls/[^"]+)"', overview)
    assert gateway.client.get(unescape(link)).location == f"{project}/r/{run['id']}"
    assert gateway.client.get(f"{LINKS}/").location == project
    errors = urlsplit(gateway.client.get(f"{LINKS}/errors/").location)
    assert parse_qs(errors.query)["searchModel"] == ['{"filter":"eq(status, \\"error\\")"}']
    assert "Project" in gateway.client.get("/admin/ai-analytics/system/").text
    assert stand_in.requests.total() == asked

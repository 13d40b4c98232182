"""`/health/live`, `/health/ready` and `/metrics`: what they say, and to whom."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from werkzeug.test import TestResponse

from ai_gateway.domain.clock import system_clock
from ai_gateway.services.health import STATE_LASTS
from ai_gateway.stores import redis_keys
from tests.gateway_app import GatewayApp, opened_app
from tests.redis_servers import RedisServer, running_redis

TOKEN = "0f9e8d7c6b5a43210fed"


@dataclass
class ClockAhead:
    """The clock of the system, and as much ahead of it as tests need."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


@pytest.fixture(scope="module")
def clock() -> ClockAhead:
    return ClockAhead()


@pytest.fixture(scope="module")
def shared_app(server: RedisServer, clock: ClockAhead) -> Iterator[GatewayApp]:
    variables = {"AI_GATEWAY_METRICS_TOKEN": TOKEN}
    with opened_app(server, variables=variables, clock=clock) as opened:
        yield opened


@pytest.fixture
def gateway(shared_app: GatewayApp, clock: ClockAhead) -> GatewayApp:
    """The counters can be trusted, whatever another test did, and nothing is remembered of them."""
    clock.ahead += STATE_LASTS
    shared_app.open()
    return shared_app


def scrape(
    gateway: GatewayApp, peer: str = "127.0.0.1", headers: dict[str, str] | None = None
) -> TestResponse:
    return gateway.client.get(
        "/metrics", headers=headers or {}, environ_overrides={"REMOTE_ADDR": peer}
    )


def test_a_process_that_answers_is_alive(gateway: GatewayApp) -> None:
    answer = gateway.client.get("/health/live")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_gateway_whose_counters_can_be_trusted_is_ready(gateway: GatewayApp) -> None:
    answer = gateway.client.get("/health/ready")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_gateway_without_an_epoch_is_not_ready_but_alive(gateway: GatewayApp) -> None:
    gateway.store.client.hdel(redis_keys.META, "epoch")
    answer = gateway.client.get("/health/ready")
    assert (answer.status_code, answer.json) == (503, {"status": "unavailable"})
    assert gateway.client.get("/health/live").status_code == 200


def test_without_redis_it_is_alive_not_ready_and_still_scraped() -> None:
    with running_redis() as server, opened_app(server, is_set_up=False) as gateway:
        server.stop()
        assert gateway.client.get("/health/live").status_code == 200
        assert gateway.client.get("/health/ready").status_code == 503
        text = scrape(gateway).text
        server.start()
    assert 'ai_gateway_dependency_up{dependency="redis"} 0.0' in text
    assert 'ai_gateway_dependency_up{dependency="sql"} 1.0' in text
    assert "ai_gateway_ledger_spend_usd" not in text


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_may_scrape(gateway: GatewayApp, peer: str) -> None:
    answer = scrape(gateway, peer)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'ai_gateway_dependency_up{dependency="redis"} 1.0' in answer.text


@pytest.mark.parametrize("peer", ["10.0.0.7", "192.0.2.1", "2001:db8::1", "", "nonsense"])
def test_others_may_not_scrape_without_the_token(gateway: GatewayApp, peer: str) -> None:
    answer = scrape(gateway, peer)
    assert answer.status_code == 403
    assert TOKEN not in answer.text


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_proxy_on_loopback_needs_the_token(gateway: GatewayApp, name: str) -> None:
    assert scrape(gateway, headers={name: "127.0.0.1"}).status_code == 403
    both = {name: "127.0.0.1", "authorization": f"Bearer {TOKEN}"}
    assert scrape(gateway, headers=both).status_code == 200


@pytest.mark.parametrize(
    ("credential", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"Bearer {TOKEN[:-1]}", 403),
        (f"Basic {TOKEN}", 403),
        (TOKEN, 403),
        ("Bearer ", 403),
        ("Bearer \xfc", 403),
        ("", 403),
    ],
)
def test_from_afar_only_the_token_opens(gateway: GatewayApp, credential: str, status: int) -> None:
    answer = scrape(gateway, "10.0.0.7", {"authorization": credential})
    assert answer.status_code == status


def test_a_wrong_token_on_loopback_changes_nothing(gateway: GatewayApp) -> None:
    assert scrape(gateway, headers={"authorization": "Bearer wrong"}).status_code == 200


def test_networks_of_the_operator_replace_loopback(server: RedisServer) -> None:
    variables = {"AI_GATEWAY_METRICS_ALLOW": "10.1.0.0/16, 2001:db8::/32"}
    with opened_app(server, variables=variables, is_set_up=False) as gateway:
        found = {
            peer: scrape(gateway, peer).status_code
            for peer in ("10.1.2.3", "10.2.0.1", "2001:db8::7", "127.0.0.1")
        }
    assert found == {"10.1.2.3": 200, "10.2.0.1": 403, "2001:db8::7": 200, "127.0.0.1": 403}


def test_figures_of_the_bookkeeper_are_shown_while_they_are_fresh(gateway: GatewayApp) -> None:
    with gateway.app.app_context():
        gateway.bookkeeper().write_figures()
    text = scrape(gateway).text
    assert 'ai_gateway_ledger_spend_usd{window="day"} 0.0' in text
    assert "ai_gateway_ledger_lag_seconds 0.0" in text


def test_figures_of_long_ago_are_left_out(gateway: GatewayApp) -> None:
    old: dict[str, str | int] = {"ledger_spend_usd|day": 1}
    old |= {"updated_at": "2026-01-01T00:00:00+00:00"}
    gateway.store.published.write_figures(old)
    assert "ai_gateway_ledger_spend_usd" not in scrape(gateway).text


def test_prometheus_gets_the_format_that_it_asks_for(gateway: GatewayApp) -> None:
    asked = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5"
    answer = scrape(gateway, headers={"accept": asked})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    assert answer.text.count("# EOF") == 1


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5"])
def test_a_scrape_is_compressed_where_that_is_understood(
    gateway: GatewayApp, accepted: str
) -> None:
    answer = scrape(gateway, headers={"accept-encoding": accepted})
    assert answer.headers["content-encoding"] == "gzip"
    assert b"ai_gateway_build_info" in gzip.decompress(answer.data)


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0"])
def test_a_scrape_is_plain_where_compression_is_not_understood(
    gateway: GatewayApp, accepted: str
) -> None:
    answer = scrape(gateway, headers={"accept-encoding": accepted})
    assert "content-encoding" not in answer.headers
    assert "ai_gateway_build_info" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_metrics_are_only_read(gateway: GatewayApp, method: str) -> None:
    assert gateway.client.open("/metrics", method=method).status_code == 405


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_probes_are_only_read(gateway: GatewayApp, path: str) -> None:
    assert gateway.client.post(path).status_code == 405

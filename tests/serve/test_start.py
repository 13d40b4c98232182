"""Starts that go well, and faults: each is one line and exit code 2, and leaves nothing running."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_gateway.serve.programs import DEMO_CONFIG
from tests.serve.gateway_process import Gateway, wait_until

pytestmark = pytest.mark.long


def assert_refused(gateway: Gateway, *words: str) -> None:
    assert gateway.wait() == 2
    (line,) = gateway.said()
    assert line.startswith("ai-gateway: ")
    for word in words:
        assert word in line
    assert gateway.processes() == {}
    assert gateway.stdout.read_text() == ""


def test_first_start_shows_addresses_and_what_setup_told(gateway: Gateway) -> None:
    welcome = gateway.start()
    for path in ("/admin/", "/v1", "/metrics"):
        assert f"http://127.0.0.1:{gateway.port}{path}" in welcome
    assert "Staff user admin, password 1234" in welcome
    assert "key create" not in welcome
    assert "imulator" not in welcome
    assert gateway.said() == []


def test_later_start_tells_how_to_make_a_key(gateway: Gateway) -> None:
    gateway.start()
    assert gateway.stop() == 0
    welcome = gateway.start()
    (line,) = [line for line in welcome.splitlines() if "key create NAME" in line]
    # Without the folder it would be a key of another gateway.
    assert f"AI_GATEWAY_DATA_DIR={gateway.data_dir} " in line
    assert "password" not in welcome


def test_data_survives_a_restart(gateway: Gateway) -> None:
    gateway.start()
    gateway.store().set("money", "12")
    assert gateway.stop() == 0
    gateway.start()
    assert gateway.store().get("money") == "12"


def test_simulator_is_started_and_its_address_handed_on(gateway: Gateway) -> None:
    welcome = gateway.start({"AI_GATEWAY_SIMULATOR": "on"})
    port = (gateway.data_dir / "run/simulator.port").read_text().strip()
    assert gateway.get("/simulator-url") == f"http://127.0.0.1:{port}"
    assert "The simulator answers" in welcome


def test_simulator_of_somebody_else_is_used_as_it_is(gateway: Gateway) -> None:
    url = "http://127.0.0.1:9"
    gateway.start({"AI_GATEWAY_SIMULATOR": "on", "AI_GATEWAY_SIMULATOR_URL": url})
    assert gateway.get("/simulator-url") == url
    assert not any("-m simulator" in command for command in gateway.processes().values())


def test_demo_data_are_made_once_and_shown_while_and_after(gateway: Gateway) -> None:
    demo = {"AI_GATEWAY_DEMO": "true"}
    first = gateway.start(demo)
    assert "The demo has 2 users" in first
    assert "half of it is made" in gateway.said()
    assert gateway.stop() == 0
    assert "The demo" not in gateway.start(demo)
    assert gateway.notes().count("demo-data") == 1


def test_demo_has_the_operators_file_of_its_own_or_the_one_that_is_named(
    make_gateway: Callable[[], Gateway], tmp_path: Path
) -> None:
    demo = {"AI_GATEWAY_DEMO": "true"}
    assert "by " + str(DEMO_CONFIG) in make_gateway().start(demo)
    named = tmp_path / "own.toml"
    named.touch()
    assert f"by {named}" in make_gateway().start({**demo, "AI_GATEWAY_CONFIG": str(named)})


def test_demo_that_fails_has_said_why_and_is_tried_again(gateway: Gateway) -> None:
    gateway.launch({"AI_GATEWAY_DEMO": "true", "STANDIN_DEMO_FAILS": "1"})
    assert gateway.wait() == 2
    assert gateway.said()[-2:] == [
        "there are users already",
        "ai-gateway: demo-data failed: it says why above",
    ]
    assert gateway.processes() == {}
    gateway.start({"AI_GATEWAY_DEMO": "true"})
    assert gateway.notes().count("demo-data") == 2


def test_data_folder_may_have_a_long_and_odd_path(gateway: Gateway, tmp_path: Path) -> None:
    gateway.data_dir = tmp_path / "with space and 100%" / ("long" * 25)
    gateway.environment["AI_GATEWAY_DATA_DIR"] = str(gateway.data_dir)
    gateway.start()
    assert gateway.store().ping()
    assert gateway.stop() == 0


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        pytest.param({"PORT": "abc"}, ["PORT='abc'", "whole number"], id="wrong setting"),
        pytest.param({"AI_GATEWAY_DEMOO": "1"}, ["mean AI_GATEWAY_DEMO?"], id="unknown setting"),
        pytest.param(
            {"HOST": "203.0.113.1"}, ["port", "203.0.113.1", "cannot be used"], id="foreign address"
        ),
        pytest.param(
            {"AI_GATEWAY_DATA_DIR": "/dev/null/data"},
            ["/dev/null/data", "cannot be made", "AI_GATEWAY_DATA_DIR"],
            id="data folder that cannot be made",
        ),
        pytest.param(
            {"REDIS_URL": "redis://127.0.0.1:9"},
            ["SECRET_KEY", "openssl rand -hex 32"],
            id="foreign Redis without SECRET_KEY",
        ),
        pytest.param(
            {"DATABASE_URL": "sqlite:///x", "SECRET_KEY": "0123456789abcdef"},
            ["AI_GATEWAY_KEY_PEPPER", "openssl rand -hex 32"],
            id="foreign database without pepper",
        ),
        pytest.param(
            {"STANDIN_SETUP_FAILS": "1"},
            ["setup failed", "ValueError: the database is of a later version"],
            id="setup that fails",
        ),
    ],
)
def test_fault_is_told_in_one_line(
    gateway: Gateway, variables: dict[str, str], words: list[str]
) -> None:
    gateway.launch(variables)
    assert_refused(gateway, *words)


def test_data_folder_that_cannot_be_written_is_refused(gateway: Gateway) -> None:
    (gateway.data_dir / "gateway.lock").mkdir(parents=True)  # root may write anywhere else
    gateway.launch()
    assert_refused(gateway, str(gateway.data_dir), "cannot be written", "AI_GATEWAY_DATA_DIR")


def test_second_gateway_in_a_data_folder_is_refused(
    gateway: Gateway, make_gateway: Callable[[], Gateway]
) -> None:
    gateway.start()
    second = make_gateway()
    second.launch({"AI_GATEWAY_DATA_DIR": str(gateway.data_dir)})
    assert gateway.process is not None
    assert_refused(second, "in use", str(gateway.process.pid), "AI_GATEWAY_DATA_DIR")
    assert gateway.is_ready()


def test_taken_port_is_refused(gateway: Gateway) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", gateway.port))
        other.listen()
        gateway.launch()
        assert_refused(gateway, str(gateway.port), f"PORT={gateway.port + 1} python app.py")


def test_secrets_that_others_can_read_are_refused(gateway: Gateway) -> None:
    gateway.start()
    assert gateway.stop() == 0
    secrets = gateway.data_dir / "secrets.json"
    secrets.chmod(0o644)
    gateway.stdout.unlink()
    gateway.launch()
    assert_refused(gateway, f"chmod 600 {secrets}")


def test_damaged_append_only_file_is_refused(gateway: Gateway) -> None:
    gateway.start()
    assert gateway.stop() == 0
    (manifest,) = (gateway.data_dir / "valkey").rglob("*.manifest")
    manifest.write_text("nonsense\n")
    gateway.launch()
    assert_refused(gateway, "valkey ended with code 1", "valkey.log", "AOF manifest")


def test_gateway_that_does_not_get_ready_is_ended(gateway: Gateway) -> None:
    gateway.ready_within_seconds = 1.0
    gateway.launch({"STANDIN_NEVER_READY": "1"})
    assert_refused(gateway, "not ready after 1 s", "503 the ledger is away")


def test_workers_that_cannot_load_the_application_end_everything(gateway: Gateway) -> None:
    gateway.launch({"STANDIN_WORKER_FAILS": "1"})
    assert gateway.wait() == 2
    assert "ai-gateway: the worker says why" in gateway.said()
    assert gateway.said()[-1] == "ai-gateway: gunicorn ended with code 3 before it was ready"
    assert gateway.processes() == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_start_can_be_broken_off(gateway: Gateway, number: int) -> None:
    gateway.launch({"STANDIN_SETUP_HANGS": "1"})
    wait_until(lambda: "setup" in gateway.notes(), "setup runs")
    gateway.send(number)
    assert gateway.wait() == 0
    assert gateway.said() == []
    assert gateway.processes() == {}

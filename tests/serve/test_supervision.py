"""What happens when a process dies, and in which order everything stops."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.serve.gateway_process import TWO_WORKERS, Gateway, wait_until

pytestmark = pytest.mark.long

KILLED = 128 + signal.SIGKILL


def test_valkey_that_was_killed_comes_back_with_its_data(gateway: Gateway) -> None:
    gateway.start()
    gateway.store().set("money", "12")
    killed = gateway.process_of("valkey-server")
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in gateway.processes(), "Valkey is gone")
    wait_until(gateway.is_ready, "the gateway is ready again")
    assert gateway.store().get("money") == "12"
    assert gateway.said() == [
        f"ai-gateway: valkey ended with code {KILLED}; it starts again in 1 s"
    ]


def kill_bookkeeper(gateway: Gateway, starts: int) -> None:
    """Wait for the bookkeeper's start of that number, kill it, and wait until that is told."""
    wait_until(lambda: gateway.notes().count("bookkeeper started") == starts, "it runs")
    os.kill(gateway.process_of("app bookkeeper"), signal.SIGKILL)
    wait_until(lambda: len(gateway.said()) == starts, "its end is told")


def test_bookkeeper_that_was_killed_comes_back_after_growing_pauses(gateway: Gateway) -> None:
    gateway.start()
    for starts in (1, 2, 3):
        kill_bookkeeper(gateway, starts)
    assert gateway.said() == [
        f"ai-gateway: bookkeeper ended with code {KILLED}; it starts again in {seconds} s"
        for seconds in (1, 2, 4)
    ]
    assert gateway.is_ready()


def test_simulator_that_was_killed_comes_back_on_its_port(gateway: Gateway) -> None:
    gateway.start({"AI_GATEWAY_SIMULATOR": "on"})
    port = int((gateway.data_dir / "run/simulator.port").read_text())
    os.kill(gateway.process_of("-m simulator"), signal.SIGKILL)
    wait_until(gateway.said, "its end is told")

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(answers, "the simulator listens again")


def test_end_of_gunicorn_ends_everything_with_its_code(gateway: Gateway) -> None:
    gateway.start()
    # It has a title of its own only where setproctitle is installed.
    os.kill(gateway.process_of("gunicorn: master", "-m gunicorn"), signal.SIGKILL)
    assert gateway.wait() == KILLED
    assert f"ai-gateway: gunicorn ended with code {KILLED}; stopping" in gateway.said()
    assert gateway.processes() == {}


def test_children_die_with_a_supervisor_that_was_killed(gateway: Gateway) -> None:
    gateway.start({"AI_GATEWAY_SIMULATOR": "on", **TWO_WORKERS})
    assert len(gateway.processes()) == 7  # itself, Valkey, simulator, bookkeeper, master, 2 workers
    gateway.send(signal.SIGKILL)
    gateway.wait()
    killed_at = time.monotonic()
    wait_until(lambda: not gateway.processes(), "all children are gone")
    assert time.monotonic() - killed_at < 5


def test_start_after_a_kill_waits_for_what_is_left(gateway: Gateway) -> None:
    gateway.start()
    gateway.store().set("money", "12")
    gateway.send(signal.SIGKILL)
    gateway.wait()
    gateway.start()
    assert gateway.store().get("money") == "12"

    def stores() -> list[int]:
        # One that is writing its file anew has a child of the same name for a moment.
        return [pid for pid, command in gateway.processes().items() if "valkey-server" in command]

    wait_until(lambda: len(stores()) == 1, "one Valkey runs")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stop_is_clean_and_goes_from_gunicorn_to_valkey(gateway: Gateway, number: int) -> None:
    gateway.start(TWO_WORKERS)
    # The welcome comes with the first worker that answers; the second may still be starting.
    workers = gateway.answering(2).values()
    wait_until(lambda: "bookkeeper started" in gateway.notes(), "the bookkeeper runs")
    gateway.send(number)
    assert gateway.wait() == 0
    *streams, last = gateway.notes()[-3:]
    assert set(streams) == {f"streams ended {worker}" for worker in workers}
    assert last == "bookkeeper stopped, valkey answers True"
    assert gateway.said() == []
    assert gateway.processes() == {}


def test_second_interrupt_hurries_the_stop(gateway: Gateway) -> None:
    gateway.start({"STANDIN_BOOKKEEPER_STAYS": "1"})
    gateway.send(signal.SIGINT)
    wait_until(lambda: "bookkeeper stopped" in gateway.log.read_text(), "the bookkeeper is asked")
    gateway.send(signal.SIGINT)
    hurried_at = time.monotonic()
    assert gateway.wait() == 0
    assert time.monotonic() - hurried_at < 5
    assert gateway.said() == ["ai-gateway: bookkeeper did not stop in time and is killed"]
    assert gateway.processes() == {}


def test_supervisor_loads_no_application(gateway: Gateway) -> None:
    gateway.start()
    assert gateway.process is not None
    mapped = Path(f"/proc/{gateway.process.pid}/maps").read_text()
    assert "greenlet" not in mapped
    assert "sqlalchemy" not in mapped

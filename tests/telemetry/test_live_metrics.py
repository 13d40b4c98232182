"""`/metrics` of a whole gateway with two workers: exact, bounded, and right when workers die."""

import http.client
import random
import string
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import pytest

from tests.e2e.caller import DIALECTS, Caller, request
from tests.e2e.processes import kill, workers
from tests.running import RunningGateway, wait_for
from tests.telemetry.scrapes import samples_of, series

pytestmark = pytest.mark.long

CALLS = 40
KILLS = 3
STRANGE_REQUESTS = 200


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """With no other caller than this file."""
    gateway = RunningGateway(tmp_path_factory.mktemp("metrics"))
    gateway.start()
    yield gateway
    gateway.end()


@pytest.fixture(scope="module")
def caller(running: RunningGateway) -> Caller:
    return Caller(running, running.make_key())


def scrape(gateway: RunningGateway) -> str:
    return request(gateway, "GET", "/metrics").body.decode()


def shows(gateway: RunningGateway, name: str) -> bool:
    return bool(samples_of(scrape(gateway), name))


def total(text: str, name: str) -> float:
    return sum(samples_of(text, name).values())


def send(caller: Caller, calls: int) -> None:
    """Call in both dialects, streamed and not; each on a connection of its own."""
    with ThreadPoolExecutor(8) as pool:
        for number in range(calls):
            dialect = DIALECTS[number % 3 == 0]
            pool.submit(caller.ask, dialect, f"[[tokens={number}]]", stream=number % 2 == 0)


def strange(random_text: random.Random) -> tuple[str, str, bytes]:
    """A request that nobody foresaw, within what HTTP allows."""
    word = "".join(random_text.choices(string.ascii_letters, k=12))
    method = random_text.choice(["GET", "POST", "PUT", word.upper()])
    path = random_text.choice(
        [f"/v1/{word}", "/v1/chat/completions", f"/{word}/{word}", "/v1/messages"]
    )
    return method, path, f'{{"model": "{word}", "messages": []}}'.encode()


def test_sum_over_the_workers_is_that_of_the_ledger(
    running: RunningGateway, caller: Caller
) -> None:
    send(caller, CALLS)
    assert min(files_used(running)) > 0
    text = scrape(running)
    counted = total(text, "ai_gateway_request_cost_usd_count")
    query = (
        "SELECT count(DISTINCT request_id) AS calls, sum(cost_nano_usd) AS cost,"
        " sum(input_tokens + output_tokens) AS tokens FROM ledger_entry"
    )
    wait_for(lambda: running.rows(query)[0]["calls"] == counted, "all calls are booked")
    (booked,) = running.rows(query)
    for name in ("cost_usd_total", "settled_usd_total", "request_cost_usd_sum"):
        found = total(text, f"ai_gateway_{name}")
        assert found == pytest.approx(booked["cost"] / 1e9, rel=0, abs=1e-9) != 0
    assert total(text, "ai_gateway_tokens_total") == booked["tokens"]


def files_used(gateway: RunningGateway) -> list[int]:
    """How many calls of a model each worker has counted, by its file."""
    folder = gateway.data_dir / "metrics"
    return [file.read_bytes().count(b"gpt-4o-mini") for file in folder.glob("counter_*.db")]


def test_figures_of_the_bookkeeper_are_there(running: RunningGateway, caller: Caller) -> None:
    send(caller, 2)
    wait_for(
        lambda: total(scrape(running), "ai_gateway_ledger_writes_total") > 0, "it tells its writes"
    )
    for name in ("user_spend_usd", "budget_limit_usd", "ledger_drift_usd"):
        shown = partial(shows, running, f"ai_gateway_{name}")
        wait_for(shown, f"the bookkeeper has read {name}", 60)
    text = scrape(running)
    assert samples_of(text, "ai_gateway_ledger_drift_usd") == {(): 0}
    limits = samples_of(text, "ai_gateway_budget_limit_usd")
    assert limits["installation", "installation", "month"] == 1000
    assert samples_of(text, "ai_gateway_ledger_conflicts_total") == {(): 0}


@pytest.mark.prometheus
def test_scrape_passes_promtools_lint(running: RunningGateway, caller: Caller) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=scrape(running).encode(),
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr.decode()) == (0, "")


def test_strange_requests_do_not_move_the_number_of_series(
    running: RunningGateway, caller: Caller
) -> None:
    send(caller, 4)
    chance = random.Random(20261125)
    knock(running, caller, chance, 20)
    before = worker_series(scrape(running))
    knock(running, caller, chance, STRANGE_REQUESTS)
    assert worker_series(scrape(running)) == before


def knock(gateway: RunningGateway, caller: Caller, chance: random.Random, times: int) -> None:
    address = urlsplit(gateway.base_url).netloc
    for _ in range(times):
        method, path, body = strange(chance)
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request(method, path, body, caller.credential("openai"))
        connection.getresponse().read()
        connection.close()


def worker_series(text: str) -> set[str]:
    """Without the figures of users, budgets and tasks, which come and go, and what runs."""
    others = ("_user_", "_budget_", "_task_", "_build_info")
    return {name for name in series(text) if not any(word in name for word in others)}


def test_workers_that_die_leave_counters_files_and_series_as_they_were(
    running: RunningGateway, caller: Caller
) -> None:
    send(caller, 4)
    before = scrape(running)
    folder = running.data_dir / "metrics"
    files = sorted(file.name for file in folder.iterdir())
    for number in range(KILLS):
        starts = total(scrape(running), "ai_gateway_worker_starts_total")
        kill(workers(running)[number % 2])
        wait_for(partial(has_started, running, starts), "another worker is there", 60)
    after = scrape(running)
    assert worker_series(after) == worker_series(before)
    assert sorted(file.name for file in folder.iterdir()) == files
    for name in ("requests_total", "cost_usd_total", "request_duration_seconds_count"):
        assert total(after, f"ai_gateway_{name}") >= total(before, f"ai_gateway_{name}") > 0
    assert total(after, "ai_gateway_requests_in_flight") == 0
    started = samples_of(after, "ai_gateway_start_time_seconds")
    assert started == samples_of(before, "ai_gateway_start_time_seconds")


def has_started(gateway: RunningGateway, starts: float) -> bool:
    try:
        text = scrape(gateway)
    except OSError:
        return False
    has_two = total(text, "ai_gateway_workers") == 2
    return has_two and total(text, "ai_gateway_worker_starts_total") > starts

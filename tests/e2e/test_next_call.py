"""What staff change acts on the very next call, of every worker: limits of all kinds, and pauses.

Two applications on the same stores stand for two workers; commands of the first make the changes,
and each has seen the key before, so that what it remembers is old.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ai_gateway.factory import create_app
from ai_gateway.stores.tables import db
from simulator.testing import RunningSimulator, running_simulator
from tests.gateway_app import ANTHROPIC, MODELS, OPENAI, GatewayApp, credential, opened_app
from tests.redis_servers import RedisServer, running_redis

RESPONSES, COUNT, LIST = "/v1/responses", "/v1/messages/count_tokens", "/v1/models"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture(scope="module")
def first(server: RedisServer, simulator: RunningSimulator) -> Iterator[GatewayApp]:
    with opened_app(server, simulator) as opened:
        yield opened


@pytest.fixture(scope="module")
def second(
    first: GatewayApp, server: RedisServer, simulator: RunningSimulator
) -> Iterator[GatewayApp]:
    environment = {
        "AI_GATEWAY_DATA_DIR": str(first.data_dir),
        "REDIS_URL": server.url,
        "SECRET_KEY": "4f6d2a9c81e35b70d1c2",
        "AI_GATEWAY_KEY_PEPPER": "90b1e7d5c3a8f2461e0f",
        "AI_GATEWAY_SIMULATOR": "on",
        "AI_GATEWAY_SIMULATOR_URL": simulator.url,
    }
    other = GatewayApp(create_app(environment), first.store, first.data_dir)
    yield other
    other.services.proxy._ending.open_calls._stop.set()
    other.services.health._published._client.close()
    with other.app.app_context():
        db.engine.dispose()


@dataclass(frozen=True)
class Caller:
    """A user with a key that both workers know."""

    name: str
    key: str

    @property
    def key_id(self) -> str:
        return self.key.split("_")[1]


@pytest.fixture
def caller(first: GatewayApp, second: GatewayApp) -> Caller:
    name = first.make_user()
    key = first.make_key(name)
    assert [worker.call(key).status_code for worker in (first, second)] == [200, 200]
    return Caller(name, key)


def do(app: GatewayApp, *command: str) -> str:
    done = app.flask(*command)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


Named = Callable[[Caller], tuple[str, ...]]
SUBJECTS: dict[str, Named] = {
    "user": lambda caller: ("user", caller.name),
    "key": lambda caller: ("key", caller.key_id),
    "default": lambda _: ("users",),
    "installation": lambda _: ("installation",),
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_a_limit_acts_on_the_next_call_and_so_does_taking_it_back(
    first: GatewayApp, second: GatewayApp, caller: Caller, subject: Named
) -> None:
    named = subject(caller)
    do(first, "limit", "set", *named, "--monthly", "0")
    refused = second.call(caller.key)
    assert (refused.status_code, first.call(caller.key).status_code) == (429, 429)
    assert "monthly budget" in refused.get_json()["error"]["message"]
    do(first, "limit", "set", *named, "--monthly", "inherit")
    assert [worker.call(caller.key).status_code for worker in (second, first)] == [200, 200]


def test_inherit_none_and_nothing_are_told_apart(
    first: GatewayApp, second: GatewayApp, caller: Caller
) -> None:
    do(first, "limit", "set", "users", "--daily", "0")
    try:
        assert second.call(caller.key).status_code == 429
        do(first, "limit", "set", "user", caller.name, "--daily", "none")
        assert second.call(caller.key).status_code == 200
        do(first, "limit", "set", "user", caller.name, "--daily", "0.5")
        assert second.call(caller.key).status_code == 200
        do(first, "limit", "set", "user", caller.name, "--daily", "inherit")
        assert second.call(caller.key).status_code == 429
        shown = do(first, "limit", "show", "user", caller.name)
        assert "day\t0.00\tinherited from the default of users" in shown
        assert "month\t1000.00\tinherited from the environment" in shown
        assert "The daily limit of the user decides: 0.00 left." in shown
    finally:
        do(first, "limit", "set", "users", "--daily", "inherit")


def test_a_limit_that_only_warns_lets_calls_pass_and_shows(
    first: GatewayApp, second: GatewayApp, caller: Caller
) -> None:
    do(first, "limit", "set", "user", caller.name, "--daily", "0", "--warn-only")
    assert second.call(caller.key).status_code == 200
    told = second.client.get(
        "/api/v1/ai/analytics/user/spend-limit/", headers=credential(caller.key)
    ).get_json()
    assert (told["within_limits"], told["blocked"], told["daily_limit"]) == (False, False, 0)


PAUSES: dict[str, tuple[Named, int, str]] = {
    "user": (lambda caller: ("--user", caller.name), 403, "user_paused"),
    "provider": (lambda _: ("--provider", "openai"), 503, "calls_paused"),
    "everything": (lambda _: ("--everything",), 503, "calls_paused"),
}


@pytest.mark.parametrize("case", PAUSES.values(), ids=PAUSES)
def test_a_pause_refuses_the_next_call_with_its_reason_until_it_is_lifted(
    first: GatewayApp,
    second: GatewayApp,
    caller: Caller,
    case: tuple[Named, int, str],
) -> None:
    target, status, code = case
    named = target(caller)
    do(first, "pause", "set", *named, "--reason", "Under repair.")
    try:
        for worker in (second, first, second):
            refused = worker.call(caller.key, stream=True)
            assert refused.status_code == status
            assert refused.headers["x-should-retry"] == "false"
            error = refused.get_json()["error"]
            assert error["code"] == code
            assert error["message"].endswith("Reason: Under repair.")
        assert "Under repair." in do(first, "pause", "list")
    finally:
        do(first, "pause", "lift", *named)
    assert [worker.call(caller.key).status_code for worker in (second, first)] == [200, 200]
    assert first.flask("pause", "lift", *named).exit_code == 1


def test_a_pause_holds_for_what_makes_no_hold_too(
    first: GatewayApp, second: GatewayApp, caller: Caller
) -> None:
    stored = second.client.post(
        RESPONSES,
        json={"model": MODELS[OPENAI], "input": "Hello", "max_output_tokens": 50},
        headers=credential(caller.key),
    )
    response_id = stored.get_json()["id"]

    def statuses() -> tuple[int, ...]:
        headers = credential(caller.key)
        asked = {"model": MODELS[ANTHROPIC], "messages": [{"role": "user", "content": "Hi"}]}
        return (
            second.client.get(LIST, headers=headers).status_code,
            second.client.get(f"{RESPONSES}/{response_id}", headers=headers).status_code,
            second.client.post(
                COUNT, json=asked, headers=credential(caller.key, ANTHROPIC)
            ).status_code,
        )

    assert statuses() == (200, 200, 200)
    expected = {
        ("--provider", "openai"): (200, 503, 200),
        ("--provider", "anthropic"): (200, 200, 503),
        ("--user", caller.name): (403, 403, 403),
        ("--everything",): (503, 503, 503),
    }
    for named, while_paused in expected.items():
        do(first, "pause", "set", *named, "--reason", "Under repair.")
        assert statuses() == while_paused
        do(first, "pause", "lift", *named)
        assert statuses() == (200, 200, 200)


def test_who_is_paused_still_sees_own_figures(
    first: GatewayApp, second: GatewayApp, caller: Caller
) -> None:
    do(first, "pause", "set", "--user", caller.name, "--reason", "Under repair.")
    answer = second.client.get("/api/v1/ai/analytics/user/", headers=credential(caller.key))
    assert (answer.status_code, answer.get_json()["total_requests"]) == (200, 0)
    do(first, "pause", "lift", "--user", caller.name)


def test_pauses_and_limits_outlive_a_redis_that_lost_everything(
    first: GatewayApp, second: GatewayApp, caller: Caller
) -> None:
    other = first.make_key()
    do(first, "limit", "set", "users", "--daily", "0")
    do(first, "pause", "set", "--user", caller.name, "--reason", "Under repair.")
    try:
        first.store.client.flushall()
        assert second.call(caller.key).status_code == 503
        first.open()
        assert second.call(caller.key).status_code == 403
        assert second.call(other).status_code == 429
    finally:
        do(first, "limit", "set", "users", "--daily", "inherit")
        do(first, "pause", "lift", "--user", caller.name)
    assert second.call(caller.key).status_code == 200


def test_a_pause_is_counted_and_kept_as_a_refusal(
    first: GatewayApp, second: GatewayApp, caller: Caller
) -> None:
    do(first, "pause", "set", "--user", caller.name, "--reason", "Under repair.")
    second.call(caller.key)
    do(first, "pause", "lift", "--user", caller.name)
    exposition = second.client.get("/metrics").text
    (line,) = [
        line
        for line in exposition.splitlines()
        if line.startswith('ai_gateway_auth_failures_total{reason="paused"}')
    ]
    assert float(line.split()[-1]) >= 1


@pytest.mark.parametrize(
    "command",
    [
        ("pause", "set", "--reason", "x"),
        ("pause", "set", "--everything", "--user", "nobody", "--reason", "x"),
        ("pause", "set", "--everything", "--reason", " "),
        ("pause", "set", "--everything", "--reason", "x" * 201),
        ("pause", "set", "--provider", "acme", "--reason", "x"),
        ("pause", "set", "--user", "nobody", "--reason", "x"),
        ("limit", "set", "installation", "--daily", "5"),
        ("limit", "set", "users"),
        ("limit", "set", "user", "--daily", "5"),
        ("limit", "set", "users", "nobody", "--daily", "5"),
        ("limit", "show", "key", "k0000404"),
    ],
    ids=" ".join,
)
def test_a_command_that_makes_no_sense_changes_nothing(
    first: GatewayApp, caller: Caller, command: tuple[str, ...]
) -> None:
    done = first.flask(*command)
    assert done.exit_code != 0
    assert "Error" in done.output
    assert "Traceback" not in done.output
    assert do(first, "pause", "list") == ""
    assert first.call(caller.key).status_code == 200

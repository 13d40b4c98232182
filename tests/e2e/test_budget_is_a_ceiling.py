"""A budget is a ceiling, not a hint, however many calls run at once."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.caller import DIALECTS, Answer, Caller, Dialect, left_open, usd
from tests.e2e.operating import Operator
from tests.running import RunningGateway

FIGURES = re.compile(
    r"the (?P<budget>\S+ \S+) budget has no room for this call\. Limit \$(?P<limit>[\d.]+), "
    r"spent \$(?P<spent>[\d.]+), held by running calls \$(?P<held>[\d.]+), "
    r"needed at most \$(?P<needed>[\d.]+)\. It resets at (?P<resets_at>\S+)\.$"
)


def refusal(answer: Answer, dialect: Dialect) -> dict[str, str]:
    """The figures of a refusal, which is told so that no SDK tries again."""
    assert (answer.status, answer.headers["x-should-retry"]) == (429, "false"), answer
    error = answer.error(dialect)
    assert error["type"] == ("insufficient_quota" if dialect == "openai" else "rate_limit_error")
    figures = FIGURES.search(error["message"])
    assert figures, error
    return figures.groupdict()


def nano(amount_usd: str) -> int:
    return int(Decimal(amount_usd) * 10**9)


@contextmanager
def watching(caller: Caller) -> Iterator[list[tuple[int, int]]]:
    """What is spent and held of the day's budget, again and again until the block ends."""
    seen: list[tuple[int, int]] = []
    has_ended = threading.Event()
    name = f"{{agw}}:account:user:{caller.user_id}:{datetime.now(UTC):%Y-%m-%d}"

    def watch() -> None:
        with caller.gateway.store() as store:
            while not has_ended.wait(0.002):
                spent, held = (int(value or 0) for value in store.hmget(name, "spent", "held"))
                seen.append((spent, held))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        has_ended.set()
        watcher.join()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_calls_at_once_do_not_pass_the_limit(operator: Operator, dialect: Dialect) -> None:
    caller = operator.new_caller(daily="0")
    request: dict[str, Any] = {"prompt": "[[delay=600]] [[tokens=90]]", "max_tokens": 100}
    # "true" is a byte shorter than "false", so that streamed calls hold a little less.
    needed = nano(refusal(caller.ask(dialect, stream=False, **request), dialect)["needed"])
    limit = 20 * needed + 5
    operator.flask("user", "limit", caller.name, "--daily", usd(limit))

    with watching(caller) as seen, ThreadPoolExecutor(200) as pool:
        calls = [
            pool.submit(caller.ask, dialect, stream=number % 2 == 0, **request)
            for number in range(200)
        ]
        answers = [call.result() for call in calls]

    assert max(spent + held for spent, held in seen) <= limit
    assert max(held for _, held in seen) > 19 * needed
    statuses = Counter(answer.status for answer in answers)
    assert statuses.keys() == {200, 429}
    assert statuses[200] >= 20
    answered = [answer.request_id for answer in answers if answer.status == 200]
    entries = caller.booked_once(len(answered))
    assert sorted(entry["request_id"] for entry in entries) == sorted(answered)
    assert caller.billed() == caller.account()[0] <= limit
    assert not any(caller.has_lease(request_id) for request_id in answered)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    for answer in answers:
        if answer.status == 429:
            figures = refusal(answer, dialect)
            assert (figures["budget"], nano(figures["limit"])) == ("user's daily", limit)
            room = limit - nano(figures["spent"]) - nano(figures["held"])
            assert 0 <= room < nano(figures["needed"]) <= needed
            assert figures["resets_at"] == f"{tomorrow}T00:00:00Z"


@pytest.mark.parametrize(
    ("user_limits", "key_options", "budget"),
    [
        ({"daily": "0.0001"}, (), "user's daily"),
        ({"monthly": "0.0001"}, (), "user's monthly"),
        ({"daily": "5", "monthly": "0"}, (), "user's monthly"),
        ({}, ("--daily", "0.0001"), "key's daily"),
        ({}, ("--monthly", "0.0001"), "key's monthly"),
        ({"daily": "0"}, ("--daily", "0"), "user's daily"),
    ],
    ids=["user-day", "user-month", "user-month-0", "key-day", "key-month", "user-day-0"],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_budget_refuses(
    operator: Operator,
    dialect: Dialect,
    user_limits: dict[str, str],
    key_options: tuple[str, ...],
    budget: str,
) -> None:
    caller = operator.new_caller(*key_options, **user_limits)
    assert refusal(caller.ask(dialect, max_tokens=10_000), dialect)["budget"] == budget
    assert caller.simulated() == caller.gateway.ledger(caller.key) == []
    assert caller.account() == (0, 0)


def test_spend_so_far_counts_against_the_limit(operator: Operator) -> None:
    caller = operator.new_caller(daily="0.0005")
    answers: list[Answer] = []
    while not answers or answers[-1].status == 200:
        answers.append(caller.ask("openai", "[[tokens=100]]", max_tokens=100))
    figures = refusal(answers[-1], "openai")
    assert len(answers) > 3
    entries = caller.booked_once(len(answers) - 1)
    assert nano(figures["spent"]) == sum(entry["cost_nano_usd"] for entry in entries)
    assert (figures["held"], nano(figures["limit"])) == ("0.00", 500_000)


@pytest.mark.parametrize("choices", [1, 3])
def test_uncapped_call_is_lowered_to_what_is_affordable(operator: Operator, choices: int) -> None:
    caller = operator.new_caller(daily="0.004")
    answer = caller.ask("openai", "[[tokens=9]]", n=choices)
    cap = int(answer.headers["x-ai-gateway-max-tokens"])
    assert 256 <= cap * choices <= 4_000_000 // 600
    (call,) = caller.simulated()
    assert isinstance(call["request_body"], dict)
    assert call["request_body"]["max_completion_tokens"] == cap
    assert "max_tokens" not in call["request_body"]
    (entry,) = caller.booked_once(1)
    assert entry["held_nano_usd"] == 4_000_000


def test_lowered_cap_holds_a_talkative_model_below_the_limit(operator: Operator) -> None:
    caller = operator.new_caller(daily="0.001")
    answer = caller.ask("openai", "[[tokens=9999]]")
    (entry,) = caller.booked_once(1)
    assert entry["output_tokens"] == int(answer.headers["x-ai-gateway-max-tokens"])
    assert 900_000 < caller.account()[0] <= 1_000_000
    assert refusal(caller.ask("openai"), "openai")["budget"] == "user's daily"


def test_cap_of_the_client_is_not_touched(caller: Caller) -> None:
    answer = caller.ask("openai", "[[tokens=9999]]", max_tokens=55)
    assert "x-ai-gateway-max-tokens" not in answer.headers
    assert caller.booked_once(1)[0]["output_tokens"] == 55


@pytest.mark.parametrize("dialect", DIALECTS)
def test_changed_limit_acts_on_the_very_next_call(operator: Operator, dialect: Dialect) -> None:
    caller = operator.new_caller()
    for limit, status in (("0", 429), ("1", 200), ("0", 429), ("inherit", 200), ("none", 200)):
        operator.flask("user", "limit", caller.name, "--daily", limit)
        answers = [caller.ask(dialect, "[[tokens=1]]") for _ in range(6)]
        assert [answer.status for answer in answers] == [status] * 6


def test_revoked_key_is_refused_at_once_and_its_streams_are_ended(
    operator: Operator, gateway: RunningGateway
) -> None:
    caller = operator.new_caller()
    prompt = "[[tokens=3000]] [[pace=50]]"
    streams = {dialect: caller.stream(dialect, prompt, max_tokens=5000) for dialect in DIALECTS}
    with left_open(*streams.values()):
        for stream in streams.values():
            stream.read_until(b"Hello")
        operator.flask("key", "revoke", caller.key_id)
        for dialect in DIALECTS * 6:
            answer = caller.ask(dialect)
            assert (answer.status, answer.error(dialect)["message"].split(".")[0]) == (
                401,
                "Incorrect API key provided",
            )
        revoked_at = datetime.now(UTC)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda stream: stream.read_all(), streams.values()))
    assert (datetime.now(UTC) - revoked_at).total_seconds() < 13
    for dialect, stream in streams.items():
        assert not stream.is_broken
        last = stream.received.strip().splitlines()[-2:]
        assert b"the key was revoked" in last[1]
        assert (last[0] == b"event: error") == (dialect == "anthropic")
    for entry in caller.booked_once(2):
        assert (entry["outcome"], entry["confidence"]) == ("gateway_error", "counted")
        # One event for each word, and the simulator counts a word as a token.
        words = streams[DIALECTS[entry["provider"] == "anthropic"]].received.count(b'"delta":{')
        assert words / 2 < entry["output_tokens"] < words * 2

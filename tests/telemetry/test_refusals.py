"""The listener that keeps refused requests."""

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Event

from ai_gateway.domain.call import Operation, Outcome
from ai_gateway.domain.refusals import RefusedCall
from ai_gateway.errors import BudgetUnavailable, Refusal
from ai_gateway.telemetry.observer import LocalCall
from ai_gateway.telemetry.refusals import MOST_WAITING, RefusalLog, gathered

NOW = datetime(2026, 11, 25, 12, 10, tzinfo=UTC)
BUDGET = Refusal("user", "day", 100, 60, 30, 20, NOW)


class Shelf:
    """What was written, and whether it can be."""

    def __init__(self) -> None:
        self.calls: list[RefusedCall] = []
        self.is_away = False
        self.written = Event()

    def write(self, calls: Sequence[RefusedCall]) -> None:
        if self.is_away:
            raise BudgetUnavailable("timeout")
        self.calls += calls
        self.written.set()


def _refused(number: int = 1, *, user_id: int | None = 7, model: str = "gpt-4o") -> LocalCall:
    return LocalCall(
        f"r{number}",
        Operation.CHAT,
        Outcome.BUDGET_BLOCKED,
        "user_day",
        user_id=user_id,
        key_id="k1",
        model=model,
        budget=BUDGET,
    )


def test_a_refusal_is_written_by_itself_within_a_moment() -> None:
    shelf = Shelf()
    log = RefusalLog(shelf.write, lambda: NOW)
    log.answered_locally(_refused())
    assert shelf.written.wait(10)
    log.stop()
    (call,) = shelf.calls
    assert (call.at, call.request_id, call.user_id, call.budget) == (NOW, "r1", 7, BUDGET)


def test_answers_of_the_gateway_itself_are_no_refusals() -> None:
    shelf = Shelf()
    log = RefusalLog(shelf.write, lambda: NOW)
    for outcome in (Outcome.SUCCESS, Outcome.GATEWAY_ERROR):
        log.answered_locally(LocalCall("r1", Operation.MODELS, outcome, ""))
    log.stop()
    assert shelf.calls == []


def test_what_cannot_be_written_waits_and_the_oldest_fall_out() -> None:
    shelf = Shelf()
    shelf.is_away = True
    log = RefusalLog(shelf.write, lambda: NOW)
    for number in range(MOST_WAITING + 5):
        log.answered_locally(_refused(number))
    log.flush()
    shelf.is_away = False
    log.stop()
    assert [call.request_id for call in (shelf.calls[0], shelf.calls[-1])] == [
        "r5",
        f"r{MOST_WAITING + 4}",
    ]


def test_a_flood_of_strangers_is_one_entry_for_each_reason() -> None:
    shelf = Shelf()
    log = RefusalLog(shelf.write, lambda: NOW)
    for number in range(500):
        log.answered_locally(_refused(number, user_id=None))
    log.stop()
    assert sum(call.count for call in shelf.calls) == 500
    assert len(shelf.calls) < 5
    assert {call.request_id for call in shelf.calls} == {""}


def test_known_and_unknown_are_told_apart() -> None:
    calls = [
        RefusedCall(NOW, Outcome.AUTH_ERROR, reason, "chat", user_id=user_id)
        for reason, user_id in (("invalid", None), ("missing", None), ("forbidden", 7))
    ]
    found = gathered([*calls, calls[0]])
    assert [(call.reason, call.count) for call in found] == [
        ("forbidden", 1),
        ("invalid", 2),
        ("missing", 1),
    ]


def test_a_long_name_of_a_model_is_cut() -> None:
    shelf = Shelf()
    log = RefusalLog(shelf.write, lambda: NOW)
    log.answered_locally(_refused(model="m" * 5000))
    log.stop()
    assert shelf.calls[0].model == "m" * 160


def test_what_falls_out_is_counted_and_what_came_last_is_kept() -> None:
    shelf = Shelf()
    lost: list[int] = []
    log = RefusalLog(shelf.write, lambda: NOW, lost.append)

    def write_while_more_come(calls: Sequence[RefusedCall]) -> None:
        for number in range(MOST_WAITING):
            log.answered_locally(_refused(MOST_WAITING + number))
        shelf.is_away = True
        shelf.write(calls)

    log._write = write_while_more_come
    for number in range(MOST_WAITING):
        log.answered_locally(_refused(number))
    log.flush()
    assert sum(lost) == MOST_WAITING
    log.answered_locally(_refused(3 * MOST_WAITING))
    assert sum(lost) == MOST_WAITING + 1
    shelf.is_away, log._write = False, shelf.write
    log.stop()
    names = [call.request_id for call in shelf.calls]
    assert (names[0], names[-1]) == (f"r{MOST_WAITING + 1}", f"r{3 * MOST_WAITING}")

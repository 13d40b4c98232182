"""Listeners are told of everything, and one that fails harms nobody."""

import logging

import pytest

from ai_gateway.domain.call import Operation, Outcome
from ai_gateway.telemetry.observer import LocalCall, Observer, Observers, SettledCall
from tests.telemetry.facts import settled_call

LOCAL = LocalCall("req_1", Operation.CHAT, Outcome.CLIENT_ERROR, "InvalidRequest")
SETTLED = settled_call()


class Listening:
    def __init__(self) -> None:
        self.heard: list[LocalCall | SettledCall] = []

    def answered_locally(self, fact: LocalCall) -> None:
        self.heard.append(fact)

    def settled(self, fact: SettledCall) -> None:
        self.heard.append(fact)


class Failing:
    def answered_locally(self, fact: LocalCall) -> None:
        raise KeyError(fact.reason)

    def settled(self, fact: SettledCall) -> None:
        raise KeyError(fact.call.model)


def test_every_listener_is_told_in_order() -> None:
    first, second = Listening(), Listening()
    observers = Observers((first, second))
    observers.answered_locally(LOCAL)
    observers.settled(SETTLED)
    assert first.heard == second.heard == [LOCAL, SETTLED]


def test_listener_that_fails_is_logged_and_the_others_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before, after = Listening(), Listening()
    listeners: tuple[Observer, ...] = (before, Failing(), after)
    observers = Observers(listeners)
    observers.answered_locally(LOCAL)
    observers.settled(SETTLED)
    assert before.heard == after.heard == [LOCAL, SETTLED]
    failures = [r for r in caplog.records if r.message == "observer_failed"]
    assert [(r.levelno, r.exc_info is not None) for r in failures] == [(logging.ERROR, True)] * 2


def test_nobody_need_listen() -> None:
    Observers(()).settled(SETTLED)
    Observers(()).answered_locally(LOCAL)

"""The log of calls, without a server."""

from simulator.calls import Call, CallLog


def call(body: bytes = b"") -> Call:
    return Call(request_id="req_1", method="POST", path="/", headers={}, body=body)


def test_only_the_latest_ten_thousand_calls_are_kept() -> None:
    log = CallLog()
    for number in range(10_005):
        log.add(call(str(number).encode()))
    assert len(log) == 10_000
    assert log.facts()[0]["request_body"] == 5


def test_large_bodies_push_older_calls_out() -> None:
    log = CallLog()
    for _ in range(5):
        log.add(call(b" " * (16 * 1024 * 1024)))
    assert len(log) == 4
    log.clear()
    assert len(log) == 0


def test_waiting_ends_when_every_call_has_ended() -> None:
    log = CallLog()
    running = call()
    log.add(running)

    def end_it(_seconds: float) -> None:
        running.has_ended = True

    assert log.wait(60, end_it)


def test_waiting_ends_when_the_time_is_up() -> None:
    log = CallLog()
    log.add(call())
    assert not log.wait(0, lambda _seconds: None)

"""Whatever LangSmith does, every call that was offered is sent, dropped, lost or held: exactly."""

import statistics
from dataclasses import replace
from time import monotonic, perf_counter

import pytest
from prometheus_client import CollectorRegistry

from ai_gateway.domain.call import Outcome
from ai_gateway.domain.clock import system_clock
from ai_gateway.telemetry.metrics_export import ExportMetrics, Loss
from ai_gateway.telemetry.observer import SettledCall, Story
from ai_gateway.telemetry.tracing import Tracing
from ai_gateway.telemetry.tracing_access import Access
from ai_gateway.telemetry.tracing_langsmith import LangSmithSink
from ai_gateway.telemetry.tracing_queue import Bounds, TraceQueue
from ai_gateway.telemetry.tracing_sender import SenderPace, SenderReport, TraceSender
from tests.langsmith.stand_in import KEY, StandIn, running
from tests.running import wait_for
from tests.telemetry.facts import settled_call

QUICK = SenderPace(
    gather=0.02, first_wait=0.02, longest_wait=0.1, give_up=0.4, refused=0.2, drain=1.0, report=0.1
)


class Office:
    """Queue, sender and listener of one worker, with the real SDK."""

    def __init__(
        self,
        stand_in: StandIn,
        *,
        key: str = KEY,
        sample: float = 1.0,
        pace: SenderPace = QUICK,
        bounds: Bounds | None = None,
    ) -> None:
        self.stand_in = stand_in
        self.registry = CollectorRegistry()
        self.queue = TraceQueue(ExportMetrics(self.registry), bounds)
        access = Access(stand_in.url, key, None, "tests")
        self.reports: list[SenderReport] = []
        self.sender = TraceSender(
            self.queue,
            lambda: LangSmithSink(access),
            self.reports.append,
            clock=system_clock,
            pace=pace,
        )
        self.tracing = Tracing(self.queue, self.sender, sample)
        self._number = 0

    def call(self, number: int = 1, story: Story | None = None, **facts: object) -> None:
        """Finish so many calls."""
        for _ in range(number):
            self._number += 1
            fact: SettledCall = settled_call(**facts)  # type: ignore[arg-type]
            call = replace(fact.call, request_id=f"req_{self._number}")
            self.tracing.settled(replace(fact, call=call, story=story or fact.story))

    def settle(self) -> None:
        """Wait until nothing is held any more."""
        wait_for(lambda: self.queue.counts().held == 0, "nothing is held", 20)

    def check(self) -> None:
        """Everything offered is somewhere, once; what was sent is what was stored."""
        counts = self.queue.counts()
        assert counts.offered == self._number
        ends = counts.sampled_out + counts.sent + counts.dropped + counts.held
        assert counts.offered == ends
        assert counts.sent == len(self.stand_in.runs)
        assert self.metric("offered_total") == counts.offered
        assert self.metric("sent_total") == counts.sent
        dropped = sum(self.metric("dropped_total", reason=loss) for loss in Loss)
        assert dropped == counts.dropped

    def metric(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(
            f"ai_gateway_export_{name}", {"sink": "langsmith", **labels}
        )
        assert value is not None
        return value


def test_a_healthy_langsmith_gets_every_call_once(stand_in: StandIn) -> None:
    office = Office(stand_in)
    office.call(130)
    office.settle()
    office.check()
    assert office.queue.counts().sent == 130
    assert set(stand_in.requests) == {"/runs/multipart"}
    office.sender.stop()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusing_langsmith_is_left_alone_for_a_while(stand_in: StandIn, status: int) -> None:
    stand_in.answer(status=status)
    office = Office(stand_in, pace=replace(QUICK, refused=30))
    office.call(3)
    office.settle()
    office.call(5)
    assert office.queue.losses() == {Loss.AUTH: 3}
    assert stand_in.requests["/runs/multipart"] == 1
    office.sender.stop()
    office.check()
    assert office.queue.losses() == {Loss.AUTH: 3, Loss.EXIT: 5}


def test_a_wrong_key_is_a_loss_by_its_name(stand_in: StandIn) -> None:
    office = Office(stand_in, key="lsv2_sk_of_somebody_else")
    office.call(2)
    office.settle()
    office.check()
    assert office.queue.losses() == {Loss.AUTH: 2}
    assert office.sender.state().error == "LangSmithAuthError"
    office.sender.stop()


@pytest.mark.parametrize(
    "script",
    [
        {"status": 429, "retry_after": "0"},
        {"status": 429},
        {"status": 503},
        {"status": 500},
        {"mode": "drop"},
    ],
    ids=str,
)
def test_nothing_is_lost_in_a_trouble_that_ends(
    stand_in: StandIn, script: dict[str, object]
) -> None:
    stand_in.answer(**script)
    office = Office(stand_in, pace=replace(QUICK, give_up=60))
    office.call(25)
    wait_for(lambda: office.sender.state().error is not None, "the trouble is noticed", 20)
    stand_in.answer()
    office.settle()
    office.check()
    assert office.queue.counts().sent == 25
    assert office.sender.state().error is None
    office.sender.stop()


def test_a_backlog_goes_in_few_requests(stand_in: StandIn) -> None:
    stand_in.answer(status=503)
    office = Office(stand_in, pace=replace(QUICK, give_up=60))
    office.call()
    wait_for(lambda: office.sender.state().error is not None, "the sender waits", 20)
    office.call(250)
    stand_in.answer()
    office.settle()
    office.check()
    # The one that had to wait, then all others: a hundred at a time.
    assert len(stand_in.bodies) == 4
    office.sender.stop()


def test_large_bodies_go_in_short_batches_and_at_once(stand_in: StandIn) -> None:
    office = Office(stand_in, pace=replace(QUICK, gather=600))
    office.call(8, Story(request=b"q" * 150_000, answer=b"a" * 150_000))
    office.settle()
    office.check()
    assert len(stand_in.bodies) == 2
    office.sender.stop()


def test_what_is_told_is_how_it_stands_after_a_batch(stand_in: StandIn) -> None:
    office = Office(stand_in)
    office.call(3)
    wait_for(lambda: office.reports and office.reports[-1].counts.sent == 3, "it is told", 20)
    assert office.reports[-1].counts.held == 0
    assert office.reports[-1].sent_at is not None
    stand_in.answer(status=503)
    office.call()
    # At each try, or the worker would pass for one that is gone.
    wait_for(lambda: sum(one.error is not None for one in office.reports) >= 2, "trouble", 20)
    stand_in.answer()
    wait_for(lambda: office.reports[-1].error is None, "its end is told", 20)
    office.sender.stop()


def test_a_trouble_that_stays_is_given_up(stand_in: StandIn) -> None:
    stand_in.answer(status=503)
    office = Office(stand_in)
    office.call(4)
    office.settle()
    office.check()
    assert office.queue.losses() == {Loss.GAVE_UP: 4}
    office.sender.stop()


def test_a_bad_run_takes_no_other_with_it(stand_in: StandIn) -> None:
    stand_in.answer(bad_model="cursed")
    office = Office(stand_in)
    office.call(7)
    office.call(1, model="cursed")
    office.call(7)
    office.settle()
    office.check()
    assert office.queue.losses() == {Loss.REJECTED: 1}
    office.sender.stop()


def test_runs_that_are_too_large_are_counted_apart(stand_in: StandIn) -> None:
    stand_in.answer(status=413)
    office = Office(stand_in)
    office.call(3)
    office.settle()
    office.check()
    assert office.queue.losses() == {Loss.TOO_LARGE: 3}
    office.sender.stop()


def test_a_dead_langsmith_comes_back_at_the_same_address() -> None:
    with running() as first:
        pass
    office = Office(first, pace=replace(QUICK, give_up=60))
    office.call(30)
    wait_for(lambda: office.sender.state().error is not None, "the trouble is noticed", 20)
    with running(first.port, first):
        office.settle()
        office.check()
        assert office.queue.counts().sent == 30
        office.sender.stop()


def test_a_hung_langsmith_costs_calls_nothing_and_memory_its_bound(stand_in: StandIn) -> None:
    stand_in.answer(mode="hang")
    bounds = Bounds(calls=100_000, bytes=2**20)
    office = Office(stand_in, bounds=bounds)
    office.call()
    wait_for(lambda: stand_in.requests["/runs/multipart"], "the sender hangs", 20)
    bodies = Story(request=b"q" * 4_000, answer=b"a" * 2_000)
    took = []
    for _ in range(2_000):
        began = perf_counter()
        office.call(1, bodies)
        took.append(perf_counter() - began)
    # Making the facts of a test call is in it too.
    assert statistics.median(took) < 0.001
    counts = office.queue.counts()
    assert 0 < counts.held * 6_000 <= bounds.bytes
    assert office.queue.losses() == {Loss.QUEUE_FULL: 2_001 - counts.held}
    began = monotonic()
    office.sender.stop()
    assert monotonic() - began < QUICK.drain + 1
    office.check()
    at_the_end = office.queue.counts()
    assert (at_the_end.held, at_the_end.dropped) == (0, 2_001)
    stand_in.answer()
    assert office.sender._thread is not None
    office.sender._thread.join(20)
    # What became of the batch after it was counted as lost is not counted again.
    assert office.queue.counts() == at_the_end


def test_what_is_queued_at_a_stop_is_sent_first(stand_in: StandIn) -> None:
    office = Office(stand_in, pace=replace(QUICK, gather=30, drain=20))
    office.call(5)
    office.sender.stop()
    office.check()
    assert office.queue.counts().sent == 5
    office.call(2)
    office.check()
    assert office.queue.losses()[Loss.EXIT] == 2


def test_the_sample_leaves_out_calls_but_no_error(stand_in: StandIn) -> None:
    office = Office(stand_in, sample=0.25)
    office.call(400)
    office.call(10, outcome=Outcome.UPSTREAM_ERROR)
    office.call(10, outcome=Outcome.CANCELLED)
    office.settle()
    office.check()
    counts = office.queue.counts()
    assert 50 < counts.sent - 20 < 150
    assert sum("error" in run for run in stand_in.runs.values()) == 20
    assert office.metric("sampled_out_total") == counts.sampled_out == 420 - counts.sent
    office.sender.stop()


def test_variables_of_the_sdk_change_nothing(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "LANGSMITH_TRACING_SAMPLING_RATE": "0",
        "LANGSMITH_HIDE_METADATA": "true",
        "LANGSMITH_RUNS_ENDPOINTS": '{"http://127.0.0.1:9": "other"}',
        "LANGSMITH_SECRET_OF_MINE": "canary-in-the-environment",
    }.items():
        monkeypatch.setenv(name, value)
    office = Office(stand_in)
    office.call(3)
    office.settle()
    office.check()
    (first, *_) = stand_in.runs.values()
    assert first["extra"]["metadata"]["user_id"] == "7"
    assert not any(b"canary" in body for body in stand_in.bodies)
    office.sender.stop()


def test_the_key_is_in_no_log(stand_in: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    stand_in.answer(mode="drop")
    office = Office(stand_in)
    office.call(2)
    office.settle()
    office.sender.stop()
    assert "traces_not_sent" in caplog.text
    assert KEY[:5] not in caplog.text

"""The story of one call: admit -> dispatch -> settle.

Every request ends in exactly one outcome, told to the observers; every admitted call is settled
exactly once, whichever way it ends.
"""

from time import perf_counter
from typing import NoReturn

from ai_gateway.domain.call import AskedCall, DialectName, Operation, Outcome
from ai_gateway.domain.exchange import Answer, IncomingCall
from ai_gateway.domain.money import usd_text
from ai_gateway.errors import (
    CallEnded,
    GatewayError,
    GatewayUnavailable,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ai_gateway.providers.transport import UpstreamResponse
from ai_gateway.services.admission import Admission, Admitted
from ai_gateway.services.callers import Callers
from ai_gateway.services.dispatch import Dispatch
from ai_gateway.services.models import ListedModel
from ai_gateway.services.open_calls import EndReason, OpenCall
from ai_gateway.services.outcomes import NOBODY, Asker, refused_call, upstream_outcome
from ai_gateway.services.relay import CallEnding, RelayedStream, Upstream
from ai_gateway.services.settlement import NOTHING_BILLED, NOTHING_TOLD, Timing
from ai_gateway.services.transcript import Transcript
from ai_gateway.telemetry.observer import LocalCall, Observers

COST_HEADER = "x-ai-gateway-cost-usd"
MAX_TOKENS_HEADER = "x-ai-gateway-max-tokens"


class Proxy:
    """Conducts calls; the only one that knows the order of the steps."""

    def __init__(
        self,
        callers: Callers,
        admission: Admission,
        dispatch: Dispatch,
        *,
        ending: CallEnding,
        observers: Observers,
    ) -> None:
        self._keys = callers.keys
        self._directory = callers.directory
        self._admission = admission
        self._dispatch = dispatch
        self._ending = ending
        self._observers = observers

    def call(self, incoming: IncomingCall) -> Answer:
        """Answer one metered call; raises a `GatewayError` where there is no answer to give."""
        timing = Timing(perf_counter())
        asked, admitted = self._admit(incoming)
        timing = timing.sent_now()
        transcript = self._ending.transcript(incoming.body)
        response = self._send(admitted, asked, incoming, timing, transcript)
        timing = timing.answered_now()
        if asked.stream:
            return self._streamed(admitted, asked, response, timing, transcript)
        return self._whole(admitted, response, timing, transcript)

    def models(
        self, request_id: str, credential: str | None, dialect: DialectName
    ) -> list[ListedModel]:
        """What a key may call in a dialect; free, so that nothing is held for it."""
        try:
            key = self._keys.identify(credential, fresh=True)
            self._keys.check_pauses(key)
        except GatewayError as error:
            self.refuse(request_id, Operation.MODELS, error)
            raise
        fact = LocalCall(request_id, Operation.MODELS, Outcome.SUCCESS, reason="")
        self._observers.answered_locally(fact)
        return self._directory.listing(dialect, key.record)

    def refuse(
        self, request_id: str, operation: Operation, error: GatewayError, who: Asker = NOBODY
    ) -> None:
        """Tell the observers of a request that goes no further."""
        self._observers.answered_locally(refused_call(request_id, operation, error, who))

    def _admit(self, incoming: IncomingCall) -> tuple[AskedCall, Admitted]:
        key = asked = None
        try:
            key = self._keys.identify(incoming.credential)
            dialect = self._dispatch.dialect(incoming.dialect)
            asked = dialect.read_request(incoming.operation, incoming.body, incoming.address)
            self._ending.stored.check_previous(asked, incoming.dialect, key.record)
            return asked, self._admission.admit(key, incoming, asked)
        except GatewayError as error:
            if isinstance(error, GatewayUnavailable):
                # What was in doubt is taken back as soon as Redis answers again.
                self._ending.open_calls.start()
            who = Asker(key.record if key else None, asked)
            self.refuse(incoming.request_id, incoming.operation, error, who)
            raise

    def _send(
        self,
        admitted: Admitted,
        asked: AskedCall,
        incoming: IncomingCall,
        timing: Timing,
        transcript: Transcript,
    ) -> UpstreamResponse:
        # A call that waits for its first byte is alive too: its lease has to be renewed.
        waiting = OpenCall(admitted, lambda: 0, lambda _: None)
        self._ending.open_calls.enter(waiting)
        try:
            return self._dispatch.send(admitted, asked, incoming.headers)
        except UpstreamError as error:
            self._failed(admitted, error, timing, transcript)
        finally:
            self._ending.open_calls.leave(admitted.call.request_id)

    def _whole(
        self,
        admitted: Admitted,
        response: UpstreamResponse,
        timing: Timing,
        transcript: Transcript,
    ) -> Answer:
        ended: list[EndReason] = []

        def end(reason: EndReason) -> None:
            ended.append(reason)
            response.interrupt()

        self._ending.open_calls.enter(OpenCall(admitted, lambda: 0, end))
        try:
            body = response.read_all()
        except UpstreamError as error:
            ours = CallEnded(admitted.call.provider, ended[0]) if ended else None
            self._failed(admitted, ours or error, timing, transcript)
        finally:
            response.close()
            self._ending.open_calls.leave(admitted.call.request_id)
        reading = self._dispatch.read_answer(admitted, body)
        outcome = Outcome.UPSTREAM_ERROR if reading.failed else Outcome.SUCCESS
        transcript.add(body)
        cost = self._ending.settlement.settle(
            admitted, reading, outcome=outcome, timing=timing, story=transcript.story()
        )
        self._ending.stored.remember(admitted, reading.stored_id)
        if not reading.is_readable:
            raise UpstreamUnavailable(admitted.call.provider, was_sent=True, is_invalid=True)
        return Answer(200, _headers(admitted, response) | {COST_HEADER: usd_text(cost)}, body)

    def _streamed(
        self,
        admitted: Admitted,
        asked: AskedCall,
        response: UpstreamResponse,
        timing: Timing,
        transcript: Transcript,
    ) -> Answer:
        reader = self._dispatch.stream_reader(admitted, asked)
        stream = RelayedStream(
            admitted, Upstream(response, reader), transcript, timing=timing, ending=self._ending
        )
        return Answer(200, _headers(admitted, response), stream)

    def _failed(
        self, admitted: Admitted, error: UpstreamError, timing: Timing, transcript: Transcript
    ) -> NoReturn:
        reading = NOTHING_TOLD if _may_be_billed(error) else NOTHING_BILLED
        outcome = upstream_outcome(error)
        self._ending.settlement.settle(
            admitted, reading, outcome=outcome, timing=timing, story=transcript.story(error)
        )
        raise error


def _headers(admitted: Admitted, response: UpstreamResponse) -> dict[str, str]:
    headers = {"content-type": response.headers.get("content-type", "application/json")}
    if admitted.call.output_cap is not None:
        headers[MAX_TOKENS_HEADER] = str(admitted.call.output_cap)
    return headers


def _may_be_billed(error: UpstreamError) -> bool:
    """Whether the provider may have done the work: it took the call and refused it by no word."""
    if isinstance(error, UpstreamUnavailable):
        return error.was_sent and error.status is None
    return isinstance(error, UpstreamTimeout | CallEnded)

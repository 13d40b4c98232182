"""Requests that go on to a provider and cost nothing: no hold, no entry in the ledger.

The key and the pauses are checked afresh each time, since no reserve finds out that they changed.
"""

from collections.abc import Callable

from ai_gateway.domain.call import Outcome, StoredAction
from ai_gateway.domain.exchange import Answer, IncomingCall
from ai_gateway.errors import GatewayError, InvalidRequest
from ai_gateway.providers.dialect import UpstreamRequest
from ai_gateway.providers.openai_responses import stored_request
from ai_gateway.services.callers import Callers
from ai_gateway.services.dispatch import Dispatch
from ai_gateway.services.key_ring import KnownKey
from ai_gateway.services.outcomes import outcome_of
from ai_gateway.services.stored_responses import StoredResponses
from ai_gateway.telemetry.observer import LocalCall, Observers


class FreeCalls:
    """Counts of tokens, and responses that are stored at their provider."""

    def __init__(
        self,
        callers: Callers,
        dispatch: Dispatch,
        *,
        stored: StoredResponses,
        observers: Observers,
    ) -> None:
        self._callers = callers
        self._dispatch = dispatch
        self._stored = stored
        self._observers = observers

    def count_tokens(self, incoming: IncomingCall) -> Answer:
        """Have the provider count the tokens of a request that is not made."""

        def request(key: KnownKey) -> UpstreamRequest:
            dialect = self._dispatch.dialect(incoming.dialect)
            asked = dialect.read_request(incoming.operation, incoming.body, incoming.address)
            target = self._callers.directory.resolve(asked.model, incoming.dialect, key.record)
            self._callers.keys.check_pauses(key, target.provider.name)
            return dialect.upstream_request(
                target.provider,
                asked,
                model=target.model,
                output_cap=None,
                client_headers=incoming.headers,
            )

        return self._answer(incoming, request)

    def stored_response(
        self, incoming: IncomingCall, response_id: str, action: StoredAction
    ) -> Answer:
        """Read, delete or cancel a response; only for the user who got it."""

        def request(key: KnownKey) -> UpstreamRequest:
            if incoming.address.query:
                raise InvalidRequest("stream: a stored response is not streamed again.", "stream")
            user_id = key.record.user_id
            provider = self._stored.provider_of(user_id, response_id, incoming.dialect)
            self._callers.keys.check_pauses(key, provider.name)
            return stored_request(provider, response_id, action)

        return self._answer(incoming, request)

    def _answer(
        self, incoming: IncomingCall, request: Callable[[KnownKey], UpstreamRequest]
    ) -> Answer:
        outcome, reason = Outcome.SUCCESS, ""
        try:
            key = self._callers.keys.identify(incoming.credential, fresh=True)
            response = self._dispatch.fetch(request(key))
            try:
                body = response.read_all()
            finally:
                response.close()
        except GatewayError as error:
            outcome, reason = outcome_of(error)
            raise
        finally:
            self._observers.answered_locally(
                LocalCall(incoming.request_id, incoming.operation, outcome, reason)
            )
        content_type = response.headers.get("content-type", "application/json")
        return Answer(200, {"content-type": content_type}, body)

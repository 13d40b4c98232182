"""Sends an admitted call to its provider, once, and tells an answer from an error."""

from collections.abc import Mapping
from contextlib import suppress

from ai_gateway.domain.call import AskedCall, DialectName
from ai_gateway.domain.usage import Reading
from ai_gateway.errors import (
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefusedCredential,
    UpstreamRejected,
    UpstreamUnavailable,
)
from ai_gateway.providers.dialect import Dialect, StreamReader, UpstreamRequest
from ai_gateway.providers.transport import Transport, UpstreamResponse
from ai_gateway.services.admission import Admitted

MAX_RETRY_AFTER_SECONDS = 3600


class Dispatch:
    """Dialects and the transport; no retries (architecture.md 8.17)."""

    def __init__(self, transport: Transport, dialects: Mapping[DialectName, Dialect]) -> None:
        self._transport = transport
        self._dialects = dialects

    def dialect(self, name: DialectName) -> Dialect:
        return self._dialects[name]

    def send(
        self, admitted: Admitted, asked: AskedCall, client_headers: Mapping[str, str]
    ) -> UpstreamResponse:
        """The provider's good answer, unread; raises an `UpstreamError` for any other."""
        call = admitted.call
        request = self._dialects[admitted.provider.dialect].upstream_request(
            admitted.provider,
            asked,
            model=admitted.upstream_model,
            output_cap=call.output_cap,
            client_headers=client_headers,
        )
        return self.fetch(request)

    def fetch(self, request: UpstreamRequest) -> UpstreamResponse:
        """The same for a request that is written already."""
        response = self._transport.send(request)
        if response.status != 200:
            _raise_error(request.provider, response)
        return response

    def read_answer(self, admitted: Admitted, body: bytes) -> Reading:
        """What a whole answer tells."""
        provider = admitted.provider
        dialect = self._dialects[provider.dialect]
        return dialect.read_answer(body, admitted.call.operation, provider.quirks)

    def stream_reader(self, admitted: Admitted, asked: AskedCall) -> StreamReader:
        """What finds out what a stream tells, event by event."""
        provider = admitted.provider
        return StreamReader(self._dialects[provider.dialect].interpreter(asked, provider.quirks))


def _raise_error(provider: str, response: UpstreamResponse) -> None:
    status, body = response.status, b""
    try:
        # The status alone tells that the call was refused, whatever became of the body.
        with suppress(UpstreamError):
            body = response.read_all()
    finally:
        response.close()
    if status in {401, 403}:
        raise UpstreamRefusedCredential(provider)
    if status == 429:
        raise UpstreamRateLimited(provider, _retry_after(response.headers))
    if 400 <= status < 500:
        raise UpstreamRejected(provider, status, body)
    raise UpstreamUnavailable(provider, was_sent=True, status=status)


def _retry_after(headers: Mapping[str, str]) -> int | None:
    value = headers.get("retry-after", "")
    is_number = value.isascii() and value.isdigit() and len(value) < 8
    return min(int(value), MAX_RETRY_AFTER_SECONDS) if is_number else None

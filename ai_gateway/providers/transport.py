"""The only place that opens a socket to a provider.

Redirects are never followed, proxies of the environment are ignored, nothing is sent twice, every
wait has a limit. A connection whose answer was not read to its end is closed, never used again.
"""

import ssl

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from ai_gateway.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from ai_gateway.providers.dialect import UpstreamRequest

CONNECT_SECONDS = 5
STREAM_SILENCE_SECONDS = 120
"""To the first byte of a stream, and between two reads of it."""

WHOLE_ANSWER_SECONDS = 600
MAX_ANSWER_BYTES = 64 * 2**20
READ_BYTES = 64 * 2**10
CONNECTIONS_PER_PROVIDER = 1_000

_NOT_SENT = (NewConnectionError, NameResolutionError, ConnectTimeoutError)


class Transport:
    """Pools of connections to the providers; belongs to one worker, after the fork."""

    def __init__(self) -> None:
        self._pools = urllib3.PoolManager(
            num_pools=50, maxsize=CONNECTIONS_PER_PROVIDER, block=False, retries=False
        )

    def send(self, request: UpstreamRequest) -> "UpstreamResponse":
        """Send a request once and wait for the head of the answer.

        Raises `UpstreamUnavailable` (its `was_sent` tells whether the provider may have seen the
        call) or `UpstreamTimeout`.
        """
        silence = STREAM_SILENCE_SECONDS if request.is_streamed else WHOLE_ANSWER_SECONDS
        try:
            response = self._pools.request(
                request.method,
                request.url,
                body=request.body or None,
                headers={
                    "content-type": "application/json",
                    "accept-encoding": "identity",
                    "user-agent": "ai-gateway",
                    **request.headers,
                },
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=silence),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            if _is_failed_handshake(error):
                raise UpstreamUnavailable(request.provider, was_sent=False) from error
            raise _translated(error, request.provider) from error
        return UpstreamResponse(request.provider, response)


class UpstreamResponse:
    """A provider's answer whose body is still to be read; reading may raise `UpstreamError`."""

    def __init__(self, provider: str, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self._provider = provider
        self._response = response
        self._is_read = False
        self._is_interrupted = False
        if self.headers.get("content-encoding", "identity") != "identity":
            # We asked for identity, and what cannot be read cannot be metered.
            self.close()
            raise UpstreamUnavailable(provider, was_sent=True)

    def read_all(self) -> bytes:
        """The whole body, up to `MAX_ANSWER_BYTES`."""
        parts = []
        size = 0
        while part := self.read_some():
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise UpstreamUnavailable(self._provider, was_sent=True)
        return b"".join(parts)

    def read_some(self) -> bytes:
        """What has arrived, at least a byte; empty at the end."""
        try:
            part = self._response.read1(READ_BYTES)
        except HTTPError as error:
            raise _translated(error, self._provider) from error
        except (OSError, ValueError, AttributeError) as error:
            # A socket that `interrupt` shut, or that is closed already.
            raise UpstreamUnavailable(self._provider, was_sent=True) from error
        if self._is_interrupted:
            # What had arrived before can still be read, under TLS even as it was on the wire.
            raise UpstreamUnavailable(self._provider, was_sent=True)
        self._is_read = not part
        return part

    def close(self) -> None:
        """Give the connection back when the answer was read to its end, else close it."""
        if self._is_read:
            self._response.release_conn()
        else:
            self._response.close()

    def interrupt(self) -> None:
        """Let a reader in another thread see the end at once."""
        self._is_interrupted = True
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError):
            # The other thread has read the answer to its end meanwhile.
            return


def _is_failed_handshake(error: HTTPError) -> bool:
    """TLS failed before the call went out; an end of the connection may have come later."""
    if not isinstance(error, SSLError):
        return False
    return not any(
        isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) for cause in error.args
    )


def _translated(error: HTTPError, provider: str) -> UpstreamError:
    if isinstance(error, _NOT_SENT):
        return UpstreamUnavailable(provider, was_sent=False)
    if isinstance(error, ReadTimeoutError):
        return UpstreamTimeout(provider)
    return UpstreamUnavailable(provider, was_sent=True)

"""Fetches a newer list of prices from the address that the operator named, and from nowhere else.

Redirects are never followed, nothing is sent but the request itself, and size and time are bounded,
whatever the server does.
"""

from time import monotonic

from ai_gateway.errors import UpstreamError, UpstreamTimeout
from ai_gateway.providers.dialect import UpstreamRequest
from ai_gateway.providers.transport import TimeLimits, Transport, UpstreamResponse

NAME = "price list"
WHOLE_SECONDS = 60.0
SILENCE_SECONDS = 10.0
MOST_BYTES = 16 * 2**20
OK = 200


class FeedFault(Exception):
    """The address brought no list; the message says why, without the address."""


class PriceFeed:
    """One address; asked by the bookkeeper or by a command, never by a worker."""

    def __init__(
        self, url: str, *, most_bytes: int = MOST_BYTES, seconds: float = WHOLE_SECONDS
    ) -> None:
        self._request = UpstreamRequest(NAME, url, {}, b"", is_streamed=True, method="GET")
        self._most_bytes = most_bytes
        self._seconds = seconds

    def fetch(self) -> bytes:
        """The body; raises `FeedFault`."""
        give_up_at = monotonic() + self._seconds
        limits = TimeLimits(stream=min(SILENCE_SECONDS, self._seconds))
        try:
            response = Transport(limits).send(self._request)
            try:
                return self._body(response, give_up_at)
            finally:
                response.close()
        except UpstreamTimeout as error:
            raise FeedFault("the server does not answer in time") from error
        except (UpstreamError, ValueError) as error:
            raise FeedFault("the server cannot be reached, or broke off") from error

    def _body(self, response: UpstreamResponse, give_up_at: float) -> bytes:
        if response.status != OK:
            raise FeedFault(f"the server answered with {response.status}")
        body = bytearray()
        while part := response.read_some():
            body += part
            if len(body) > self._most_bytes:
                raise FeedFault(f"it is larger than {self._most_bytes:,} bytes")
            if monotonic() > give_up_at:
                raise FeedFault(f"it takes longer than {self._seconds:g} s")
        return bytes(body)

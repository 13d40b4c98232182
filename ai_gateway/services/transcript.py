"""What a client asked and was answered: for traces alone, and only where the operator wants it."""

from typing import Protocol

from ai_gateway.telemetry.observer import Story

MOST_BYTES = 256 * 1024
"""Of the request and of the answer each; what is longer is cut off."""


class Transcript(Protocol):
    """The bodies of one call."""

    def add(self, part: bytes) -> None:
        """Take a part of the answer."""

    def story(self, failure: BaseException | None = None) -> Story:
        """What was taken, and why the call failed."""


class NoTranscript:
    """Keeps no body."""

    def __init__(self, request: bytes) -> None:
        pass

    def add(self, part: bytes) -> None:
        pass

    def story(self, failure: BaseException | None = None) -> Story:
        return Story(failure=failure)


class FullTranscript:
    """Keeps both, each up to a bound."""

    def __init__(self, request: bytes) -> None:
        self._request = request[:MOST_BYTES]
        self._answer = bytearray()

    def add(self, part: bytes) -> None:
        self._answer += part[: MOST_BYTES - len(self._answer)]

    def story(self, failure: BaseException | None = None) -> Story:
        return Story(self._request, bytes(self._answer), failure)

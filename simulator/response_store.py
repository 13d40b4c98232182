"""Responses that can be asked for again, as many as fit; the oldest is forgotten first.

A response made in the background is queued until somebody asks for it, and finished then: the
answer to whoever created it is always that it is queued.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import orjson

from simulator.openai_errors import invalid, not_found
from simulator.request import JsonObject
from simulator.wire import json_bytes

_MOST_RESPONSES: Final = 1_000
_MOST_BYTES: Final = 64 * 1024 * 1024


@dataclass(slots=True)
class _Stored:
    """A response as JSON, with the tokens it stands for as the context of another one."""

    data: bytes
    tokens: int
    is_background: bool
    is_queued: bool


class ResponseStore:
    """Responses by their names."""

    def __init__(self, most: int = _MOST_RESPONSES, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._stored: OrderedDict[str, _Stored] = OrderedDict()

    def __len__(self) -> int:
        return len(self._stored)

    def add(self, response: JsonObject, tokens: int, *, is_queued: bool) -> None:
        """Keep a response."""
        is_background = response["background"] is True
        stored = _Stored(json_bytes(response), tokens, is_background, is_queued)
        self._stored[str(response["id"])] = stored
        self._bytes += len(stored.data)
        while len(self._stored) > self._most or self._bytes > self._most_bytes:
            _, oldest = self._stored.popitem(last=False)
            self._bytes -= len(oldest.data)

    def get(self, name: str) -> JsonObject:
        """Tell a response again, as it was; one that was queued is finished by now.

        Raises:
            ApiError: there is none.

        """
        stored = self._find(name)
        stored.is_queued = False
        return _parsed(stored)

    def context_tokens(self, name: str) -> int:
        """Count what a response adds to the input of the one that goes on from it.

        Raises:
            ApiError: there is none.

        """
        stored = self._stored.get(name)
        if stored is None:
            raise invalid(
                f"Previous response with id '{name}' not found.",
                "previous_response_id",
                "previous_response_not_found",
            )
        return stored.tokens

    def delete(self, name: str) -> JsonObject:
        """Forget a response.

        Raises:
            ApiError: there is none.

        """
        self._bytes -= len(self._find(name).data)
        del self._stored[name]
        return {"id": name, "object": "response", "deleted": True}

    def cancel(self, name: str) -> JsonObject:
        """Cancel a response that is queued; one that is finished stays as it is.

        Raises:
            ApiError: there is none, or it was not made in the background.

        """
        stored = self._find(name)
        if not stored.is_background:
            raise invalid("Cannot cancel a synchronous response.")
        if stored.is_queued:
            changes: JsonObject = {
                "status": "cancelled",
                "output": [],
                "usage": None,
                "completed_at": None,
            }
            data = json_bytes(_parsed(stored) | changes)
            self._bytes += len(data) - len(stored.data)
            stored.data, stored.is_queued = data, False
        return _parsed(stored)

    def _find(self, name: str) -> _Stored:
        stored = self._stored.get(name)
        if stored is None:
            raise not_found(f"Response with id '{name}' not found.")
        return stored


def _parsed(stored: _Stored) -> JsonObject:
    response: JsonObject = orjson.loads(stored.data)
    return response

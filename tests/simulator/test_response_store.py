"""Stored responses, without a server."""

import pytest

from simulator.request import JsonObject
from simulator.response_store import ResponseStore
from simulator.wire import ApiError


def response(name: str, text: str = "") -> JsonObject:
    return {"id": name, "background": False, "text": text}


def test_oldest_response_is_forgotten_when_there_are_too_many() -> None:
    store = ResponseStore(most=2)
    for name in ("a", "b", "c"):
        store.add(response(name), 1, is_queued=False)
    assert store.get("c")["id"] == "c"
    assert len(store) == 2
    with pytest.raises(ApiError):
        store.get("a")


def test_large_responses_push_older_ones_out() -> None:
    store = ResponseStore(most_bytes=1_000)
    for name in ("a", "b", "c"):
        store.add(response(name, "x" * 400), 1, is_queued=False)
    assert len(store) == 2
    store.add(response("huge", "x" * 2_000), 1, is_queued=False)
    assert len(store) == 0


def test_deleted_response_makes_room() -> None:
    store = ResponseStore(most_bytes=1_000)
    for name in ("a", "b"):
        store.add(response(name, "x" * 400), 1, is_queued=False)
    store.delete("b")
    store.add(response("c", "x" * 400), 1, is_queued=False)
    assert store.get("a")["id"] == "a"


def test_response_counts_as_the_context_of_the_next_one() -> None:
    store = ResponseStore()
    store.add(response("a"), 17, is_queued=False)
    assert store.context_tokens("a") == 17
    with pytest.raises(ApiError):
        store.context_tokens("b")

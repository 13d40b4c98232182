"""What is kept of an idempotency key, and what a repeat is told."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ai_gateway.domain.call import Address, Operation
from ai_gateway.domain.exchange import IncomingCall
from ai_gateway.domain.idempotency import FirstCall, IdempotencyKey, idempotency_key, repeated
from ai_gateway.errors import (
    CallAlreadyMade,
    CallStillRunning,
    IdempotencyKeyReused,
    InvalidRequest,
)

CALL = IncomingCall(
    request_id="req_1",
    received_at=datetime(2026, 11, 25, tzinfo=UTC),
    dialect="openai",
    operation=Operation.CHAT,
    credential="agw_secret",
    body=b'{"model": "gpt-4o-mini"}',
    headers={},
    idempotency_key="order-4711",
)


def kept(key_id: str = "k0000001", **changes: Any) -> IdempotencyKey:
    found = idempotency_key(replace(CALL, **changes), key_id)
    assert found is not None
    return found


def test_a_call_without_the_header_has_none() -> None:
    assert idempotency_key(replace(CALL, idempotency_key=None), "k0000001") is None


@pytest.mark.parametrize("value", ["a", "x" * 255, "!~", '"8e03978e-40d5-43dd"'])
def test_visible_characters_are_taken(value: str) -> None:
    assert len(kept(idempotency_key=value).name) == 32


@pytest.mark.parametrize("value", ["", "x" * 256, "a b", "a\n", "\n", "\u00fc", "a\x7f", "a, b"])
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 255 visible ASCII") as caught:
        kept(idempotency_key=value)
    assert caught.value.param == "Idempotency-Key"


def test_a_repeat_is_the_same_whatever_its_request_id() -> None:
    assert kept(request_id="req_2", received_at=datetime.now(UTC)) == kept()


def test_keys_of_two_virtual_keys_are_strangers() -> None:
    assert kept("k0000002").name != kept().name
    # The id and the value stand apart: no value can be another's.
    assert kept("k0", idempotency_key="0x").name != kept("k00", idempotency_key="x").name


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b'{"model": "gpt-4o"}'},
        {"body": CALL.body + b" "},
        {"operation": Operation.RESPONSES},
        {"dialect": "azure"},
        {"address": Address("eu-mini")},
        {"address": Address(query=(("beta", "true"),))},
    ],
    ids=["body", "space", "operation", "dialect", "deployment", "query"],
)
def test_another_request_has_the_same_name_and_another_fingerprint(
    changes: dict[str, Any],
) -> None:
    other = kept(**changes)
    assert other.name == kept().name
    assert other.fingerprint != kept().fingerprint


def test_the_fingerprint_of_one_body_differs_by_key() -> None:
    """Else whoever reads it could look for a body that is known."""
    assert kept(idempotency_key="other").fingerprint != kept().fingerprint


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (FirstCall("req_1", is_same_request=True, outcome=""), CallStillRunning),
        (FirstCall("req_1", is_same_request=True, outcome="success"), CallAlreadyMade),
        (FirstCall("req_1", is_same_request=False, outcome=""), IdempotencyKeyReused),
        (FirstCall("req_1", is_same_request=False, outcome="success"), IdempotencyKeyReused),
    ],
)
def test_a_repeat_hears_of_the_first_call(first: FirstCall, kind: type[Exception]) -> None:
    error = repeated(first)
    assert type(error) is kind
    assert error.request_id == "req_1"

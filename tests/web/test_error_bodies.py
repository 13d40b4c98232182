"""Every error that the gateway can raise, as each dialect hears of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from ai_gateway import errors
from ai_gateway.domain.call import DialectName
from ai_gateway.errors import (
    AddressNotFound,
    BudgetExhausted,
    BudgetUnavailable,
    CallAlreadyMade,
    CallEnded,
    CallStillRunning,
    ChangedMeanwhile,
    GatewayError,
    GatewayUnavailable,
    IdempotencyKeyReused,
    InvalidKey,
    InvalidRequest,
    KeyNotFound,
    ModelNotAllowed,
    ModelNotFound,
    ModelUnpriced,
    NotPermitted,
    Refusal,
    RequestNotFound,
    RequestTooLarge,
    ResponseNotFound,
    ServicePaused,
    UnsupportedEncoding,
    UpstreamRateLimited,
    UpstreamRefusedCredential,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
    UserNotFound,
    UserPaused,
    WrongMethod,
)
from ai_gateway.web.error_bodies import ROWS, error_answer, error_event, internal_error

DIALECTS: tuple[DialectName, ...] = ("openai", "anthropic")
SECRETS = (
    "sk-live-1234567890",
    "postgresql://gateway:hunter2@10.0.0.7/db",
    "SELECT digest FROM virtual_key",
    "unix:///srv/run/valkey.sock",
)
REFUSAL = Refusal(
    scope="user",
    window="day",
    limit=5_000_000_000,
    spent=4_000_000_001,
    held=500_000_000,
    needed=1_000_000_000,
    resets_at=datetime(2026, 11, 26, tzinfo=UTC),
)


@dataclass(frozen=True)
class Told:
    """What a client has to hear: for OpenAI type and code, for Anthropic one type."""

    error: GatewayError
    status: int
    type: str
    code: str
    anthropic_type: str
    should_retry: str | None = None
    retry_after: str | None = None


TOLD = {
    "InvalidRequest": Told(
        InvalidRequest("messages: wrong", "messages"),
        400, "invalid_request_error", "invalid_request", "invalid_request_error",
    ),
    "RequestTooLarge": Told(
        RequestTooLarge(20 * 2**20),
        413, "invalid_request_error", "request_too_large", "request_too_large",
    ),
    "UnsupportedEncoding": Told(
        UnsupportedEncoding(),
        415, "invalid_request_error", "unsupported_encoding", "invalid_request_error",
    ),
    "InvalidKey": Told(
        InvalidKey("revoked"),
        401, "authentication_error", "invalid_api_key", "authentication_error",
    ),
    "ModelNotAllowed": Told(
        ModelNotAllowed("o3"), 403, "permission_error", "model_not_allowed", "permission_error"
    ),
    "ModelNotFound": Told(
        ModelNotFound("gpt-9"), 404, "invalid_request_error", "model_not_found", "not_found_error"
    ),
    "ResponseNotFound": Told(
        ResponseNotFound("resp_1"),
        404, "invalid_request_error", "response_not_found", "not_found_error",
    ),
    "ModelUnpriced": Told(
        ModelUnpriced("openai", "gpt-9"),
        422, "invalid_request_error", "model_unpriced", "invalid_request_error",
    ),
    "NotPermitted": Told(
        NotPermitted("A key only reads."),
        403, "permission_error", "not_permitted", "permission_error",
    ),
    "UserNotFound": Told(
        UserNotFound(7), 404, "invalid_request_error", "user_not_found", "not_found_error"
    ),
    "RequestNotFound": Told(
        RequestNotFound("r1"), 404, "invalid_request_error", "request_not_found", "not_found_error"
    ),
    "KeyNotFound": Told(
        KeyNotFound("k0000001"), 404, "invalid_request_error", "key_not_found", "not_found_error"
    ),
    "AddressNotFound": Told(
        AddressNotFound("GET '/v1/x': no such address."),
        404, "invalid_request_error", "not_found", "not_found_error",
    ),
    "WrongMethod": Told(
        WrongMethod("GET '/v1/messages': not the method of this address."),
        405, "invalid_request_error", "method_not_allowed", "invalid_request_error",
    ),
    "BudgetExhausted": Told(
        BudgetExhausted(REFUSAL),
        429, "insufficient_quota", "insufficient_quota", "rate_limit_error", "false",
    ),
    "UserPaused": Told(
        UserPaused("Ask Ann.", REFUSAL.resets_at),
        403, "permission_error", "user_paused", "permission_error", "false",
    ),
    "ServicePaused": Told(
        ServicePaused("Key leaked.", REFUSAL.resets_at, provider="openai"),
        503, "server_error", "calls_paused", "api_error", "false",
    ),
    "ChangedMeanwhile": Told(
        ChangedMeanwhile(),
        409, "invalid_request_error", "changed_meanwhile", "invalid_request_error", "false",
    ),
    "CallStillRunning": Told(
        CallStillRunning("req_9"),
        409, "invalid_request_error", "idempotency_in_progress", "invalid_request_error", "false",
    ),
    "CallAlreadyMade": Told(
        CallAlreadyMade("req_9", "success"),
        409, "invalid_request_error", "idempotency_repeat", "invalid_request_error", "false",
    ),
    "IdempotencyKeyReused": Told(
        IdempotencyKeyReused("req_9"),
        422, "invalid_request_error", "idempotency_mismatch", "invalid_request_error", "false",
    ),
    "UpstreamRejected": Told(
        UpstreamRejected("openai", 418, b"<html>"),
        418, "invalid_request_error", "upstream_rejected", "invalid_request_error",
    ),
    "UpstreamRefusedCredential": Told(
        UpstreamRefusedCredential("openai"),
        502, "server_error", "upstream_credential", "api_error", "false",
    ),
    "UpstreamRateLimited": Told(
        UpstreamRateLimited("openai", 7),
        429, "rate_limit_error", "upstream_rate_limited", "rate_limit_error", None, "7",
    ),
    "UpstreamUnavailable": Told(
        UpstreamUnavailable("openai", was_sent=True),
        502, "server_error", "upstream_unavailable", "api_error", "false",
    ),
    "UpstreamTimeout": Told(
        UpstreamTimeout("openai"),
        504, "server_error", "upstream_timeout", "timeout_error", "false",
    ),
    "CallEnded": Told(
        CallEnded("openai", "revoked"), 502, "server_error", "call_ended", "api_error", "false"
    ),
    "BudgetUnavailable": Told(
        BudgetUnavailable("timeout"),
        503, "server_error", "budget_unavailable", "overloaded_error", "true", "2",
    ),
    "GatewayUnavailable": Told(
        GatewayUnavailable(),
        503, "server_error", "gateway_unavailable", "overloaded_error", "true", "2",
    ),
}  # fmt: skip


def leaves(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    children = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    if not children:
        yield kind
    for child in children:
        yield from leaves(child)


def message_of(body: bytes, dialect: DialectName) -> str:
    """The message of a body that has its dialect's shape, and that alone."""
    told = json.loads(body)
    if dialect == "openai":
        assert told.keys() == {"error"}
        assert told["error"].keys() == {"message", "type", "param", "code"}
    else:
        assert told.keys() == {"type", "error", "request_id"}
        assert told["type"] == "error"
        assert told["error"].keys() == {"type", "message"}
    return str(told["error"]["message"])


def test_every_leaf_of_the_tree_has_a_row() -> None:
    assert set(leaves()) <= {*ROWS, UpstreamRejected}
    assert {kind.__name__ for kind in leaves()} | {"GatewayUnavailable"} == set(TOLD)


def test_no_row_stands_for_an_error_that_nobody_raises() -> None:
    assert set(ROWS) <= {*leaves(), GatewayUnavailable}


@pytest.mark.parametrize("name", TOLD)
def test_openai_hears_status_type_and_code(name: str) -> None:
    told = TOLD[name]
    answer = error_answer(told.error, "openai", "req_1")
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["type"], error["code"]) == (told.status, told.type, told.code)
    assert error["param"] == ("messages" if name == "InvalidRequest" else None)
    assert message_of(answer.body, "openai")


@pytest.mark.parametrize("name", TOLD)
def test_anthropic_hears_status_type_and_request_id(name: str) -> None:
    told = TOLD[name]
    answer = error_answer(told.error, "anthropic", "req_1")
    body = json.loads(answer.body)
    assert (answer.status, body["error"]["type"]) == (told.status, told.anthropic_type)
    assert body["request_id"] == "req_1"
    assert message_of(answer.body, "anthropic")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", TOLD)
def test_clients_are_told_whether_to_send_again(name: str, dialect: DialectName) -> None:
    told = TOLD[name]
    headers = error_answer(told.error, dialect, "req_1").headers
    assert headers["content-type"] == "application/json"
    assert headers.get("x-should-retry") == told.should_retry
    assert headers.get("retry-after") == told.retry_after


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", TOLD)
def test_nothing_of_the_cause_is_shown(name: str, dialect: DialectName) -> None:
    error = TOLD[name].error
    error.__cause__ = OSError(" ".join(SECRETS))
    error.add_note(" ".join(SECRETS))
    answer = error_answer(error, dialect, "req_1")
    shown = answer.body.decode() + str(answer.headers) + error_event(error, dialect, "r").decode()
    assert [secret for secret in SECRETS if secret in shown] == []
    assert "OSError" not in shown


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", TOLD)
def test_an_error_in_a_stream_is_one_event(name: str, dialect: DialectName) -> None:
    event = error_event(TOLD[name].error, dialect, "req_1")
    lines = event.decode().split("\n")
    if dialect == "anthropic":
        assert lines.pop(0) == "event: error"
    assert lines[1:] == ["", ""]
    assert message_of(lines[0].removeprefix("data: ").encode(), dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_fault_of_a_key_has_one_and_the_same_answer(dialect: DialectName) -> None:
    reasons = ("missing", "invalid", "revoked", "expired")
    assert len({error_answer(InvalidKey(r), dialect, "req_1").body for r in reasons}) == 1


@pytest.mark.parametrize(
    ("was_sent", "status", "should_retry"),
    [(False, None, "true"), (True, None, "false"), (True, 500, "true")],
    ids=["never sent", "perhaps billed", "refused by its own error"],
)
def test_what_may_be_billed_is_not_sent_again(
    *, was_sent: bool, status: int | None, should_retry: str
) -> None:
    error = UpstreamUnavailable("openai", was_sent=was_sent, status=status)
    assert error_answer(error, "openai", "").headers["x-should-retry"] == should_retry


def test_a_rate_limit_without_a_time_names_none() -> None:
    answer = error_answer(UpstreamRateLimited("openai", None), "openai", "")
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_providers_own_rejection_goes_on_as_it_came(dialect: DialectName) -> None:
    body = b'{"error": {"message": "max_tokens is too large",  "type": "invalid_request_error"}}'
    answer = error_answer(UpstreamRejected("openai", 400, body), dialect, "req_1")
    assert (answer.status, answer.body) == (400, body)


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"<html>sk-live-1234567890</html>"])
def test_a_rejection_that_is_no_object_keeps_its_status_alone(body: bytes) -> None:
    answer = error_answer(UpstreamRejected("openai", 409, body), "openai", "req_1")
    assert answer.status == 409
    assert message_of(answer.body, "openai") == "The provider rejected the request."


def test_a_refusal_names_the_budget_and_its_figures() -> None:
    message = message_of(error_answer(BudgetExhausted(REFUSAL), "openai", "").body, "openai")
    assert message == (
        "Budget exceeded: the user's daily budget has no room for this call. Limit $5.00, "
        "spent $4.000000001, held by running calls $0.50, needed at most $1.00. "
        "It resets at 2026-11-26T00:00:00Z."
    )


@pytest.mark.parametrize(
    ("error", "whose"),
    [
        (UserPaused("Ask Ann.", REFUSAL.resets_at), "Your calls"),
        (ServicePaused("Ask Ann.", REFUSAL.resets_at), "All calls"),
        (ServicePaused("Ask Ann.", REFUSAL.resets_at, provider="groq"), "Calls to groq"),
    ],
    ids=["user", "everything", "provider"],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_pause_says_whose_since_when_and_why(
    error: GatewayError, whose: str, dialect: DialectName
) -> None:
    message = message_of(error_answer(error, dialect, "req_1").body, dialect)
    assert message == (
        f"{whose} are paused since 2026-11-26T00:00:00Z, so that nothing was sent. Reason: Ask Ann."
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CallStillRunning("req_9"), "is still running"),
        (CallAlreadyMade("req_9", "cancelled"), "ended as `cancelled`"),
        (CallAlreadyMade("req_9", "lost"), "ended in a way that is not known"),
        (IdempotencyKeyReused("req_9"), "was another request"),
    ],
    ids=["running", "ended", "lost", "another"],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_repeat_hears_of_the_first_call(
    error: GatewayError, words: str, dialect: DialectName
) -> None:
    message = message_of(error_answer(error, dialect, "req_10").body, dialect)
    assert message.startswith("The call req_9 came before with this Idempotency-Key and ")
    assert words in message
    assert "was not sent" in message


def test_names_that_look_like_the_model_are_told() -> None:
    error = ModelNotFound("gpt4o", ("gpt-4o", "gpt-4o-mini"))
    message = message_of(error_answer(error, "openai", "").body, "openai")
    assert message.endswith("Did you mean gpt-4o or gpt-4o-mini?")


def test_a_model_without_a_price_names_what_to_write() -> None:
    error = ModelUnpriced("openai", 'gpt "9"')
    message = message_of(error_answer(error, "openai", "").body, "openai")
    assert 'provider = "openai"' in message
    assert 'model = "gpt \\"9\\""' in message


def test_a_deployment_of_nobody_knows_what_names_what_to_write() -> None:
    error = ModelUnpriced("azure", 'eu "9"', is_deployment=True)
    message = message_of(error_answer(error, "azure", "").body, "openai")
    assert '[azure.deployments]\n"eu \\"9\\"" = ' in message


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_fault_of_ours_says_nothing_of_it(dialect: DialectName) -> None:
    answer = internal_error(dialect, "req_1")
    assert answer.status == 500
    assert answer.headers["x-should-retry"] == "false"
    assert message_of(answer.body, dialect).startswith("The gateway failed to handle the call")


@pytest.mark.parametrize("reason", ["revoked", "no_room", "stopping", "drain_limit"])
def test_a_call_that_we_end_says_why(reason: str) -> None:
    event = error_event(CallEnded("openai", reason), "openai", "")
    assert b"The call was ended" in event

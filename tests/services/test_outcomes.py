"""What the provider did with a call, whatever became of the request."""

import pytest

from ai_gateway.domain.call import UpstreamResult
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.errors import (
    CallEnded,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefusedCredential,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ai_gateway.services.outcomes import upstream_result

READ = Reading(UsageStatus.EXACT, Usage())


def unavailable(status: int | None = None, *, was_sent: bool = True) -> UpstreamUnavailable:
    return UpstreamUnavailable("lab", was_sent=was_sent, status=status)


@pytest.mark.parametrize(
    ("failure", "result"),
    [
        (None, "ok"),
        (UpstreamTimeout("lab"), "timeout"),
        (UpstreamRateLimited("lab", None), "http_429"),
        (UpstreamRejected("lab", 404, b""), "http_4xx"),
        (UpstreamRefusedCredential("lab"), "http_4xx"),
        (unavailable(was_sent=False), "connect"),
        (unavailable(), "stream_cut"),
        (UpstreamUnavailable("lab", was_sent=True, is_invalid=True), "invalid_response"),
        (unavailable(500), "http_5xx"),
        (unavailable(503), "overloaded"),
        (unavailable(529), "overloaded"),
        (unavailable(302), "invalid_response"),
        (CallEnded("lab", "revoked"), "ok"),
        (KeyError("a fault of ours"), "ok"),
    ],
    ids=str,
)
def test_result_is_told_by_what_ended_the_call(
    failure: UpstreamError | None, result: UpstreamResult
) -> None:
    assert upstream_result(failure, READ) == result


def test_answer_that_is_none_is_invalid() -> None:
    reading = Reading(UsageStatus.MISSING, Usage(), is_readable=False, failed=True)
    assert upstream_result(None, reading) == "invalid_response"


def test_failure_that_is_told_within_an_answer_is_the_providers() -> None:
    assert upstream_result(None, Reading(UsageStatus.EXACT, Usage(), failed=True)) == "http_5xx"

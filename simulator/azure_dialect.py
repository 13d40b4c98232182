"""Azure OpenAI: OpenAI's dialect with a key header, an API version and errors of its own."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from simulator.dialect import WRONG_KEY
from simulator.openai_dialect import OpenAIDialect, bearer_token
from simulator.openai_errors import OVERLOADED_WORDS
from simulator.response_store import ResponseStore
from simulator.vendors import AZURE
from simulator.wire import ApiError, Headers

# Versions before this one refuse stream_options, so that a stream cannot tell its usage.
_FIRST_WITH_USAGE: Final = "2024-09-01"
# The addresses of a deployment; the others have the model in the body.
_OF_DEPLOYMENTS: Final = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
# How errors are known that did not come from the model.
_KIND: Final = "azure"

_BAD_KEY: Final = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
    "valid key for an active subscription and use a correct regional API endpoint for your "
    "resource."
)
_NO_DEPLOYMENT: Final = (
    "The API deployment for this resource does not exist. If you created the deployment within the "
    "last 5 minutes, please wait a moment and try again."
)
_RATE_LIMIT: Final = (
    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded token "
    "rate limit of your current AIServices S0 pricing tier. Please retry after 2 seconds. Please "
    "contact Azure support service if you would like to further increase the default rate limit."
)

# Status: code and message; other failures are those of OpenAI.
_FAILURES: Final[dict[int, tuple[str, str]]] = {
    401: ("401", _BAD_KEY),
    404: ("DeploymentNotFound", _NO_DEPLOYMENT),
    429: ("429", _RATE_LIMIT),
    503: ("ServiceUnavailable", OVERLOADED_WORDS),
}


class AzureDialect(OpenAIDialect):
    """The dialect as one request meets it: ``version`` is its api-version, None on the addresses
    that need none, empty if it is missing.
    """

    def __init__(self, store: ResponseStore, version: str | None, *, of_deployment: bool) -> None:
        vendor = AZURE
        if version and version < _FIRST_WITH_USAGE:
            vendor = replace(vendor, refused=frozenset({"stream_options"}))
        super().__init__(vendor, store)
        self._version = version
        if of_deployment:
            self.endpoints = {path: self.endpoints[path] for path in _OF_DEPLOYMENTS}

    def check_headers(self, headers: Mapping[str, str], /) -> None:
        """Take a key in ``api-key``, or a bearer token, and ask for the version."""
        key = headers.get("api-key", "").strip() or bearer_token(headers)
        if not key or key == WRONG_KEY:
            raise _error(HTTPStatus.UNAUTHORIZED, "401", _BAD_KEY)
        if self._version == "":
            raise _not_found()

    def headers(self, request_id: str, /) -> Headers:
        """Give the headers of every answer."""
        return [
            ("apim-request-id", request_id),
            ("x-request-id", request_id),
            ("x-ms-region", "Simulator"),
            ("x-ratelimit-remaining-requests", "999"),
            ("x-ratelimit-remaining-tokens", "999000"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ]

    def error_body(self, error: ApiError, request_id: str, /) -> object:
        """Write an error: Azure's own are shorter than those of the model, which are OpenAI's."""
        if error.kind == _KIND:
            return {"error": {"code": error.code, "message": error.message}}
        return super().error_body(error, request_id)

    def failure(self, status: int, model: str, /) -> ApiError:
        """Fail with a status that the prompt asked for."""
        error = super().failure(status, model)
        if status in _FAILURES:
            code, message = _FAILURES[status]
            return _error(status, code, message, error.headers)
        return error

    def no_such_path(self, _method: str, _path: str, /) -> ApiError:
        """Refuse a path that is not there."""
        return _not_found()


def _error(status: int, code: str, message: str, headers: Headers | None = None) -> ApiError:
    return ApiError(status=status, kind=_KIND, message=message, code=code, headers=headers or [])


def _not_found() -> ApiError:
    return _error(HTTPStatus.NOT_FOUND, "404", "Resource not found")

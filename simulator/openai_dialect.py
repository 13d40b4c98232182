"""OpenAI's dialect as a whole, as one vendor of those that speak it has it."""

from collections.abc import Mapping
from typing import Final

from simulator import models, openai_errors
from simulator.dialect import WRONG_KEY
from simulator.openai_endpoints import openai_endpoints
from simulator.request import JsonObject
from simulator.response_store import ResponseStore
from simulator.template import filled_value
from simulator.vendor import Vendor
from simulator.wire import ApiError, Headers

MODELS_PATH: Final = "/v1/models"
_STORED_PATH: Final = "/v1/responses/"
_CANCEL: Final = "/cancel"


class OpenAIDialect:
    """See ``Dialect``."""

    def __init__(self, vendor: Vendor, store: ResponseStore) -> None:
        self._vendor = vendor
        self._store = store
        self.endpoints = openai_endpoints(vendor, store)

    def check_headers(self, headers: Mapping[str, str], /) -> None:
        """Take any bearer token but the wrong one, or none where none is needed."""
        words = self._vendor.bad_key
        if words is None:
            return
        key = bearer_token(headers)
        if not key:
            raise openai_errors.missing_key()
        if key == WRONG_KEY:
            raise openai_errors.wrong_key(words, key)

    def look_up(self, method: str, path: str, /) -> JsonObject | None:
        """List the models, or deal with a stored response."""
        if path == MODELS_PATH:
            if method != "GET":
                raise self.wrong_method(method, path)
            return models.openai_list()
        if path.startswith(_STORED_PATH):
            return self._stored(method, path)
        return None

    def headers(self, request_id: str, /) -> Headers:
        """Give the headers of every answer, a cookie among them."""
        return [
            ("x-request-id", request_id),
            ("openai-version", "2020-10-01"),
            ("openai-organization", "org-simulator"),
            ("openai-processing-ms", "25"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-limit-tokens", "30000000"),
            ("x-ratelimit-remaining-tokens", "29999000"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
            ("x-content-type-options", "nosniff"),
            ("Set-Cookie", f"__cf_bm={request_id}; path=/; HttpOnly; Secure; SameSite=None"),
        ]

    def error_body(self, error: ApiError, _request_id: str, /) -> object:
        """Write an error; the request's id is in the headers only."""
        return filled_value(self._vendor.error, openai_errors.blanks(error))

    def bad_json(self) -> ApiError:
        """Refuse a body that is not a JSON object."""
        return openai_errors.bad_json()

    def bad_value(self, message: str, /) -> ApiError:
        """Refuse a value for a reason of ours."""
        return openai_errors.invalid(message)

    def failure(self, status: int, model: str, /) -> ApiError:
        """Fail with a status that the prompt asked for."""
        return openai_errors.failure(status, model)

    def no_such_path(self, method: str, path: str, /) -> ApiError:
        """Refuse a path that is not there."""
        return openai_errors.unknown_path(method, path)

    def wrong_method(self, method: str, path: str, /) -> ApiError:
        """Refuse a method that a path does not know."""
        return openai_errors.wrong_method(method, path)

    def _stored(self, method: str, path: str) -> JsonObject:
        name = path.removeprefix(_STORED_PATH)
        bare_name = name.removesuffix(_CANCEL)
        if method == "POST" and bare_name != name:
            return self._store.cancel(bare_name)
        if "/" in name:
            raise self.no_such_path(method, path)
        if method == "GET":
            return self._store.get(name)
        if method == "DELETE":
            return self._store.delete(name)
        raise self.wrong_method(method, path)


def bearer_token(headers: Mapping[str, str]) -> str:
    """Find the bearer token of a request, empty if it has none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""

"""The OpenAI dialect as a whole: chat completions and the list of models."""

from collections.abc import Iterator, Mapping
from typing import Final

from simulator import models, openai_errors, openai_reply
from simulator.dialect import WRONG_KEY
from simulator.openai_request import read_request
from simulator.reply import Reply, make_reply
from simulator.request import JsonObject, Request
from simulator.scenario import Scenario
from simulator.usage import CacheUse
from simulator.wire import ApiError, Headers, Part, data_event


class OpenAIDialect:
    """See ``Dialect``."""

    answer_path: Final = "/v1/chat/completions"

    def check_headers(self, headers: Mapping[str, str], /) -> None:
        """Take any bearer token but the wrong one."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise openai_errors.missing_key()
        if key == WRONG_KEY:
            raise openai_errors.wrong_key(key)

    def read(self, body: JsonObject, /) -> Request:
        """Read a request."""
        return read_request(body)

    def reply(self, request: Request, scenario: Scenario, /) -> Reply:
        """Answer without a prompt cache: only ``[[cached=N]]`` makes cached tokens."""
        return make_reply(request, scenario, CacheUse())

    def whole(self, reply: Reply, /) -> JsonObject:
        """Write a chat completion."""
        return openai_reply.completion(reply)

    def stream(self, reply: Reply, /) -> Iterator[Part]:
        """Write chat completion chunks."""
        return openai_reply.chunks(reply)

    def models(self) -> JsonObject:
        """List the models."""
        return models.openai_list()

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

    def error_body(self, error: ApiError, _request_id: str, /) -> JsonObject:
        """Write an error; the request's id is in the headers only."""
        return openai_errors.body_of(error)

    def error_event(self, _request_id: str, /) -> bytes:
        """Write the error that ends a stream in its middle."""
        return data_event(openai_errors.stream_error_body())

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

"""The Anthropic dialect as a whole: messages and the list of models."""

from collections.abc import Iterator, Mapping
from typing import Final

from simulator import anthropic_errors, anthropic_reply, models
from simulator.anthropic_request import read_request
from simulator.dialect import WRONG_KEY
from simulator.prompt_cache import PromptCache
from simulator.reply import Reply, make_reply
from simulator.request import JsonObject, Request
from simulator.scenario import Scenario
from simulator.wire import ApiError, Headers, Part, named_event


class AnthropicDialect:
    """See ``Dialect``. It remembers marked prompts, so the state of the cache is here."""

    answer_path: Final = "/v1/messages"

    def __init__(self) -> None:
        self._cache = PromptCache()

    def check_headers(self, headers: Mapping[str, str], /) -> None:
        """Take any key but the wrong one, and ask for a version.

        The key comes as a bearer token (the SDK since 2.x, and the vendor's authentication page of
        2026) or in ``x-api-key`` (every client before).
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        key = headers.get("x-api-key", "").strip()
        if not (key or bearer):
            raise anthropic_errors.bad_credential("x-api-key header is required")
        if key == WRONG_KEY:
            raise anthropic_errors.bad_credential("invalid x-api-key")
        if bearer == WRONG_KEY:
            raise anthropic_errors.bad_credential("Invalid bearer token")
        if not headers.get("anthropic-version"):
            raise anthropic_errors.invalid("anthropic-version: header is required")

    def read(self, body: JsonObject, /) -> Request:
        """Read a request."""
        return read_request(body)

    def reply(self, request: Request, scenario: Scenario, /) -> Reply:
        """Answer, with what the prompt cache knows of the prompt."""
        return make_reply(request, scenario, self._cache.use(request.cache_blocks))

    def whole(self, reply: Reply, /) -> JsonObject:
        """Write a message."""
        return anthropic_reply.message(reply)

    def stream(self, reply: Reply, /) -> Iterator[Part]:
        """Write the events of a message."""
        return anthropic_reply.events(reply)

    def models(self) -> JsonObject:
        """List the models."""
        return models.anthropic_list()

    def headers(self, request_id: str, /) -> Headers:
        """Give the headers of every answer, a cookie among them."""
        return [
            ("request-id", request_id),
            ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-tokens-limit", "4800000"),
            ("anthropic-ratelimit-tokens-remaining", "4799000"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
            ("Set-Cookie", f"_cfuvid={request_id}; path=/; HttpOnly; Secure; SameSite=None"),
        ]

    def error_body(self, error: ApiError, request_id: str, /) -> JsonObject:
        """Write an error."""
        return anthropic_errors.body_of(error, request_id)

    def error_event(self, request_id: str, /) -> bytes:
        """Write the error that ends a stream in its middle."""
        return named_event("error", self.error_body(anthropic_errors.overloaded(), request_id))

    def bad_json(self) -> ApiError:
        """Refuse a body that is not a JSON object."""
        return anthropic_errors.bad_json()

    def bad_value(self, message: str, /) -> ApiError:
        """Refuse a value for a reason of ours."""
        return anthropic_errors.invalid(message)

    def failure(self, status: int, model: str, /) -> ApiError:
        """Fail with a status that the prompt asked for."""
        return anthropic_errors.failure(status, model)

    def no_such_path(self, _method: str, _path: str, /) -> ApiError:
        """Refuse a path that is not there."""
        return anthropic_errors.not_found()

    def wrong_method(self, _method: str, _path: str, /) -> ApiError:
        """Refuse a method that a path does not know."""
        return anthropic_errors.wrong_method()

"""The Anthropic dialect as a whole: messages, counting them, and the list of models."""

from collections.abc import Mapping
from typing import Final

from simulator import anthropic_errors, anthropic_reply, models
from simulator.anthropic_request import read_count, read_request
from simulator.dialect import WRONG_KEY, Endpoint
from simulator.prompt_cache import PromptCache
from simulator.reply import Reply, make_reply
from simulator.request import JsonObject, Request
from simulator.scenario import Scenario
from simulator.wire import ApiError, EventStream, Headers, json_bytes, named_event

_MODELS_PATH: Final = "/v1/models"


class AnthropicDialect:
    """See ``Dialect``."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {
            "/v1/messages": MessageEndpoint(),
            "/v1/messages/count_tokens": CountEndpoint(),
        }

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

    def look_up(self, method: str, path: str, /) -> JsonObject | None:
        """List the models."""
        if path != _MODELS_PATH:
            return None
        if method != "GET":
            raise self.wrong_method(method, path)
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


class MessageEndpoint:
    """``/v1/messages``; it remembers marked prompts, so the state of the cache is here."""

    is_billed: Final = True

    def __init__(self) -> None:
        self._cache = PromptCache()

    def read(self, body: JsonObject, /) -> Request:
        """Read a request for a message."""
        return read_request(body)

    def reply(self, request: Request, scenario: Scenario, /) -> Reply:
        """Answer, with what the prompt cache knows of the prompt."""
        cache = self._cache.use(request.cache_blocks)
        served_model = models.served_name(request.model)
        return make_reply(request, scenario, cache=cache, served_model=served_model)

    def write(self, reply: Reply, request_id: str, /) -> bytes | EventStream:
        """Write a message."""
        if not reply.request.is_stream:
            return json_bytes(anthropic_reply.message(reply))
        error = anthropic_errors.body_of(anthropic_errors.overloaded(), request_id)
        return EventStream(anthropic_reply.events(reply), lambda: named_event("error", error))


class CountEndpoint:
    """``/v1/messages/count_tokens``: what a message would have as input; it costs nothing."""

    is_billed: Final = False

    def read(self, body: JsonObject, /) -> Request:
        """Read a request to count."""
        return read_count(body)

    def reply(self, request: Request, scenario: Scenario, /) -> Reply:
        """Count, or tell the count that the scenario wishes."""
        return make_reply(request, scenario)

    def write(self, reply: Reply, _request_id: str, /) -> bytes:
        """Write the count."""
        return json_bytes({"input_tokens": reply.usage.input_tokens})

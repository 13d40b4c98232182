"""What the application asks of a vendor's dialect."""

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from simulator.reply import Reply
from simulator.request import JsonObject, Request
from simulator.scenario import Scenario
from simulator.wire import ApiError, Headers, Part

# The one credential that no vendor here accepts.
WRONG_KEY: Final = "wrong-key"


class Dialect(Protocol):
    """A vendor's wire format, both ways. Header names are lower case."""

    @property
    def answer_path(self) -> str:
        """Tell where answers are asked for."""

    def check_headers(self, headers: Mapping[str, str], /) -> None:
        """Refuse a request for its credential or its version, by raising ``ApiError``."""

    def read(self, body: JsonObject, /) -> Request:
        """Read a request; raise ``ApiError`` where the vendor would refuse it."""

    def reply(self, request: Request, scenario: Scenario, /) -> Reply:
        """Answer a request as the scenario wishes."""

    def whole(self, reply: Reply, /) -> JsonObject:
        """Write a reply that is not streamed."""

    def stream(self, reply: Reply, /) -> Iterator[Part]:
        """Write a reply as a stream of events."""

    def models(self) -> JsonObject:
        """List the models."""

    def headers(self, request_id: str, /) -> Headers:
        """Give the headers of every answer; a gateway passes on few of them."""

    def error_body(self, error: ApiError, request_id: str, /) -> JsonObject:
        """Write an error."""

    def error_event(self, request_id: str, /) -> bytes:
        """Write the error that ends a stream in its middle."""

    def bad_json(self) -> ApiError:
        """Refuse a body that is not a JSON object."""

    def bad_value(self, message: str, /) -> ApiError:
        """Refuse a value for a reason of ours."""

    def failure(self, status: int, model: str, /) -> ApiError:
        """Fail with a status that the prompt asked for."""

    def no_such_path(self, method: str, path: str, /) -> ApiError:
        """Refuse a path that is not there."""

    def wrong_method(self, method: str, path: str, /) -> ApiError:
        """Refuse a method that a path does not know."""

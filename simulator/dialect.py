"""What the application asks of a vendor's dialect, and of each address that it answers at."""

from collections.abc import Mapping
from typing import Final, Protocol

from simulator.reply import Reply
from simulator.request import JsonObject, Request
from simulator.scenario import Scenario
from simulator.wire import ApiError, EventStream, Headers

# The one credential that no vendor here accepts.
WRONG_KEY: Final = "wrong-key"


class Endpoint(Protocol):
    """An address that takes a JSON body and answers."""

    @property
    def is_billed(self) -> bool:
        """Tell whether an answer costs anything."""

    def read(self, body: JsonObject, /) -> Request:
        """Read a request; raise ``ApiError`` where the vendor would refuse it."""

    def reply(self, request: Request, scenario: Scenario, /) -> Reply:
        """Answer a request as the scenario wishes."""

    def write(self, reply: Reply, request_id: str, /) -> bytes | EventStream:
        """Write a reply, whole or as a stream as the request asked."""


class Dialect(Protocol):
    """A vendor's wire format, both ways. Header names are lower case."""

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Tell where something can be posted."""

    def check_headers(self, headers: Mapping[str, str], /) -> None:
        """Refuse a request for its credential or its version, by raising ``ApiError``."""

    def look_up(self, method: str, path: str, /) -> JsonObject | None:
        """Answer a request that needs no body; None where the path is for none of those.

        It raises ``ApiError`` where the vendor would refuse.
        """

    def headers(self, request_id: str, /) -> Headers:
        """Give the headers of every answer; a gateway passes on few of them."""

    def error_body(self, error: ApiError, request_id: str, /) -> object:
        """Write an error."""

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

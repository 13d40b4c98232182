"""An address of the API as one declaration: what it takes, whom it serves, what it answers.

The same declaration checks the request, builds the answer and stands in the OpenAPI document.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, Generic, Literal, ParamSpec, TypeVar, cast

from flask import Response, request

from ai_gateway.errors import GatewayError, InvalidKey
from ai_gateway.web.api.caller import Access, Caller, admit, identify
from ai_gateway.web.api.fields import (
    LARGEST_ID,
    Answer,
    Body,
    NoQuery,
    Query,
    Shape,
    encoded,
    read_body,
    read_query,
)
from ai_gateway.web.error_bodies import error_answer

JSON = "application/json"
USER_ID = f"<int(min=1, max={LARGEST_ID}):user_id>"
"""The part of a rule that names a user; nobody has another number."""

KEY_ID = "<string(length=8):key_id>"
"""The part of a rule that names a virtual key."""

REQUEST_ID = "<string(maxlength=64):request_id>"
"""The part of a rule that names a request."""

Given = TypeVar("Given", bound=Shape)
Q = TypeVar("Q", bound=Query)
B = TypeVar("B", bound=Body)
A = TypeVar("A", bound=Answer)
Path = ParamSpec("Path")


@dataclass(frozen=True, slots=True)
class Asked(Generic[Given]):
    """Who asks, and the checked query, or for a change the checked body."""

    caller: Caller
    given: Given


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address with its one method. The docstring of the view describes it."""

    method: Literal["GET", "POST"]
    rule: str
    given: type[Shape]
    answer: type[Answer]
    access: Access
    view: Callable[..., Answer]

    def respond(self, **path: int | str) -> Response:
        """Answer the request: who asks comes before what, so that a stranger learns nothing."""
        try:
            caller = identify()
            admit(caller, self.access)
            answer = self.view(Asked(caller, self._read()), **path)
        except GatewayError as error:
            return error_response(error)
        return Response(encoded(answer), mimetype=JSON)

    def _read(self) -> Shape:
        query = self.given if self.method == "GET" else NoQuery
        given = read_query(cast(type[Query], query), request.args.to_dict(flat=False))
        if self.method == "GET":
            return given
        return read_body(cast(type[Body], self.given), request.get_data(cache=False))


def get(
    rule: str, query: type[Q], answer: type[A], access: Access = Access.OWN
) -> Callable[[Callable[Concatenate[Asked[Q], Path], A]], Endpoint]:
    """Declare an address that is read."""
    return lambda view: Endpoint("GET", rule, query, answer, access, view)


def post(
    rule: str, body: type[B], answer: type[A], access: Access
) -> Callable[[Callable[Concatenate[Asked[B], Path], A]], Endpoint]:
    """Declare an address that changes something."""
    return lambda view: Endpoint("POST", rule, body, answer, access, view)


def error_response(error: GatewayError) -> Response:
    """The answer to an error, in the one shape that the API has for all of them."""
    told = error_answer(error, "openai", "")
    response = Response(told.body, told.status, told.headers)
    if isinstance(error, InvalidKey):
        response.headers["WWW-Authenticate"] = 'Bearer realm="ai-gateway"'
    return response

"""What requests and answers of the API are made of; pydantic is used here and nowhere else.

One declaration checks a request or builds an answer, and describes it in the OpenAPI document.
Amounts are JSON numbers, exact to nine decimals, each with an integer of nano-USD beside it.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import SkipJsonSchema, models_json_schema

from ai_gateway.domain.limits import Window
from ai_gateway.domain.money import Money, usd_text
from ai_gateway.errors import InvalidRequest

LARGEST_ID = 2**63 - 1
MAX_DAYS = 366
MAX_LIMIT = 200
EARLIEST_DAY = date(2000, 1, 1)


class Shape(BaseModel):
    """Exactly the declared fields: a request may not bring others, an answer has no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Query(Shape):
    """The parameters of an address."""


class Body(Shape):
    """The JSON that a request brings."""


class Answer(Shape):
    """The JSON that an address answers."""


A = TypeVar("A", bound=Answer)


class NoQuery(Query):
    """An address without parameters."""


def read_facts(kind: type[A], facts: Mapping[str, Any]) -> A:
    """An answer made of the facts of a service, which have to be exactly its fields."""
    return kind.model_validate(facts)


def encoded(answer: Answer) -> bytes:
    return orjson.dumps(answer.model_dump())


def read_query(kind: type[Query], given: dict[str, list[str]]) -> Query:
    """Check the parameters of an address; raises `InvalidRequest` naming the first wrong one."""
    for name, values in given.items():
        if len(values) > 1:
            raise InvalidRequest(f"{name}: given more than once.", name)
    try:
        return kind.model_validate({name: values[0] for name, values in given.items()})
    except ValidationError as error:
        raise _refusal(kind, error) from error


def read_body(kind: type[Body], text: bytes) -> Body:
    """Check a JSON body; an empty one is an empty object. Raises `InvalidRequest`."""
    try:
        return kind.model_validate_json(text or b"{}")
    except ValidationError as error:
        raise _refusal(kind, error) from error


def _refusal(kind: type[Shape], error: ValidationError) -> InvalidRequest:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(first["loc"][0])[:100] if first["loc"] else None
    if first["type"] == "extra_forbidden":
        known = [field.alias or own for own, field in kind.model_fields.items()]
        listed = f"there are {', '.join(known)}" if known else "there are none"
        return InvalidRequest(f"{name!a} is not known here: {listed}.", name)
    # A rule of ours has said all; pydantic's own rules begin with a capital and name no field.
    said = first["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"{name}: {said}." if name else f"{said}.", name)


def _digits(value: object) -> object:
    """A parameter is text: nothing but digits is a number, though pydantic would take more."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 20):
        raise ValueError("use a whole number")
    return value


def _day(value: object) -> date:
    """Nothing but YYYY-MM-DD, though pydantic would take moments and timestamps too."""
    try:
        found = date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        found = None
    if found is None or found < EARLIEST_DAY:
        raise ValueError(f"use a day such as 2026-11-30, not before {EARLIEST_DAY}")
    return found


def _usd(amount: Money) -> orjson.Fragment:
    return orjson.Fragment(usd_text(amount))


def _number(value: Decimal) -> orjson.Fragment:
    return orjson.Fragment(f"{value:f}")


def rounded(value: Fraction | None, places: int) -> Decimal | None:
    """Half to even; None stays None."""
    return None if value is None else Decimal(round(value * 10**places)).scaleb(-places)


_DIGITS = BeforeValidator(_digits)
_NUMBER = WithJsonSchema({"type": "number"})

Usd = Annotated[Money, PlainSerializer(_usd, return_type=Any), _NUMBER]
"""An amount in USD, exact to nine decimals."""

NanoUsd = Annotated[Money, WithJsonSchema({"type": "integer", "format": "int64"})]
"""The same amount as an integer of nano-USD."""

Number = Annotated[Decimal, PlainSerializer(_number, return_type=Any), _NUMBER]
"""A number that was rounded to a stated count of decimals."""

Count = Annotated[int, Field(ge=0)]

Moment = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

Days = Annotated[int, Field(ge=1, le=MAX_DAYS), _DIGITS]
PageLimit = Annotated[int, Field(ge=1, le=MAX_LIMIT), _DIGITS]
UserId = Annotated[int, Field(ge=1, le=LARGEST_ID), _DIGITS]
Text = Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")]
"""PostgreSQL takes no NUL in a text."""

ModelName = Annotated[str, Field(min_length=1, max_length=160, pattern=r"^[^\x00]*$")]
Tokens = Annotated[int, Field(ge=0, le=10**9), _DIGITS]
MillionPrice = Annotated[str, Field(max_length=20, pattern=r"^[0-9]{1,7}([.][0-9]{1,6})?$")]
"""USD for a million tokens as a string, so that it stays exact."""

LimitChoice = Annotated[
    str, Field(max_length=20, pattern=r"^(inherit|none|[0-9]{1,7}([.][0-9]{1,9})?)$")
]
"""A limit in USD as a string, so that it stays exact; or `none`, or `inherit`."""

ModelNames = Annotated[tuple[ModelName, ...], Field(max_length=50)]

CostText = Annotated[str, Field(max_length=20, pattern=r"^[0-9]{1,7}([.][0-9]{1,9})?$")]
Milliseconds = Annotated[int, Field(ge=0, le=10**9), _DIGITS]
KeyId = Annotated[str, Field(max_length=8, pattern=r"^[0-9A-Za-z]*$")]
RowId = Annotated[int, Field(ge=1, le=LARGEST_ID)]
GivenMoment = AwareDatetime
"""A moment in a body, with its offset."""

Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]
Windows = Annotated[tuple[Window, ...], Field(min_length=1, max_length=2)]
Cursor = Annotated[str, Field(max_length=500)]
Absent = SkipJsonSchema[None]
"""A parameter that may be left out, but is never null."""

_Day = Annotated[date, BeforeValidator(_day)]
FirstDay = Annotated[_Day | Absent, Field(alias="from")]
LastDay = Annotated[_Day | Absent, Field(alias="to")]
"""Words of Python cannot be names of fields."""


REFERENCE = "#/components/schemas/{model}"


def schemas_of(given: Iterable[type[Shape]], answered: Iterable[type[Shape]]) -> dict[str, Any]:
    """The JSON Schemas of draft 2020-12, by name, which OpenAPI 3.1 takes as they are."""
    modes: list[tuple[type[Shape], Literal["validation", "serialization"]]] = [
        *((kind, "validation") for kind in given),
        *((kind, "serialization") for kind in answered),
    ]
    _, made = models_json_schema(modes, ref_template=REFERENCE)
    return dict(made["$defs"])

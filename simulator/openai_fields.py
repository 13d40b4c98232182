"""Reading the fields of a request as strictly as OpenAI does, with its complaints."""

from typing import Final

from simulator.openai_errors import invalid
from simulator.request import JsonObject
from simulator.vendor import Vendor
from simulator.wire import ApiError

_SERVED_TIERS: Final = {"flex": "flex", "priority": "priority", "fast": "priority"}


def read_model(body: JsonObject) -> str:
    """Read the model."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("you must provide a model parameter")
    return model


def read_tier(body: JsonObject) -> str:
    """Tell the service tier that will serve."""
    return _SERVED_TIERS.get(str(body.get("service_tier")), "default")


def read_stream_options(body: JsonObject, vendor: Vendor, *, is_stream: bool) -> JsonObject:
    """Read the options of a stream."""
    options = body.get("stream_options")
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise wrong_type("stream_options", "an object", options)
    if vendor.is_strict and not is_stream:
        raise invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    return options


def refuse_foreign(body: JsonObject, vendor: Vendor) -> None:
    """Refuse the fields that a vendor does not know."""
    for name in sorted(vendor.refused & body.keys()):
        error = invalid(vendor.refusal.format(field=name), name)
        error.status = vendor.refusal_status
        raise error


def array(body: JsonObject, name: str) -> list[object]:
    """Read a field that must be a list of objects."""
    value = body[name]
    if not isinstance(value, list):
        raise wrong_type(name, "an array of objects", value)
    return value


def boolean(body: JsonObject, name: str, *, default: bool = False) -> bool:
    """Read a field that is true, false or absent."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return value


def integer(body: JsonObject, name: str, *, least: int = 1, most: int | None = None) -> int | None:
    """Read a field that is a whole number within bounds, or absent."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, "an integer", value)
    if value < least:
        raise _out_of_range(name, value, "below minimum", f"a value >= {least}")
    if most is not None and value > most:
        raise _out_of_range(name, value, "above maximum", f"a value <= {most}")
    return value


def missing(name: str) -> ApiError:
    """Refuse a request that lacks a field."""
    return invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def wrong_type(name: str, expected: str, value: object) -> ApiError:
    """Refuse a field for its type."""
    return invalid(
        f"Invalid type for '{name}': expected {expected}, but got {_type_words(value)} instead.",
        name,
        "invalid_type",
    )


def wrong_value(name: str, value: object, supported: tuple[str, ...]) -> ApiError:
    """Refuse a field that takes a few values only."""
    known = ", ".join(f"'{value}'" for value in supported[:-1])
    return invalid(
        f"Invalid value: '{value}'. Supported values are: {known}, and '{supported[-1]}'.",
        name,
        "invalid_value",
    )


def _out_of_range(name: str, value: int, side: str, expected: str) -> ApiError:
    return invalid(
        f"Invalid '{name}': integer {side} value. Expected {expected}, but got {value} instead.",
        name,
        f"integer_{side.replace(' ', '_')}_value",
    )


def _type_words(value: object) -> str:
    names: dict[type, str] = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")

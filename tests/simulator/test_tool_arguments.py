"""Arguments that satisfy the schema of a function."""

import pytest

from simulator.request import JsonObject
from simulator.tool_arguments import arguments_for

# What one property asks for, and the value it gets.
PROPERTIES: dict[str, tuple[JsonObject, object]] = {
    "anything": ({}, "simulated"),
    "string": ({"type": "string"}, "simulated"),
    "long string": ({"type": "string", "minLength": 12}, "simulatedxxx"),
    "short string": ({"type": "string", "maxLength": 2}, "si"),
    "format": ({"type": "string", "format": "date"}, "2026-01-01"),
    "enum": ({"enum": ["celsius", "kelvin"]}, "celsius"),
    "const": ({"const": 3}, 3),
    "default": ({"type": "integer", "default": 4}, 4),
    "null default": ({"type": "string", "default": None}, None),
    "integer": ({"type": "integer"}, 1),
    "number": ({"type": "number"}, 1),
    "minimum": ({"type": "integer", "minimum": 5}, 5),
    "above": ({"type": "integer", "exclusiveMinimum": 5}, 6),
    "maximum": ({"type": "integer", "maximum": -5}, -5),
    "below": ({"type": "integer", "exclusiveMaximum": -5}, -6),
    "multiple": ({"type": "integer", "multipleOf": 3, "minimum": 7}, 9),
    "boolean": ({"type": "boolean"}, True),
    "null": ({"type": "null"}, None),
    "nullable": ({"type": ["null", "boolean"]}, True),
    "list": ({"type": "array", "items": {"type": "boolean"}}, [True]),
    "long list": ({"type": "array", "items": {"enum": [7]}, "minItems": 2}, [7, 7]),
    "any of": ({"anyOf": [{"type": "number"}, {"type": "null"}]}, 1),
    "reference": ({"$ref": "#/$defs/place"}, {"at": 1}),
    "missing reference": ({"$ref": "#/$defs/nowhere"}, "simulated"),
    "all of": (
        {
            "allOf": [
                {"properties": {"b": {"type": "null"}}, "required": ["b"]},
                {"$ref": "#/$defs/place"},
            ]
        },
        {"b": None, "at": 1},
    ),
}


@pytest.mark.parametrize(("schema", "value"), PROPERTIES.values(), ids=PROPERTIES.keys())
def test_property_gets_a_value_of_its_kind(schema: JsonObject, value: object) -> None:
    place = {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]}
    function: JsonObject = {
        "type": "object",
        "properties": {"it": schema},
        "$defs": {"place": place},
    }
    assert arguments_for(function) == {"it": value}


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": "string"}])
def test_function_without_properties_gets_no_arguments(schema: JsonObject) -> None:
    assert arguments_for(schema) == {}


def test_tree_ends_where_nothing_more_is_required() -> None:
    tree: JsonObject = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "left": {"$ref": "#"}},
        "required": ["value"],
    }
    assert str(arguments_for(tree)).endswith("'left': {'value': 1}}}")


def test_schema_that_requires_itself_still_gives_arguments() -> None:
    endless: JsonObject = {
        "type": "object",
        "properties": {"next": {"$ref": "#"}},
        "required": ["next"],
    }
    assert "next" in arguments_for(endless)

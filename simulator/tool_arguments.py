"""Arguments for a tool call, made from the function's JSON Schema: valid, small and repeatable.

It knows the part of JSON Schema that tools use. Where a schema says more (pattern, combined
``allOf`` of conflicting parts), the value may not satisfy it.
"""

from collections.abc import Callable
from typing import Final

from simulator.request import JsonObject

# Schemas may refer to themselves; below this depth only required properties are filled in.
_OPTIONAL_DEPTH: Final = 4
_DEEPEST: Final = 32

_FORMATS: Final = {
    "date-time": "2026-01-01T12:00:00Z",
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "simulator@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def arguments_for(schema: JsonObject) -> JsonObject:
    """Make arguments that satisfy the schema of a function."""
    value = _Maker(schema).value(schema, 0)
    return value if isinstance(value, dict) else {}


class _Maker:
    """Makes values for the parts of one schema, whose root the references point into."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._by_type: dict[str, Callable[[JsonObject, int], object]] = {
            "object": self._object,
            "array": self._array,
            "string": _string,
            "integer": _integer,
            "number": _integer,
            "boolean": lambda _schema, _depth: True,
            "null": lambda _schema, _depth: None,
        }

    def value(self, schema: object, depth: int) -> object:
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return "simulated"
        if "$ref" in schema:
            return self.value(self._referred(schema["$ref"]), depth + 1)
        fixed = _fixed(schema)
        if fixed is not None:
            return fixed[0]
        for combiner in ("anyOf", "oneOf", "allOf"):
            options = schema.get(combiner)
            if isinstance(options, list) and options:
                return self.value(self._combined(schema, combiner, options), depth + 1)
        return self._by_type.get(_type_of(schema), _string)(schema, depth)

    def _combined(self, schema: JsonObject, combiner: str, options: list[object]) -> JsonObject:
        merged = {key: value for key, value in schema.items() if key != combiner}
        for option in options if combiner == "allOf" else options[:1]:
            resolved = self._resolved(option)
            if isinstance(resolved, dict):
                merged = _merged(merged, resolved)
        return merged

    def _resolved(self, schema: object) -> object:
        if isinstance(schema, dict) and "$ref" in schema:
            return self._referred(schema["$ref"])
        return schema

    def _referred(self, reference: object) -> object:
        found: object = self._root
        for step in str(reference).removeprefix("#").strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if name:
                found = found.get(name) if isinstance(found, dict) else None
        return found

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = schema.get("properties")
        required = schema.get("required")
        names = list(required) if isinstance(required, list) else []
        if not isinstance(properties, dict):
            properties = {}
        if depth < _OPTIONAL_DEPTH:
            names = list(dict.fromkeys([*properties, *names]))
        return {name: self.value(properties.get(name), depth + 1) for name in names}

    def _array(self, schema: JsonObject, depth: int) -> list[object]:
        least = schema.get("minItems")
        count = least if isinstance(least, int) else int(depth < _OPTIONAL_DEPTH)
        return [self.value(schema.get("items"), depth + 1) for _ in range(min(count, 100))]


def _fixed(schema: JsonObject) -> tuple[object] | None:
    """Find a value that the schema names itself; in a tuple, as null may be that value."""
    if "const" in schema:
        return (schema["const"],)
    for name in ("enum", "examples"):
        values = schema.get(name)
        if isinstance(values, list) and values:
            return (values[0],)
    return (schema["default"],) if "default" in schema else None


def _type_of(schema: JsonObject) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "string"


def _merged(base: JsonObject, extra: JsonObject) -> JsonObject:
    merged = base | extra
    for name in ("properties", "required"):
        old, new = base.get(name), extra.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            merged[name] = old | new
        if isinstance(old, list) and isinstance(new, list):
            merged[name] = old + new
    return merged


def _string(schema: JsonObject, _depth: int) -> str:
    text = _FORMATS.get(str(schema.get("format")), "simulated")
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int):
        text = text.ljust(min(least, 10_000), "x")
    return text[:most] if isinstance(most, int) else text


def _integer(schema: JsonObject, _depth: int) -> float:
    step = _number(schema, "multipleOf") or 1
    value: float = step
    least, above = _number(schema, "minimum"), _number(schema, "exclusiveMinimum")
    most, below = _number(schema, "maximum"), _number(schema, "exclusiveMaximum")
    if least is not None and value < least:
        value = -(-least // step) * step
    if above is not None and value <= above:
        value = (above // step + 1) * step
    if most is not None and value > most:
        value = most // step * step
    if below is not None and value >= below:
        value = (-(-below // step) - 1) * step
    return value


def _number(schema: JsonObject, name: str) -> float | None:
    value = schema.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None

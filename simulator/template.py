"""JSON with blanks: how the tables write what differs between vendors."""

from collections.abc import Mapping

from simulator.request import JsonObject


def filled(template: JsonObject, values: Mapping[str, object]) -> JsonObject:
    """Fill in the blanks of an object: ``$name`` becomes a value, whatever its type; a field whose
    blank is ``?name`` is left out when that value is None.
    """
    return {
        key: filled_value(blank, values)
        for key, blank in template.items()
        if not (_is_optional(blank) and values[str(blank)[1:]] is None)
    }


def filled_value(template: object, values: Mapping[str, object]) -> object:
    """Fill in the blanks of any JSON value."""
    if isinstance(template, str) and template[:1] in ("$", "?"):
        return values[template[1:]]
    if isinstance(template, dict):
        return filled(template, values)
    if isinstance(template, list):
        return [filled_value(item, values) for item in template]
    return template


def _is_optional(blank: object) -> bool:
    return isinstance(blank, str) and blank.startswith("?")

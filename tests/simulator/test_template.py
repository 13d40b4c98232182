"""JSON with blanks."""

from simulator.request import JsonObject
from simulator.template import filled, filled_value


def test_blank_takes_a_value_of_any_type() -> None:
    template: JsonObject = {"a": "$n", "b": [{"c": "$s"}], "d": "plain", "e": None}
    assert filled(template, {"n": 5, "s": "x"}) == {
        "a": 5,
        "b": [{"c": "x"}],
        "d": "plain",
        "e": None,
    }


def test_optional_blank_is_left_out_without_a_value() -> None:
    assert filled({"a": "?n", "b": "?m"}, {"n": None, "m": 0}) == {"b": 0}


def test_whole_template_may_be_a_list() -> None:
    assert filled_value(["$n"], {"n": 5}) == [5]

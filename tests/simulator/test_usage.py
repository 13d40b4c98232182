"""Counting tokens by the documented rule."""

import pytest

from simulator.usage import content_tokens, json_tokens, message_tokens, text_tokens


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("\u20ac\u20ac", 2)]
)
def test_text_counts_a_quarter_of_its_bytes_rounded_up(text: str, tokens: int) -> None:
    assert text_tokens(text) == tokens


def test_parts_count_one_by_one_and_media_count_the_same_whatever_their_size() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
    assert content_tokens([{"type": "text", "text": "fives"}, image]) == 2 + 85


def test_result_of_a_tool_counts_its_content() -> None:
    result = {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": "a"}]}
    assert content_tokens([result]) == 1


def test_message_costs_four_more_and_its_tool_calls() -> None:
    calls = [{"id": "call_1"}]
    assert message_tokens({"role": "assistant", "content": None, "tool_calls": calls}) == 4 + 5


@pytest.mark.parametrize("nothing", [None, []])
def test_nothing_costs_nothing(nothing: object) -> None:
    assert json_tokens(nothing) == 0

"""Tokens by bytes, where a provider reports none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.domain.usage import Usage
from ai_gateway.services.counting import BOUNDS, FIRST_BYTES_PER_TOKEN, TokenCounter


def taught(*answers: tuple[int, int]) -> TokenCounter:
    """A counter that has seen answers of so many tokens and bytes."""
    counter = TokenCounter()
    for tokens, text_bytes in answers:
        counter.learn("m", Usage(output_tokens=tokens), text_bytes)
    return counter


def test_four_bytes_are_a_token_at_first() -> None:
    assert TokenCounter().count("m", input_bytes=400, text_bytes=40) == Usage(
        input_tokens=100, output_tokens=10
    )


@pytest.mark.parametrize(("text_bytes", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2)])
def test_a_part_of_a_token_is_a_token(text_bytes: int, tokens: int) -> None:
    assert TokenCounter().output_tokens("m", text_bytes) == tokens


def test_ratio_moves_towards_what_was_metered() -> None:
    counter = taught(*[(100, 200)] * 200)
    assert counter.output_tokens("m", 2_000) == pytest.approx(1_000, abs=1)
    assert counter.output_tokens("other", 2_000) == 500


def test_one_odd_answer_moves_little() -> None:
    assert taught((1, 10**6)).output_tokens("m", 4_000) > 900


@pytest.mark.parametrize("answer", [(0, 100), (100, 0), (-5, 100)], ids=str)
def test_answer_without_text_or_tokens_teaches_nothing(answer: tuple[int, int]) -> None:
    assert taught(*[answer] * 100).output_tokens("m", 400) == 100


def test_hidden_reasoning_teaches_nothing() -> None:
    counter = TokenCounter()
    for _ in range(500):
        counter.learn("m", Usage(output_tokens=1_000, reasoning_tokens=900), 400)
    assert counter.output_tokens("m", 4_000) == pytest.approx(1_000, abs=1)


@given(st.lists(st.tuples(st.integers(-5, 10**6), st.integers(0, 10**6))))
def test_ratio_stays_within_its_bounds(answers: list[tuple[int, int]]) -> None:
    low, high = BOUNDS
    tokens = taught(*answers).output_tokens("m", 12_000)
    assert 12_000 / high <= tokens <= 12_000 / low
    assert low <= FIRST_BYTES_PER_TOKEN <= high


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_reported_output_is_never_lowered(reported: int, text_bytes: int) -> None:
    usage = Usage(input_tokens=7, cached_input_tokens=3, output_tokens=reported)
    raised = TokenCounter().complete("m", usage, input_bytes=400, text_bytes=text_bytes)
    assert raised.output_tokens == max(reported, -(-text_bytes // 4))
    assert (raised.input_tokens, raised.cached_input_tokens) == (7, 3)


def test_input_that_is_told_to_be_nothing_so_far_is_counted() -> None:
    raised = TokenCounter().complete("m", Usage(), input_bytes=400, text_bytes=0)
    assert raised == Usage(input_tokens=100)

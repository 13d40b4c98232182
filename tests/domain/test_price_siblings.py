"""Which names are of one model, and which of an older version of it."""

import pytest

from ai_gateway.domain.price_siblings import is_own, nearest_older, plain_name

NAMES = ("gpt-4.1-mini", "gpt-5-mini", "gpt-5-mini-2026-08-07", "gpt-5", "gpt-4o-mini", "o3-mini")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3-3-70b-instruct"),
        ("llama-3.3-70b-instruct:free", "llama-3-3-70b-instruct"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("gpt-4o-2024-05-13", "gpt-4o"),
        ("mistral-small-latest", "mistral-small"),
    ],
)
def test_plain_name(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("model", "names", "expected"),
    [
        ("gpt-6-mini", NAMES, "gpt-5-mini"),
        ("gpt-4.5-mini", NAMES, "gpt-4.1-mini"),
        ("gpt-4-mini", NAMES, None),
        ("gpt-6-nano", NAMES, None),
        ("o4-mini", NAMES, None),
        ("ft:gpt-6-mini:us:1", NAMES, None),
        ("claude-haiku-6", ("claude-3-5-haiku", "claude-haiku-4-5"), "claude-haiku-4-5"),
        ("llama-4-70b", ("llama-3.3-70b", "llama-3.3-8b"), "llama-3.3-70b"),
    ],
)
def test_nearest_older_version(model: str, names: tuple[str, ...], expected: str | None) -> None:
    assert nearest_older(model, names) == expected


def test_fine_tuned_models_have_no_sibling() -> None:
    assert is_own("ft:gpt-4o-mini:acme::abc")
    assert is_own("")
    assert not is_own("gpt-4o-mini")

"""The colours of charts can be told apart by every kind of sight, and look like no state.

Sight is simulated by the matrices of Machado, Oliveira and Fernandes (2009) for the full severity;
distances are those of OKLab, where 0.02 is about the least that an eye notices.
"""

import math
import re
from itertools import combinations

import pytest

from tests.web.staff_app import PROJECT

Colour = tuple[float, ...]

STYLE = (PROJECT / "ai_gateway" / "static" / "house.css").read_text()
SERIES = [f"series-{number}" for number in range(1, 9)]
STATES = ["ok", "warning", "exceeded"]
THEMES = pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
SIGHTS = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "no green": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "no blue": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
OKLAB_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
OKLAB = (
    (0.2104542553, 0.793617785, -0.0040720468),
    (1.9779984951, -2.428592205, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.808675766),
)


def colour(name: str, theme: int) -> Colour:
    """The linear red, green and blue of a custom property."""
    found = re.search(rf"--{name}: light-dark\((#\w{{6}}), (#\w{{6}})\)", STYLE)
    assert found is not None, name
    return tuple(linear(int(found[theme + 1][at : at + 2], 16) / 255) for at in (1, 3, 5))


def linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def times(matrix: tuple[tuple[float, ...], ...], value: Colour) -> Colour:
    return tuple(sum(a * b for a, b in zip(row, value, strict=True)) for row in matrix)


def seen(value: Colour, sight: str) -> Colour:
    shown = tuple(min(max(part, 0.0), 1.0) for part in times(SIGHTS[sight], value))
    return times(OKLAB, tuple(cone ** (1 / 3) for cone in times(OKLAB_CONES, shown)))


def luminance(value: Colour) -> float:
    return 0.2126 * value[0] + 0.7152 * value[1] + 0.0722 * value[2]


@THEMES
@pytest.mark.parametrize("sight", SIGHTS)
def test_series_can_be_told_apart(theme: int, sight: str) -> None:
    for one, other in combinations(SERIES, 2):
        distance = math.dist(seen(colour(one, theme), sight), seen(colour(other, theme), sight))
        assert distance > 0.08, (one, other)


@THEMES
def test_no_series_looks_like_a_state(theme: int) -> None:
    for one in SERIES:
        for state in STATES:
            distance = math.dist(
                seen(colour(one, theme), "full"), seen(colour(state, theme), "full")
            )
            assert distance > 0.1, (one, state)


@THEMES
def test_every_series_stands_out_from_the_card(theme: int) -> None:
    surface = luminance(colour("surface", theme))
    for name in (*SERIES, "series-rest", "series-plan"):
        low, high = sorted((surface, luminance(colour(name, theme))))
        assert (high + 0.05) / (low + 0.05) >= 3, name

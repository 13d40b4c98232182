"""What the simulator says: friendly words that own up to being made up, or a tool call."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice
from typing import Final

import orjson

from simulator.request import Request, Tool
from simulator.scenario import Scenario
from simulator.tool_arguments import arguments_for

_OPENING: Final = (
    "Hello from the AI Gateway simulator: no model was asked, no money was spent "
    "and nothing left this machine."
)
_SENTENCES: Final = (
    "The wire format is the real one, so your client should not notice the difference.",
    "Set a provider key and restart to talk to a model that can think for itself.",
    "Your question arrived in one piece, and I enjoyed being asked.",
    "Every word of mine counts as exactly one token, which keeps the arithmetic pleasant.",
    "If you came to test a budget, watch the numbers on the dashboard move now.",
    "I give the same answer to the same question, which is more than most of us manage.",
    "Markers in the prompt can make me slow, silent or broken, so do try them.",
)
_USUAL_SENTENCES: Final = 2
_ARGUMENT_PIECE: Final = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice: pieces of one token each, which joined are the text or a tool's arguments."""

    pieces: tuple[str, ...]
    is_capped: bool
    tool: Tool | None = None

    @property
    def text(self) -> str:
        """All pieces as one."""
        return "".join(self.pieces)


def compose(request: Request, scenario: Scenario, *, choice: int, budget: int | None) -> Answer:
    """Make one choice of an answer; ``budget`` is the most tokens it may have."""
    tool = request.tools.forced or (request.tools.offered if scenario.calls_tool else None)
    if tool is not None:
        pieces = tuple(_argument_pieces(tool))
        length = len(pieces)
    else:
        # Never more words than the cap lets through: a test may ask for a million.
        length = _length(request, scenario, choice)
        wanted = length if budget is None else min(length, budget)
        pieces = tuple(islice(_words(request.seed + choice), wanted))
    if budget is not None and budget < length:
        return Answer(pieces[:budget], is_capped=True, tool=tool)
    return Answer(pieces, is_capped=False, tool=tool)


def _length(request: Request, scenario: Scenario, choice: int) -> int:
    if scenario.tokens is not None:
        return scenario.tokens
    sentences = islice(_sentences(request.seed + choice), 1 + _USUAL_SENTENCES)
    return sum(len(sentence.split()) for sentence in sentences)


def _words(seed: int) -> Iterator[str]:
    """Yield words without end; all but the first bring the space before them."""
    words = chain.from_iterable(sentence.split() for sentence in _sentences(seed))
    yield next(words)
    for word in words:
        yield " " + word


def _sentences(seed: int) -> Iterator[str]:
    start = seed % len(_SENTENCES)
    return chain([_OPENING], cycle(_SENTENCES[start:] + _SENTENCES[:start]))


def _argument_pieces(tool: Tool) -> Iterator[str]:
    text = orjson.dumps(arguments_for(tool.schema)).decode()
    for start in range(0, len(text), _ARGUMENT_PIECE):
        yield text[start : start + _ARGUMENT_PIECE]

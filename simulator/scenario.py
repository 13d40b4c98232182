"""What a prompt can ask of the simulator, by markers in the text of the last user message.

An address without messages has its markers in its input or prompt.

Several markers may be combined, anywhere in the text; the later of two equal ones wins. Text in
double brackets that is no marker (``[[wiki link]]``) is left alone; a marker with a value that
makes no sense is answered with status 400, so that a slip in a test shows.

======================  ==========================================================================
marker                  effect
======================  ==========================================================================
``[[tokens=N]]``        the answer has N words, one token each, one chunk each in a stream
``[[delay=MS]]``        wait before the first byte (also of an error)
``[[pace=MS]]``         wait between two content chunks
``[[silence=MS]]``      wait once, after the first content chunk, then go on
``[[usage=off]]``       never send usage; it is still booked under ``/_control/calls``
``[[status=NNN]]``      answer with that HTTP error and the vendor's body (429: ``retry-after``)
``[[cut=N]]``           reset the connection (RST) after N content chunks
``[[stall=N]]``         fall silent after N content chunks, hold the connection, 600 s at most
``[[error=N]]``         the vendor's in-stream error event after N content chunks
``[[failed=N]]``        the same, but a response ends as failed: ``response.failed`` in a stream
``[[crlf]]``            end the lines of the stream with CRLF
``[[split=N]]``         write the stream in pieces of N bytes, whatever the bounds of events
``[[input=N]]``         the total of input tokens, cached and written ones included
``[[cached=N]]``        input tokens read from the provider's cache
``[[cache_write=N]]``   input tokens written to the cache, short retention
``[[cache_write_1h=N]]``  the same, long retention
``[[reasoning=N]]``     hidden reasoning, billed as output on top of the words
``[[tool]]``            call the first tool offered, unless a tool's result was just handed in
``[[garbage]]``         a body that is not JSON; in a stream, an event that breaks off
``[[redirect]]``        a 302 to http://127.0.0.1:1/
======================  ==========================================================================

N of ``cut``, ``stall``, ``error`` and ``failed`` counts content chunks: 0 is after the opening
events of a stream, and an N beyond the answer's length is right after its last content chunk.
Thinking that is shown is no content, nor are comments. An answer that is not streamed is cut or
stalled before its first byte (N = 0) or in its middle (any other N); ``error``, ``silence``,
``crlf`` and ``split`` do nothing to it, and ``failed`` only makes a response say that it failed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

_MARKER: Final = re.compile(r"\[\[([a-z0-9_]+)(?:=([^\[\]\s]*))?\]\]")
_LARGEST_COUNT: Final = 10_000_000
_LONGEST_WAIT_MS: Final = 600_000


class ScenarioError(ValueError):
    """A known marker with a value that makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The wishes of one prompt; the default is a plain, healthy answer."""

    tokens: int | None = None
    delay_seconds: float = 0.0
    pace_seconds: float = 0.0
    silence_seconds: float = 0.0
    shows_usage: bool = True
    status: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    error_after: int | None = None
    ends_as_failed: bool = False
    uses_crlf: bool = False
    split_bytes: int | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    calls_tool: bool = False
    is_garbage: bool = False
    is_redirect: bool = False


HEALTHY: Final = Scenario()


def parse_scenario(text: str) -> Scenario:
    """Read the markers in a text.

    Raises:
        ScenarioError: a known marker has an unusable value.

    """
    scenario = HEALTHY
    if "[[" not in text:
        return scenario
    for found in _MARKER.finditer(text):
        name, value = found.groups()
        if name not in _EFFECTS:
            continue
        try:
            scenario = _EFFECTS[name](scenario, value)
        except ValueError as error:
            raise ScenarioError(f"simulator: bad marker {found[0]}: {error}") from error
    return scenario


def unknown_markers(text: str) -> list[str]:
    """List what looks like a marker but is none."""
    return [found[0] for found in _MARKER.finditer(text) if found[1] not in _EFFECTS]


def _number(value: str | None, *, least: int = 0, most: int = _LARGEST_COUNT) -> int:
    if value is None or not (value.isascii() and value.isdigit()):
        raise ValueError("a whole number is needed")
    number = int(value)
    if not least <= number <= most:
        raise ValueError(f"must be from {least} to {most}")
    return number


def _seconds(value: str | None) -> float:
    return _number(value, most=_LONGEST_WAIT_MS) / 1000


def _is_on(value: str | None) -> bool:
    if value not in (None, "on", "off"):
        raise ValueError("takes on or off")
    return value != "off"


_EFFECTS: Final[dict[str, Callable[[Scenario, str | None], Scenario]]] = {
    "tokens": lambda old, value: replace(old, tokens=_number(value)),
    "delay": lambda old, value: replace(old, delay_seconds=_seconds(value)),
    "pace": lambda old, value: replace(old, pace_seconds=_seconds(value)),
    "silence": lambda old, value: replace(old, silence_seconds=_seconds(value)),
    "usage": lambda old, value: replace(old, shows_usage=_is_on(value)),
    "status": lambda old, value: replace(old, status=_number(value, least=400, most=599)),
    "cut": lambda old, value: replace(old, cut_after=_number(value)),
    "stall": lambda old, value: replace(old, stall_after=_number(value)),
    "error": lambda old, value: replace(old, error_after=_number(value)),
    "failed": lambda old, value: replace(old, error_after=_number(value), ends_as_failed=True),
    "crlf": lambda old, value: replace(old, uses_crlf=_is_on(value)),
    "split": lambda old, value: replace(old, split_bytes=_number(value, least=1)),
    "input": lambda old, value: replace(old, input_tokens=_number(value)),
    "cached": lambda old, value: replace(old, cached_tokens=_number(value)),
    "cache_write": lambda old, value: replace(old, cache_write_tokens=_number(value)),
    "cache_write_1h": lambda old, value: replace(old, cache_write_1h_tokens=_number(value)),
    "reasoning": lambda old, value: replace(old, reasoning_tokens=_number(value)),
    "tool": lambda old, value: replace(old, calls_tool=_is_on(value)),
    "garbage": lambda old, value: replace(old, is_garbage=_is_on(value)),
    "redirect": lambda old, value: replace(old, is_redirect=_is_on(value)),
}

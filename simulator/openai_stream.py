"""Writing a reply as a stream of chunks, with the usage where the vendor has it.

Chats and legacy completions have the same stream around different choices.
"""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final, Protocol

from simulator.billing import usage_values
from simulator.openai_errors import blanks, broken
from simulator.reply import Reply
from simulator.request import JsonObject
from simulator.template import filled, filled_value
from simulator.usage import Usage
from simulator.vendor import Places, UsagePlace, Vendor
from simulator.wire import EventStream, Part, PartKind, data_event

DONE: Final = b"data: [DONE]\n\n"
SAFE: Final[JsonObject] = {
    name: {"filtered": False, "severity": "safe"}
    for name in ("hate", "self_harm", "sexual", "violence")
}
_COMMENTS: Final = 2
_OBFUSCATION: Final = "rYk3vQ8sLw1TzB6m"
_AT_FINISH: Final = frozenset({UsagePlace.FINISH_CHUNK, UsagePlace.EVERY_CHUNK})


class ChoiceWriter(Protocol):
    """How an address writes the choices of its stream."""

    @property
    def envelope(self) -> JsonObject:
        """Tell what all chunks have in common."""

    def opening(self, index: int) -> list[JsonObject]:
        """Write what comes before the first piece of a choice."""

    def piece(self, index: int, piece: str) -> JsonObject:
        """Write a piece of a choice."""

    def finish(self, index: int) -> JsonObject:
        """Write the end of a choice."""

    def nothing(self) -> JsonObject:
        """Write a choice that says nothing."""


def envelope(reply: Reply, vendor: Vendor, *, prefix: str, kind: str) -> JsonObject:
    """Write what a whole answer and every chunk of a streamed one have in common."""
    return {
        "id": f"{vendor.id_prefix or prefix}{reply.unique}",
        "object": kind,
        "created": reply.created,
        "model": reply.served_model,
        **filled(vendor.envelope, {"service_tier": reply.request.service_tier}),
    }


def usage_object(reply: Reply, vendor: Vendor, usage: Usage | None = None) -> JsonObject:
    """Write a usage, the final one by default, with what the vendor adds."""
    values = usage_values(usage or reply.usage, reply.served_model)
    return filled({**vendor.usage, **vendor.costs}, values)


def event_stream(reply: Reply, vendor: Vendor, writer: ChoiceWriter) -> EventStream:
    """Write a stream and the event that breaks it."""
    chunks = _Chunks(reply, vendor, writer)
    return EventStream(chunks.parts(), chunks.error_event)


class _Chunks:
    """One stream, while it is being written."""

    def __init__(self, reply: Reply, vendor: Vendor, writer: ChoiceWriter) -> None:
        self._reply = reply
        self._vendor = vendor
        self._writer = writer
        self._places = _places(reply, vendor)
        self._last = len(reply.answers) - 1
        self._sent = 0

    def parts(self) -> Iterator[Part]:
        """Write the stream; with several choices their chunks take turns."""
        answers = self._reply.answers
        yield from self._preamble()
        for index in range(len(answers)):
            for choice in self._writer.opening(index):
                yield Part(PartKind.OPENING, self._chunk(choice))
        for row in zip_longest(*(answer.pieces for answer in answers)):
            for index, piece in enumerate(row):
                if piece is not None:
                    self._sent += 1
                    choice = self._writer.piece(index, piece)
                    yield Part(PartKind.CONTENT, self._chunk(choice, piece))
        for index in range(len(answers)):
            yield Part(PartKind.CLOSING, self._finish(index))
        yield from self._usage_chunks()
        yield Part(PartKind.CLOSING, DONE)

    def error_event(self) -> bytes:
        """Write the chunk that breaks the stream."""
        error, vendor = blanks(broken()), self._vendor
        if vendor.stream_error is None:
            return data_event(filled_value(vendor.error, error))
        return data_event({**self._writer.envelope, **filled(vendor.stream_error, error)})

    def _preamble(self) -> Iterator[Part]:
        if self._vendor.comment:
            comment = f": {self._vendor.comment}\n\n".encode()
            for _ in range(_COMMENTS):
                yield Part(PartKind.OPENING, comment)
        if self._vendor.filters_content:
            filtered = {"prompt_index": 0, "content_filter_results": SAFE}
            first = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
            yield Part(PartKind.OPENING, data_event({**first, "prompt_filter_results": [filtered]}))

    def _chunk(self, choice: JsonObject, piece: str = "") -> bytes:
        fields: JsonObject = {}
        if UsagePlace.EVERY_CHUNK in self._places:
            running = self._reply.running_usage(self._sent)
            fields["usage"] = usage_object(self._reply, self._vendor, running)
        if self._vendor.filters_content:
            choice = {**choice, "content_filter_results": SAFE if piece else {}}
        return self._event([choice], fields, piece)

    def _finish(self, index: int) -> bytes:
        """End a choice; the usage is with the last one."""
        choice, places, fields = self._writer.finish(index), self._places, JsonObject()
        if self._vendor.filters_content:
            choice = {**choice, "content_filter_results": {}}
        if index == self._last:
            usage = usage_object(self._reply, self._vendor)
            if places & _AT_FINISH:
                fields["usage"] = usage
            if UsagePlace.CHOICE in places:
                choice = {**choice, "usage": usage}
            if UsagePlace.X_GROQ in places:
                fields["x_groq"] = {"id": f"req_{self._reply.unique}", "usage": usage}
        return self._event([choice], fields)

    def _usage_chunks(self) -> Iterator[Part]:
        fields: JsonObject = {"usage": usage_object(self._reply, self._vendor)}
        if UsagePlace.EMPTY_CHUNK in self._places:
            yield Part(PartKind.CLOSING, self._event([self._writer.nothing()], fields))
        if UsagePlace.OWN_CHUNK in self._places:
            yield Part(PartKind.CLOSING, self._event([], fields))

    def _event(self, choices: list[JsonObject], fields: JsonObject, piece: str = "") -> bytes:
        """Write a chunk.

        OpenAI pads chunks with random letters to hide their length from a listener on the line; a
        gateway that counts bytes must not take them for text.
        """
        chunk = {**self._writer.envelope, "choices": choices}
        if self._vendor.nulls and self._places:
            chunk["usage"] = None
        chunk.update(fields)
        if self._vendor.pads_chunks and self._reply.request.is_obfuscated:
            chunk["obfuscation"] = _OBFUSCATION[len(piece) % len(_OBFUSCATION) :]
        return data_event(chunk)


def _places(reply: Reply, vendor: Vendor) -> Places:
    request = reply.request
    if not reply.shows_usage:
        return frozenset()
    if not request.wants_usage_chunk:
        return vendor.unasked
    if request.wants_running_usage and vendor.running_if_asked:
        return vendor.asked | {UsagePlace.EVERY_CHUNK}
    return vendor.asked

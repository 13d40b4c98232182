"""Writing a response as a stream of events, each with its number."""

from collections.abc import Callable, Iterator
from typing import Final

from simulator.openai_errors import broken
from simulator.reply import Reply
from simulator.request import JsonObject
from simulator.responses_reply import failed, finished, output_items, text_part, unfinished
from simulator.vendor import Vendor
from simulator.wire import Part, PartKind, named_event

_OBFUSCATION: Final = "mZ4xN0cVb7Lk2Jh9"

Keep = Callable[[JsonObject], None]


class ResponseEvents:
    """One stream, while it is being written; ``keep`` gets the response when it is there."""

    def __init__(self, reply: Reply, vendor: Vendor, keep: Keep) -> None:
        self._reply = reply
        self._vendor = vendor
        self._keep = keep
        self._number = 0

    def parts(self) -> Iterator[Part]:
        """Write the stream."""
        is_background = self._reply.request.keeping.is_background
        yield self._opening("created", "queued" if is_background else "in_progress")
        if is_background:
            yield self._opening("queued", "queued")
        yield self._opening("in_progress", "in_progress")
        for index, item in enumerate(output_items(self._reply)):
            yield from self._item(index, item)
        response = finished(self._reply, self._vendor)
        self._keep(response)
        yield self._part(PartKind.CLOSING, f"response.{response['status']}", {"response": response})

    def error_event(self) -> bytes:
        """Write the event that ends a stream in its middle."""
        if self._reply.ends_as_failed:
            response = failed(self._reply)
            self._keep(response)
            return self._event("response.failed", {"response": response})
        # As it is seen, from OpenAI and Azure; their page has the fields of the error bare
        # (openai/openai-node#2021, 2026-08).
        error = {"type": "server_error", "code": None, "message": broken().message, "param": None}
        return self._event("error", {"error": error})

    def _item(self, index: int, item: JsonObject) -> Iterator[Part]:
        """Write one item: announced as a draft, filled in, and told again as a whole."""
        kind = item["type"]
        if kind == "message":
            yield self._item_event(PartKind.OPENING, "added", index, {**item, "content": []})
            yield from self._text(index, str(item["id"]))
        elif kind == "function_call":
            yield self._item_event(PartKind.OPENING, "added", index, {**item, "arguments": ""})
            yield from self._arguments(index, str(item["id"]))
        else:
            yield self._item_event(PartKind.OPENING, "added", index, item)
        # Reasoning is over before there is any content, all else is what the content was.
        place = PartKind.OPENING if kind == "reasoning" else PartKind.CLOSING
        yield self._item_event(place, "done", index, item)

    def _text(self, index: int, item_id: str) -> Iterator[Part]:
        answer = self._reply.answers[0]
        where: JsonObject = {"item_id": item_id, "output_index": index, "content_index": 0}
        draft = {**where, "part": text_part("")}
        yield self._part(PartKind.OPENING, "response.content_part.added", draft)
        for piece in answer.pieces:
            delta = {**where, "delta": piece, "logprobs": [], **self._padding(piece)}
            yield self._part(PartKind.CONTENT, "response.output_text.delta", delta)
        done = {**where, "text": answer.text, "logprobs": []}
        yield self._part(PartKind.CLOSING, "response.output_text.done", done)
        whole = {**where, "part": text_part(answer.text)}
        yield self._part(PartKind.CLOSING, "response.content_part.done", whole)

    def _arguments(self, index: int, item_id: str) -> Iterator[Part]:
        answer = self._reply.answers[0]
        name = "response.function_call_arguments"
        where: JsonObject = {"item_id": item_id, "output_index": index}
        for piece in answer.pieces:
            delta = {**where, "delta": piece, **self._padding(piece)}
            yield self._part(PartKind.CONTENT, f"{name}.delta", delta)
        yield self._part(PartKind.CLOSING, f"{name}.done", {**where, "arguments": answer.text})

    def _padding(self, piece: str) -> JsonObject:
        if not (self._vendor.pads_chunks and self._reply.request.is_obfuscated):
            return {}
        return {"obfuscation": _OBFUSCATION[len(piece) % len(_OBFUSCATION) :]}

    def _opening(self, name: str, status: str) -> Part:
        response = unfinished(self._reply, status)
        return self._part(PartKind.OPENING, f"response.{name}", {"response": response})

    def _item_event(self, place: PartKind, name: str, index: int, item: JsonObject) -> Part:
        if name == "added" and "status" in item:
            item = {**item, "status": "in_progress"}
        fields: JsonObject = {"output_index": index, "item": item}
        return self._part(place, f"response.output_item.{name}", fields)

    def _part(self, place: PartKind, name: str, fields: JsonObject) -> Part:
        return Part(place, self._event(name, fields))

    def _event(self, name: str, fields: JsonObject) -> bytes:
        number = self._number
        self._number += 1
        return named_event(name, {"type": name, "sequence_number": number, **fields})

"""Writing a reply as a chat completion, whole or as the choices of a stream."""

from typing import Final

from simulator.answer import Answer
from simulator.openai_stream import SAFE, envelope, usage_object
from simulator.reply import Reply
from simulator.request import JsonObject
from simulator.vendor import Vendor

_ID_PREFIX: Final = "chatcmpl-"
_REASONING: Final = "The user wants words, so words it is."


def completion(reply: Reply, vendor: Vendor) -> JsonObject:
    """Write a chat completion."""
    body = envelope(reply, vendor, prefix=_ID_PREFIX, kind="chat.completion")
    writer = ChatWriter(reply, vendor)
    body["choices"] = [writer.whole(index) for index in range(len(reply.answers))]
    if reply.shows_usage:
        body["usage"] = usage_object(reply, vendor)
    if vendor.filters_content:
        body["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": SAFE}]
    return body


class ChatWriter:
    """The choices of a chat completion; see ``ChoiceWriter``."""

    def __init__(self, reply: Reply, vendor: Vendor) -> None:
        self._reply = reply
        self._vendor = vendor
        self.envelope = envelope(reply, vendor, prefix=_ID_PREFIX, kind="chat.completion.chunk")

    def whole(self, index: int) -> JsonObject:
        """Write a choice that is not streamed."""
        answer = self._reply.answers[index]
        message: JsonObject = {
            "role": "assistant",
            "content": None if answer.tool else answer.text,
            **self._reasoning(),
        }
        if answer.tool:
            message["tool_calls"] = [self._call(index, answer.text)]
        message["refusal"] = None
        message["annotations"] = []
        choice: JsonObject = {
            "index": index,
            "message": message,
            "logprobs": None,
            "finish_reason": finish_reason(answer),
        }
        if self._vendor.filters_content:
            choice["content_filter_results"] = SAFE
        return choice

    def opening(self, index: int) -> list[JsonObject]:
        """Write the role, a call of a tool without its arguments, and the reasoning shown."""
        delta: JsonObject = {"role": "assistant", "content": "", "refusal": None}
        if self._reply.answers[index].tool:
            call = {"index": 0, **self._call(index, "")}
            delta = {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}
        deltas = [delta, self._reasoning()]
        return [_choice(index, delta) for delta in deltas if delta]

    def piece(self, index: int, piece: str) -> JsonObject:
        """Write some text, or some of a tool's arguments."""
        if self._reply.answers[index].tool is None:
            return _choice(index, {"content": piece})
        return _choice(index, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})

    def finish(self, index: int) -> JsonObject:
        """Write the finish reason."""
        return _choice(index, {}, finish_reason(self._reply.answers[index]))

    def nothing(self) -> JsonObject:
        """Write an empty delta."""
        return _choice(0, {"role": "assistant", "content": ""})

    def _reasoning(self) -> JsonObject:
        """Show some reasoning, however long it was."""
        name = self._vendor.reasoning_field
        return {name: _REASONING} if name and self._reply.usage.reasoning_tokens else {}

    def _call(self, index: int, arguments: str) -> JsonObject:
        tool = self._reply.answers[index].tool
        return {
            "id": f"call_{self._reply.unique}{index}",
            "type": "function",
            "function": {"name": tool.name if tool else "", "arguments": arguments},
        }


def finish_reason(answer: Answer) -> str:
    """Tell why an answer ended."""
    if answer.is_capped:
        return "length"
    return "tool_calls" if answer.tool else "stop"


def _choice(index: int, delta: JsonObject, reason: str | None = None) -> JsonObject:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}

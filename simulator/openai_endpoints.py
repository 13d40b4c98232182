"""The addresses of OpenAI's dialect that take a body; see ``Endpoint``."""

from typing import Final

from simulator.dialect import Endpoint
from simulator.openai_completions import TextWriter, completion_text, read_completion
from simulator.openai_embeddings import embeddings, read_embedding
from simulator.openai_reply import ChatWriter, completion
from simulator.openai_request import read_request
from simulator.openai_stream import event_stream
from simulator.reply import Reply, make_reply
from simulator.request import JsonObject, Request
from simulator.response_store import ResponseStore
from simulator.responses_reply import failed, finished, unfinished
from simulator.responses_request import read_response
from simulator.responses_stream import ResponseEvents
from simulator.scenario import Scenario
from simulator.vendor import Vendor
from simulator.wire import EventStream, json_bytes


class _OpenAIEndpoint:
    """What the addresses share: no prompt cache, only ``[[cached=N]]`` makes cached tokens."""

    is_billed: Final = True

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def reply(self, request: Request, scenario: Scenario, /) -> Reply:
        """Answer under the name by which the vendor serves the model."""
        return make_reply(request, scenario, served_model=self._vendor.serves(request.model))

    def _whole(self, body: JsonObject) -> bytes:
        return b"\n" * self._vendor.blank_lines + json_bytes(body)


class ChatEndpoint(_OpenAIEndpoint):
    """``/v1/chat/completions``."""

    def read(self, body: JsonObject, /) -> Request:
        """Read a request for a chat completion."""
        return read_request(body, self._vendor)

    def write(self, reply: Reply, _request_id: str, /) -> bytes | EventStream:
        """Write a chat completion."""
        if reply.request.is_stream:
            return event_stream(reply, self._vendor, ChatWriter(reply, self._vendor))
        return self._whole(completion(reply, self._vendor))


class CompletionEndpoint(_OpenAIEndpoint):
    """``/v1/completions``."""

    def read(self, body: JsonObject, /) -> Request:
        """Read a request for a legacy completion."""
        return read_completion(body, self._vendor)

    def write(self, reply: Reply, _request_id: str, /) -> bytes | EventStream:
        """Write a legacy completion."""
        if reply.request.is_stream:
            return event_stream(reply, self._vendor, TextWriter(reply, self._vendor))
        return self._whole(completion_text(reply, self._vendor))


class EmbeddingEndpoint(_OpenAIEndpoint):
    """``/v1/embeddings``."""

    def read(self, body: JsonObject, /) -> Request:
        """Read a request for embeddings."""
        return read_embedding(body)

    def write(self, reply: Reply, _request_id: str, /) -> bytes:
        """Write embeddings; they are never streamed."""
        return self._whole(embeddings(reply, self._vendor))


class ResponseEndpoint(_OpenAIEndpoint):
    """``/v1/responses``; what can be asked for later goes into the store."""

    def __init__(self, vendor: Vendor, store: ResponseStore) -> None:
        super().__init__(vendor)
        self._store = store

    def read(self, body: JsonObject, /) -> Request:
        """Read a request for a response."""
        previous = body.get("previous_response_id")
        tokens = self._store.context_tokens(previous) if isinstance(previous, str) else 0
        return read_response(body, self._vendor, context_tokens=tokens)

    def write(self, reply: Reply, _request_id: str, /) -> bytes | EventStream:
        """Write a response."""
        if reply.request.is_stream:
            events = ResponseEvents(
                reply, self._vendor, lambda response: self._keep(reply, response)
            )
            return EventStream(events.parts(), events.error_event)
        response = failed(reply) if reply.ends_as_failed else finished(reply, self._vendor)
        self._keep(reply, response)
        if reply.request.keeping.is_background:
            response = unfinished(reply, "queued")
        return self._whole(response)

    def _keep(self, reply: Reply, response: JsonObject) -> None:
        if reply.request.keeping.is_stored:
            request, usage = reply.request, reply.usage
            self._store.add(
                response,
                usage.input_tokens + usage.output_tokens,
                is_queued=request.keeping.is_background and not request.is_stream,
            )


def openai_endpoints(vendor: Vendor, store: ResponseStore) -> dict[str, Endpoint]:
    """Make all addresses of one vendor."""
    return {
        "/v1/chat/completions": ChatEndpoint(vendor),
        "/v1/completions": CompletionEndpoint(vendor),
        "/v1/embeddings": EmbeddingEndpoint(vendor),
        "/v1/responses": ResponseEndpoint(vendor, store),
    }

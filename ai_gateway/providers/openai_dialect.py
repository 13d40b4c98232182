"""OpenAI's wire format: a table of operations, each in a module of its own, and what they share."""

from collections.abc import Mapping
from dataclasses import replace

import orjson

from ai_gateway.domain.call import (
    PLAIN_ADDRESS,
    Address,
    AskedCall,
    DialectName,
    JsonObject,
    Operation,
)
from ai_gateway.domain.usage import Reading
from ai_gateway.providers import json_body
from ai_gateway.providers.dialect import (
    Interpreter,
    UpstreamRequest,
    object_in,
    parse_answer,
    unreadable,
    with_query,
)
from ai_gateway.providers.openai_chat import ChatCompletions
from ai_gateway.providers.openai_completions import Completions
from ai_gateway.providers.openai_embeddings import Embeddings
from ai_gateway.providers.openai_operation import OpenAIOperation, bearer, write_cap
from ai_gateway.providers.openai_responses import Responses
from ai_gateway.providers.provider import Provider, Quirks

FORWARDED_HEADERS = ("openai-beta",)

OPERATIONS: Mapping[Operation, OpenAIOperation] = {
    one.operation: one for one in (ChatCompletions(), Completions(), Embeddings(), Responses())
}


class OpenAIDialect:
    """Everything that OpenAI's SDK asks for."""

    name: DialectName = "openai"

    def read_request(
        self, operation: Operation, raw: bytes, address: Address = PLAIN_ADDRESS
    ) -> AskedCall:
        """Read what the gateway has to know; the body itself goes on as it is."""
        body = json_body.parse_body(raw)
        if address.deployment is not None:
            # The address decides, whatever the body says.
            body["model"] = address.deployment
        asked = OPERATIONS[operation].read_request(body, len(raw))
        return asked if address is PLAIN_ADDRESS else replace(asked, address=address)

    def upstream_request(
        self,
        provider: Provider,
        asked: AskedCall,
        *,
        model: str,
        output_cap: int | None,
        client_headers: Mapping[str, str],
    ) -> UpstreamRequest:
        operation = OPERATIONS[asked.operation]
        body: JsonObject = {**asked.body, "model": model}
        write_cap(body, asked, provider.quirks, output_cap)
        if operation.asks_for_usage(asked) and self.takes_include_usage(provider, asked):
            # Without it a stream tells no usage at all; the extra chunk is hidden again.
            options = object_in(body, "stream_options")
            body["stream_options"] = {**options, "include_usage": True}
        return UpstreamRequest(
            provider=provider.name,
            url=with_query(
                self.url(provider, asked, model=model, path=operation.path), asked.address.query
            ),
            headers={**client_headers, **self.credential(provider)},
            body=orjson.dumps(body),
            is_streamed=asked.stream,
        )

    def read_answer(self, body: bytes, operation: Operation, quirks: Quirks) -> Reading:
        answer = parse_answer(body)
        if answer is None:
            return unreadable(body)
        return OPERATIONS[operation].read_answer(answer, quirks)

    def interpreter(self, asked: AskedCall, quirks: Quirks) -> Interpreter:
        return OPERATIONS[asked.operation].interpreter(asked, quirks)

    def url(self, provider: Provider, asked: AskedCall, *, model: str, path: str) -> str:  # noqa: ARG002
        return provider.base_url + path

    def credential(self, provider: Provider) -> dict[str, str]:
        return bearer(provider)

    def takes_include_usage(self, provider: Provider, asked: AskedCall) -> bool:  # noqa: ARG002
        return provider.quirks.takes_include_usage

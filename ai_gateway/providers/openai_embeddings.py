"""OpenAI's embeddings: input alone is billed, nothing is streamed (metering.md B3)."""

from collections.abc import Mapping
from typing import NoReturn

from ai_gateway.domain.call import AskedCall, JsonObject, Operation
from ai_gateway.domain.usage import Reading
from ai_gateway.errors import InvalidRequest
from ai_gateway.providers import json_body
from ai_gateway.providers.dialect import object_in, raw_usage
from ai_gateway.providers.openai_usage import read_usage
from ai_gateway.providers.provider import Quirks
from ai_gateway.providers.stated_cost import with_stated_cost


class Embeddings:
    """`/embeddings`."""

    operation = Operation.EMBEDDINGS
    path = "/embeddings"

    def read_request(self, body: JsonObject, size: int) -> AskedCall:
        if not isinstance(body.get("input"), str | list) or not body["input"]:
            raise InvalidRequest("input: a text, or a list, is required.", "input")
        if json_body.boolean(body, "stream"):
            raise InvalidRequest("stream: embeddings are not streamed.", "stream")
        return AskedCall(
            operation=self.operation,
            body=body,
            model=json_body.model_name(body),
            stream=False,
            output_cap=0,
            choices=1,
            # A list of token numbers has at least two bytes for each.
            input_bytes=size,
            media_parts=0,
            service_tier=None,
            wants_usage=False,
            is_self_contained=True,
        )

    def asks_for_usage(self, asked: AskedCall) -> bool:  # noqa: ARG002  # the protocol's
        return False

    def read_answer(self, answer: Mapping[str, object], quirks: Quirks) -> Reading:
        usage, status = read_usage(object_in(answer, "usage"), quirks.usage, has_output=False)
        reading = Reading(
            status=status,
            usage=usage,
            served_model=json_body.optional_text(answer, "model"),
            raw=raw_usage(answer.get("usage")),
        )
        return with_stated_cost(reading, object_in(answer, "usage"), quirks.usage.cost)

    def interpreter(self, asked: AskedCall, quirks: Quirks) -> NoReturn:
        raise NotImplementedError("embeddings are not streamed")

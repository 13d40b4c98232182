"""OpenAI's Responses, streamed and not (metering.md B2).

Every event carries the response as it is; its usage is filled in by the last one alone. There is no
`[DONE]`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal
from urllib.parse import quote

from ai_gateway.domain.call import AskedCall, JsonObject, Operation, StoredAction
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.errors import InvalidRequest
from ai_gateway.providers import json_body, openai_operation
from ai_gateway.providers.dialect import (
    UpstreamRequest,
    checked,
    count_in,
    has_count,
    object_in,
    objects_in,
    parse_event,
    raw_usage,
    text_length,
)
from ai_gateway.providers.provider import Provider, Quirks, UsageReport
from ai_gateway.providers.stated_cost import with_stated_cost

_MEDIA_PARTS = {
    "input_image": "image_url",
    "input_file": "file_data",
    "input_audio": "data",
    "computer_screenshot": "image_url",
}
_CLIENT_TOOLS = frozenset({"function", "custom", "local_shell", "apply_patch"})
_LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_FAILURES = frozenset({"response.failed", "error"})
_STORED_BEFORE = ("previous_response_id", "prompt")
_TEXT_FIELDS = ("text", "refusal", "arguments", "input", "code")
_METHODS: Mapping[StoredAction, Literal["POST", "GET", "DELETE"]] = {
    StoredAction.READ: "GET",
    StoredAction.DELETE: "DELETE",
    StoredAction.CANCEL: "POST",
}


class Responses:
    """`/responses`."""

    operation = Operation.RESPONSES
    path = "/responses"

    def read_request(self, body: JsonObject, size: int) -> AskedCall:
        if json_body.boolean(body, "background"):
            raise InvalidRequest(
                "background: responses in the background are not offered.", "background"
            )
        if not isinstance(body.get("input"), str | list | None):
            raise InvalidRequest("input: a text, or a list of items, is required.", "input")
        has_tools = openai_operation.has_tools(body)
        parts = list(_parts(body))
        _refuse_stored(body, parts)
        media = [text_length(part.get(_MEDIA_PARTS[kind])) for kind, part in parts]
        return AskedCall(
            operation=self.operation,
            body=body,
            model=json_body.model_name(body),
            stream=json_body.boolean(body, "stream"),
            output_cap=openai_operation.asked_cap(body, self.operation),
            choices=1,
            # Escapes only make the raw body longer than its text, so this bounds the text.
            input_bytes=size - sum(media) + openai_operation.TOOL_OVERHEAD_BYTES * has_tools,
            media_parts=len(media),
            service_tier=openai_operation.asked_tier(body),
            wants_usage=True,
            is_self_contained=not (
                any(body.get(name) is not None for name in _STORED_BEFORE)
                or any(tool.get("type") not in _CLIENT_TOOLS for tool in objects_in(body, "tools"))
                or any(item.get("type") == "item_reference" for item in objects_in(body, "input"))
                or any("file_url" in part for _, part in parts)
            ),
            previous_response_id=_previous(body),
        )

    def asks_for_usage(self, asked: AskedCall) -> bool:  # noqa: ARG002  # the protocol's
        return False

    def read_answer(self, answer: Mapping[str, object], quirks: Quirks) -> Reading:
        return _read(answer, quirks.usage, _said_bytes(answer))

    def interpreter(self, asked: AskedCall, quirks: Quirks) -> "ResponseInterpreter":  # noqa: ARG002
        return ResponseInterpreter(quirks.usage)


def stored_request(provider: Provider, response_id: str, action: StoredAction) -> UpstreamRequest:
    """Ask for a response that the provider keeps; it was billed when it was made."""
    end = "/cancel" if action is StoredAction.CANCEL else ""
    return UpstreamRequest(
        provider=provider.name,
        url=f"{provider.base_url}/responses/{quote(response_id, safe='')}{end}",
        headers=openai_operation.bearer(provider),
        body=b"",
        is_streamed=False,
        method=_METHODS[action],
    )


class ResponseInterpreter:
    """Reads the events of a streamed response."""

    def __init__(self, report: UsageReport) -> None:
        self.text_bytes = 0
        self.is_complete = False
        self.has_failed = False
        self.stored_id: str | None = None
        self._report = report
        self._response: Mapping[str, object] = {}

    def see(self, data: bytes) -> bool:
        event = parse_event(data)
        if event is None:
            return True
        kind = str(event.get("type"))
        if kind.endswith(".delta"):
            self.text_bytes += text_length(event.get("delta"))
        self.is_complete = self.is_complete or kind in _LAST_EVENTS
        self.has_failed = self.has_failed or kind in _FAILURES
        response = object_in(event, "response")
        if response:
            self._response = response
            self.stored_id = _stored_id(response) or self.stored_id
        return True

    def end(self) -> None:
        """A response without its last event has broken off, however the stream ended."""

    def reading(self) -> Reading:
        return _read(
            self._response,
            self._report,
            self.text_bytes,
            is_whole=self.is_complete,
            has_failed=self.has_failed,
        )


def _read(
    response: Mapping[str, object],
    report: UsageReport,
    text_bytes: int,
    *,
    is_whole: bool = True,
    has_failed: bool = False,
) -> Reading:
    reported = object_in(response, "usage")
    usage, status = _read_usage(response, reported)
    if status is UsageStatus.EXACT and not is_whole:
        status = UsageStatus.PARTIAL
    reading = Reading(
        status=status,
        usage=usage,
        text_bytes=text_bytes,
        served_model=json_body.optional_text(response, "model"),
        service_tier=json_body.optional_text(response, "service_tier"),
        raw=raw_usage(response.get("usage")),
        failed=has_failed or response.get("status") == "failed",
        stored_id=_stored_id(response),
        provider_id=json_body.optional_text(response, "id"),
    )
    return with_stated_cost(reading, reported, report.cost)


def _stored_id(response: Mapping[str, object]) -> str | None:
    """The name of a response, unless the provider says that it keeps none."""
    return json_body.optional_text(response, "id") if response.get("store") is not False else None


def _read_usage(
    response: Mapping[str, object], reported: Mapping[str, object]
) -> tuple[Usage, UsageStatus]:
    if not has_count(reported, "input_tokens"):
        return Usage(), UsageStatus.MISSING
    details = object_in(reported, "input_tokens_details")
    written = count_in(details, "cache_write_tokens")
    split = object_in(details, "cache_write_tokens_details")
    # The split may be incomplete: what it leaves out was written for the shorter time.
    long_writes = max(0, min(count_in(split, "ttl_12h_tokens"), written))
    usage = Usage(
        input_tokens=count_in(reported, "input_tokens"),
        cached_input_tokens=count_in(details, "cached_tokens"),
        cache_write_tokens=written - long_writes,
        cache_write_long_tokens=long_writes,
        output_tokens=count_in(reported, "output_tokens"),
        reasoning_tokens=count_in(object_in(reported, "output_tokens_details"), "reasoning_tokens"),
        web_searches=_web_searches(response),
    )
    is_whole = has_count(reported, "output_tokens") and not _draws(response)
    usage, status = checked(usage, status=UsageStatus.EXACT if is_whole else UsageStatus.PARTIAL)
    total = count_in(reported, "total_tokens")
    told = count_in(reported, "input_tokens") + count_in(reported, "output_tokens")
    if not total or total == told:
        return usage, status
    # What the total has beside its parts was generated too; the larger reading is billed.
    output_tokens = max(usage.output_tokens, total - usage.input_tokens)
    return replace(usage, output_tokens=output_tokens), UsageStatus.ANOMALY


def _web_searches(response: Mapping[str, object]) -> int:
    """The searches that are billed; an item without an action was one of old."""
    told = object_in(object_in(response, "tool_usage"), "web_search")
    if has_count(told, "num_requests"):
        return count_in(told, "num_requests")
    actions = (
        object_in(item, "action").get("type", "search")
        for item in objects_in(response, "output")
        if item.get("type") == "web_search_call"
    )
    return sum(action == "search" for action in actions)


def _draws(response: Mapping[str, object]) -> bool:
    """Whether images were made, which are billed beside the usage at a price of their own."""
    return any(
        isinstance(count, int) and count > 0
        for count in object_in(object_in(response, "tool_usage"), "image_gen").values()
    )


def _refuse_stored(body: JsonObject, parts: list[tuple[str, dict[str, object]]]) -> None:
    """Refuse what the provider keeps and every key of the account could name."""
    if body.get("conversation") is not None:
        raise InvalidRequest(
            "conversation: conversations that the provider keeps are not offered; send the items, "
            "or previous_response_id.",
            "conversation",
        )
    tools = objects_in(body, "tools")
    variables = object_in(object_in(body, "prompt"), "variables")
    json_body.refuse_stored_files(
        [
            *(part for _, part in parts),
            *(object_in(variables, name) for name in variables),
            *(object_in(tool, "input_image_mask") for tool in tools),
        ]
    )
    if any(_reads_stored_files(tool) for tool in tools):
        raise InvalidRequest("tools: files that the provider keeps are not offered.", "tools")


def _reads_stored_files(tool: Mapping[str, object]) -> bool:
    """Whether a tool searches such files or gets them into its container, or names one of old."""
    container = tool.get("container")
    is_kept = isinstance(container, str) or object_in(tool, "container").get("file_ids")
    return tool.get("type") == "file_search" or bool(is_kept)


def _previous(body: JsonObject) -> str | None:
    previous = body.get("previous_response_id")
    if previous is not None and not isinstance(previous, str):
        raise InvalidRequest("previous_response_id: a text is required.", "previous_response_id")
    return previous


def _said_bytes(response: Mapping[str, object]) -> int:
    blocks = [
        block
        for item in objects_in(response, "output")
        for block in (item, *objects_in(item, "content"), *objects_in(item, "summary"))
    ]
    return sum(text_length(block.get(name)) for block in blocks for name in _TEXT_FIELDS)


def _parts(body: JsonObject) -> Iterator[tuple[str, dict[str, object]]]:
    """The images, files and recordings of the input, and those that tools of the client gave."""
    for item in objects_in(body, "input"):
        outputs = objects_in(item, "output")
        for part in (*objects_in(item, "content"), *outputs, object_in(item, "output")):
            kind = part.get("type")
            if isinstance(kind, str) and kind in _MEDIA_PARTS:
                yield kind, dict(part)

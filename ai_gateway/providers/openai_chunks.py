"""Reads answers that consist of choices: of a chat and of a legacy completion, streamed and not."""

from collections.abc import Callable, Mapping, Sequence

from ai_gateway.domain.call import AskedCall
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.providers import json_body
from ai_gateway.providers.dialect import object_in, objects_in, parse_event, raw_usage
from ai_gateway.providers.openai_usage import read_usage, total_of
from ai_gateway.providers.provider import UsageReport
from ai_gateway.providers.stated_cost import with_stated_cost

_DONE = b"[DONE]"

TextOf = Callable[[Mapping[str, object]], int]
"""The bytes of text in one choice."""


def read_choices(answer: Mapping[str, object], report: UsageReport, text_of: TextOf) -> Reading:
    """A whole answer."""
    reported = answer.get("usage")
    usage, status = read_usage(object_in(answer, "usage"), report)
    reading = Reading(
        status=status,
        usage=usage,
        text_bytes=sum(map(text_of, objects_in(answer, "choices"))),
        served_model=json_body.optional_text(answer, "model"),
        service_tier=json_body.optional_text(answer, "service_tier"),
        raw=raw_usage(reported),
        provider_id=json_body.optional_text(answer, "id"),
    )
    return with_stated_cost(reading, object_in(answer, "usage"), report.cost)


class ChunkInterpreter:
    """Reads the chunks of a stream.

    The last usage with a non-zero total wins; a zero one counts only if nothing better came; null
    is no usage. Usage before the end is a lower bound.
    """

    stored_id: str | None = None

    def __init__(self, asked: AskedCall, report: UsageReport, text_of: TextOf) -> None:
        self.text_bytes = 0
        self.is_complete = False
        self.has_failed = False
        self._wants_usage = asked.wants_usage
        self._report = report
        self._text_of = text_of
        self._usage: Mapping[str, object] | None = None
        self._is_final_usage = False
        self._choices = asked.choices
        self._finished: set[str] = set()
        self._model: str | None = None
        self._tier: str | None = None
        self._id: str | None = None

    def see(self, data: bytes) -> bool:
        if data == _DONE:
            self.is_complete = True
            return True
        chunk = parse_event(data)
        if chunk is None:
            return True
        is_error = chunk.get("error") is not None
        self.has_failed = self.has_failed or is_error
        self._model = json_body.optional_text(chunk, "model") or self._model
        self._tier = json_body.optional_text(chunk, "service_tier") or self._tier
        self._id = self._id or json_body.optional_text(chunk, "id")
        choices = objects_in(chunk, "choices")
        for one in choices:
            self.text_bytes += self._text_of(one)
            if one.get("finish_reason"):
                self._finished.add(str(one.get("index")))
        # With several answers, the first that ends does so with a running count.
        is_final = not choices or len(self._finished) >= self._choices
        for holder in self._holders(chunk, choices):
            usage = holder.get("usage")
            if isinstance(usage, dict):
                self._take_usage(usage, is_final=is_final)
        is_extra = isinstance(chunk.get("usage"), dict) and not chunk.get("choices")
        return self._wants_usage or not is_extra or is_error

    def end(self) -> None:
        """Some servers say no `[DONE]`; the usage of finished answers is the last there is."""
        self.is_complete = self.is_complete or self._is_final_usage

    def reading(self) -> Reading:
        if self._usage is None:
            usage, status = Usage(), UsageStatus.MISSING
        else:
            is_whole = self.is_complete or self._is_final_usage
            usage, status = read_usage(self._usage, self._report)
            if status is UsageStatus.EXACT and (self.has_failed or not is_whole):
                status = UsageStatus.PARTIAL
        reading = Reading(
            status=status,
            usage=usage,
            text_bytes=self.text_bytes,
            served_model=self._model,
            service_tier=self._tier,
            raw=raw_usage(self._usage),
            failed=self.has_failed,
            provider_id=self._id,
        )
        return with_stated_cost(reading, self._usage or {}, self._report.cost)

    def _holders(
        self, chunk: Mapping[str, object], choices: list[dict[str, object]]
    ) -> Sequence[Mapping[str, object]]:
        """What may hold the usage of a chunk, the vendor's own place first."""
        if self._report.place == "choice":
            return (*choices, chunk)
        if self._report.place == "x_groq":
            return (object_in(chunk, "x_groq"), chunk)
        return (chunk,)

    def _take_usage(self, usage: Mapping[str, object], *, is_final: bool) -> None:
        if self._usage is not None and not total_of(usage):
            return
        self._usage = usage
        self._is_final_usage = is_final

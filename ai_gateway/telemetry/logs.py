"""Structured logs: one line for each call, fields by allow-list, no body and no credential."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from ai_gateway.domain.money import usd_text
from ai_gateway.telemetry.observer import LocalCall, SettledCall

logger = logging.getLogger("ai_gateway.calls")

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_JSON = json.JSONEncoder(default=str)


def configure_logging(level: str, style: Literal["auto", "text", "json"]) -> None:
    """Send all logs to standard error; `auto` is text on a terminal, else JSON."""
    if style == "auto":
        style = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their lines at level info are of no use to an operator.
    for name in ("alembic", "urllib3", "werkzeug"):
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """One JSON object in a line; control characters are escaped, so that no line is forged."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_extra(record),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return _JSON.encode(fields)


class TextFormatter(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).astimezone()
        fields = " ".join(f"{name}={value!s}" for name, value in _extra(record).items())
        line = f"{moment:%H:%M:%S} {record.levelname.lower():7} {record.getMessage()} {fields}"
        lines = [_one_line(line).rstrip()]
        if record.exc_info:
            # Set in, so that line ends in the text of an exception forge no line of their own.
            traceback = self.formatException(record.exc_info).splitlines()
            lines += [f"    {_one_line(part)}" for part in traceback]
        return "\n".join(lines)


def _one_line(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()


class CallRecord(logging.LogRecord):
    """What a summary line says, in one piece; no line tells where in the code it was written."""

    def __init__(self, event: str, fields: dict[str, Any]) -> None:
        super().__init__(logger.name, logging.INFO, "", 0, event, (), None)
        self.fields = fields


class CallLog:
    """The listener that writes the summary line."""

    def answered_locally(self, fact: LocalCall) -> None:
        _write(
            "call_refused" if fact.reason else "call_answered",
            {
                "request_id": fact.request_id,
                "operation": fact.operation,
                "outcome": fact.outcome,
                "reason": fact.reason,
            },
        )

    def settled(self, fact: SettledCall) -> None:
        call, finished = fact.call, fact.finished
        _write(
            "call_settled",
            {
                "request_id": call.request_id,
                "user_id": call.user_id,
                "key_id": call.key_id,
                "provider": call.provider,
                "model": call.model,
                "operation": call.operation,
                "stream": call.stream,
                "outcome": finished.outcome,
                "input_tokens": finished.usage.input_tokens,
                "output_tokens": finished.usage.output_tokens,
                "cost_usd": usd_text(finished.cost),
                "confidence": finished.confidence,
                "latency_ms": finished.latency_ms,
            },
        )


def _write(event: str, fields: dict[str, Any]) -> None:
    if logger.isEnabledFor(logging.INFO):
        logger.handle(CallRecord(event, fields))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    if isinstance(record, CallRecord):
        return record.fields
    return {
        name: str(value) if isinstance(value, str) else value
        for name, value in vars(record).items()
        if name not in _PLAIN
    }

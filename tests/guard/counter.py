"""A counter inside a worker: how many steps the interpreter takes for a call, and where.

A call reaches from its own start to that of the next one, so that work put off until after the
answer counts too.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

import greenlet  # type: ignore[import-untyped]  # it ships no types

WORKER, BEGIN, REPORT = "/guard/worker", "/guard/begin", "/guard/report"
JSON = [("Content-Type", "application/json")]

Serve = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class CountedCalls:
    """Counts bytecodes and calls of C functions, by the function in which they happen."""

    def __init__(self) -> None:
        self._calls: list[tuple[Counter[CodeType], Counter[CodeType]]] = []
        self._bytecodes: Counter[CodeType] = Counter()
        self._c_calls: Counter[CodeType] = Counter()

    def begin(self) -> None:
        self._calls.clear()
        # With a tracer of greenlets, each of them is traced from its next switch on.
        greenlet.settrace(lambda _event, _which: None)
        sys.setprofile(self._profile)
        sys.settrace(self._trace)

    def next_call(self) -> None:
        self._bytecodes, self._c_calls = Counter(), Counter()
        self._calls.append((self._bytecodes, self._c_calls))

    def report(self) -> list[dict[str, dict[str, int]]]:
        """End the counting; what each call took, by kind and by function."""
        sys.settrace(None)
        sys.setprofile(None)
        greenlet.settrace(None)
        return [
            {"bytecodes": _by_name(bytecodes), "c_calls": _by_name(c_calls)}
            for bytecodes, c_calls in self._calls
        ]

    def _trace(self, frame: FrameType, _event: str, _value: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._trace_opcodes

    def _trace_opcodes(self, frame: FrameType, event: str, _value: object) -> Any:
        if event == "opcode":
            self._bytecodes[frame.f_code] += 1
        return self._trace_opcodes

    def _profile(self, frame: FrameType, event: str, _value: object) -> None:
        if event == "c_call":
            self._c_calls[frame.f_code] += 1


def _by_name(counted: Counter[CodeType]) -> dict[str, int]:
    named: Counter[str] = Counter()
    for code, count in counted.items():
        named[f"{_module_of(code.co_filename)}:{code.co_qualname}"] += count
    return dict(named)


def _module_of(path: str) -> str:
    """The part of a path that is the same on every machine."""
    for root in ("/site-packages/", "/ai_gateway/", f"/python3.{sys.version_info.minor}/"):
        _, found, rest = path.rpartition(root)
        if found:
            return f"ai_gateway/{rest}" if root == "/ai_gateway/" else rest
    return path.rpartition("/")[2]


def counted(serve: Serve) -> Serve:
    """The same application; three addresses name the worker, begin to count, and tell what was."""
    calls = CountedCalls()
    answers: dict[str, Callable[[], object]] = {
        WORKER: os.getpid,
        BEGIN: calls.begin,
        REPORT: calls.report,
    }

    def counting(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        own = answers.get(environ["PATH_INFO"])
        if own is None:
            calls.next_call()
            return serve(environ, start_response)
        body = json.dumps(own()).encode()
        start_response("200 OK", [*JSON, ("Content-Length", str(len(body)))])
        return [body]

    return counting

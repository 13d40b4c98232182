"""Runs the scripts of the money path, and tells of each how it was answered and how soon."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from redis.commands.core import Script

from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.group_commit import GroupCommit
from ai_gateway.stores.redis_client import translated_errors

Told = Callable[[str, str, float], object]
"""Hears the name of a script, its word (in capitals) or the kind of an error, and the seconds."""


def nobody(_question: str, _answer: str, _seconds: float) -> None:
    """Hears nothing."""


@contextmanager
def asked(told: Told, question: str) -> Iterator[None]:
    """Tell of a question that is no script too; raises `BudgetUnavailable`, told by its kind."""
    began = perf_counter()
    try:
        with translated_errors():
            yield
    except BudgetUnavailable as error:
        told(question, error.kind, perf_counter() - began)
        raise
    told(question, "OK", perf_counter() - began)


class Questions:
    """Asks Redis; raises `BudgetUnavailable`, which is told too."""

    def __init__(self, scripts: GroupCommit, told: Told) -> None:
        self._scripts = scripts
        self._told = told

    def ask(
        self, name: str, script: Script, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> Any:
        """The reply of a script: a word, or a list that begins with one."""
        began = perf_counter()
        try:
            with translated_errors():
                reply = self._scripts.run(script, keys, arguments)
        except BudgetUnavailable as error:
            self._told(name, error.kind, perf_counter() - began)
            raise
        word = reply if isinstance(reply, str) else reply[0]
        self._told(name, word, perf_counter() - began)
        return reply

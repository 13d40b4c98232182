"""Lets the plan happen: an application with a clock of its own, an operator, and the callers."""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

import click
from flask import Flask
from werkzeug.test import TestResponse

from ai_gateway.cli.demo.cast import EMBEDDINGS, MESSAGES
from ai_gateway.cli.demo.plan import Block, Call, Join, ReplaceKey, Step

SETTLED_WITHIN_SECONDS = 30
REFUSED = 429
TOO_FAULTY = 500


@dataclass(slots=True)
class DemoClock:
    """A clock that is set by hand."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Stage:
    """Where the demo happens. `keys` are those in use, by user; `calls` counts what was sent."""

    app: Flask
    clock: DemoClock
    calls: int = 0
    keys: dict[str, str] = field(default_factory=dict)

    def play(self, step: Step) -> None:
        """Let one step happen at its moment."""
        self.clock.now = step.moment
        match step:
            case Call():
                self.call(step)
            case Join():
                self._join(step)
            case ReplaceKey(username=name, label=label):
                self.operate("key", "revoke", self.keys[name].split("_")[1])
                self.keys[name] = self.operate("key", "create", name, "--label", label)
            case Block(username=name):
                self.operate("user", "limit", name, "--daily", "0", "--monthly", "0")
            case _:
                assert_never(step)

    def operate(self, *arguments: str) -> str:
        """Give a command as an operator would; returns what it prints."""
        done = self.app.test_cli_runner().invoke(args=arguments)
        if done.exit_code != 0:
            said = (done.stderr.strip() or repr(done.exception)).splitlines()[-1]
            raise click.ClickException(f"flask {' '.join(arguments)}: {said}")
        return str(done.stdout.strip())

    def call(self, call: Call) -> int:
        """Make a call and read its answer, or its beginning; returns the status."""
        self.calls += 1
        answer = self.app.test_client().post(
            call.model.path, json=_body(call), headers=self._credential(call)
        )
        if call.leaves_early:
            next(iter(answer.response), b"")
        else:
            # A stream is settled when it is read to its end.
            answer.get_data()
        answer.close()
        if call.leaves_early:
            _wait_until_drained()
        _refuse_surprise(call, answer)
        return answer.status_code

    def _join(self, join: Join) -> None:
        person, name = join.person, join.person.username
        self.operate("user", "create", name, "--email", f"{name}@example.com")
        options = ["--label", person.label]
        if join.leaves_on:
            options += ["--expires", join.leaves_on.isoformat()]
        self.keys[name] = self.operate("key", "create", name, *options)
        chosen = (("--daily", person.daily_usd), ("--monthly", person.monthly_usd))
        limits = [word for pair in chosen if pair[1] for word in pair]
        if limits:
            self.operate("user", "limit", name, *limits)

    def _credential(self, call: Call) -> dict[str, str]:
        key = self.keys[call.username]
        if call.model.path == MESSAGES:
            return {"x-api-key": key, "anthropic-version": "2023-06-01"}
        return {"authorization": f"Bearer {key}"}


def _body(call: Call) -> dict[str, object]:
    body: dict[str, object] = {"model": call.model.name, **call.model.fields}
    if call.model.path == EMBEDDINGS:
        return {**body, "input": call.prompt}
    if call.stream:
        body["stream"] = True
    return {**body, "messages": [{"role": "user", "content": call.prompt}]}


def _wait_until_drained() -> None:
    """Wait for the readers of left streams, which settle them: the clock must not go on before."""
    for thread in threading.enumerate():
        if thread.name == "relay":
            thread.join(SETTLED_WITHIN_SECONDS)


def _refuse_surprise(call: Call, answer: TestResponse) -> None:
    """Stop where a call was refused that should not be: the demo would be emptier than promised."""
    is_asked_for = "[[status=" in call.prompt or "[[garbage]]" in call.prompt
    status = answer.status_code
    if 400 <= status < TOO_FAULTY and status != REFUSED and not is_asked_for:
        said = answer.get_data(as_text=True)[:300]
        raise click.ClickException(f"a call of {call.model.name} was answered {status}: {said}")

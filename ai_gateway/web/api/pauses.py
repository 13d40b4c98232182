"""What is paused; and pausing a user, a provider, or everything."""

from typing import Annotated

from pydantic import Field

from ai_gateway.domain.house_rules import (
    EVERYTHING,
    MAX_REASON_CHARACTERS,
    Pause,
    PauseScope,
    PauseTarget,
    provider_pause,
    user_pause,
)
from ai_gateway.domain.roles import allows
from ai_gateway.errors import InvalidRequest, NotPermitted
from ai_gateway.services.pauses import NEEDED, PauseChange
from ai_gateway.web.admin.staff import current_actor
from ai_gateway.web.api.caller import Access, Caller, idempotency_id
from ai_gateway.web.api.endpoint import Asked, get, post
from ai_gateway.web.api.fields import Absent, Answer, Body, Moment, NoQuery, RowId
from ai_gateway.web.context import services

Provider = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


class PauseAnswer(Answer):
    """What is paused since when, by whom, and the reason that callers read."""

    scope: PauseScope
    user_id: int | None
    provider: str | None
    name: str
    """Of the user or the provider; empty for everything."""
    reason: str
    since: Moment
    by: str


class PausesAnswer(Answer):
    """Everything first, then by time."""

    pauses: list[PauseAnswer]


class PauseTargetBody(Body):
    """One of a user, a provider, or everything."""

    scope: PauseScope
    user_id: RowId | Absent = None
    provider: Provider | Absent = None


class PauseBody(PauseTargetBody):
    """What to pause, and why."""

    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARACTERS)]
    """On one line; whoever calls reads it."""


class PauseSetAnswer(Answer):
    """What was done. Not `is_in_force` while Redis is away."""

    pause: PauseAnswer
    is_in_force: bool


class PauseLiftAnswer(Answer):
    """What was done."""

    was_paused: bool
    is_in_force: bool


@get("/pauses/", NoQuery, PausesAnswer, Access.STAFF)
def pauses(asked: Asked[NoQuery]) -> PausesAnswer:  # noqa: ARG001  # every view takes it
    """What is paused now."""
    return PausesAnswer(pauses=[_answer(pause) for pause in services().budgets.pauses.all()])


@post("/pauses/set/", PauseBody, PauseSetAnswer, Access.LIMITS)
def set_pause(asked: Asked[PauseBody]) -> PauseSetAnswer:
    """Refuse calls from the next one on; running ones go on.

    A provider and everything need the permission `pause_service`. What is paused already gets the
    new reason.
    """
    target = _target(asked.caller, asked.given)
    done: PauseChange = services().budgets.pauses.set(target, asked.given.reason, current_actor())
    return PauseSetAnswer(pause=_answer(done.pause), is_in_force=done.is_in_force)


@post("/pauses/lift/", PauseTargetBody, PauseLiftAnswer, Access.LIMITS)
def lift_pause(asked: Asked[PauseTargetBody]) -> PauseLiftAnswer:
    """Let calls go on, from the next one on."""
    done = services().budgets.pauses.lift(_target(asked.caller, asked.given), current_actor())
    return PauseLiftAnswer(
        was_paused=done is not None, is_in_force=done is None or done.is_in_force
    )


def _target(caller: Caller, given: PauseTargetBody) -> PauseTarget:
    # A repeat changes nothing by itself; the header has to be as the document says all the same.
    idempotency_id()
    needed = NEEDED[given.scope]
    if not allows(caller.user.role, needed):
        raise NotPermitted(f"This needs the permission {needed}, which your role has not.")
    named = {"user_id": given.user_id, "provider": given.provider}
    expected = {PauseScope.USER: {"user_id"}, PauseScope.PROVIDER: {"provider"}}
    if {name for name, value in named.items() if value is not None} != expected.get(
        given.scope, set()
    ):
        raise InvalidRequest("Name the user_id of a user, the provider of one, and else neither.")
    if given.user_id is not None:
        return user_pause(given.user_id)
    return provider_pause(given.provider) if given.provider is not None else EVERYTHING


def _answer(pause: Pause) -> PauseAnswer:
    target = pause.target
    return PauseAnswer(
        scope=target.scope,
        user_id=int(target.subject) if target.scope is PauseScope.USER else None,
        provider=target.subject if target.scope is PauseScope.PROVIDER else None,
        name=pause.name,
        reason=pause.reason,
        since=pause.since,
        by=pause.by,
    )

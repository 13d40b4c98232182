"""The set-up checklist: what is done, and the next step for what is not.

The home page and `flask doctor` show the same lines; nothing here raises when a part is away.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from ai_gateway.domain.house_rules import EVERYTHING, Pause
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.services.tracing_health import TracingHealth
from ai_gateway.stores.redis_facts import SAFE_POLICY, RedisFacts
from ai_gateway.stores.reporting import SetUpFacts
from ai_gateway.telemetry.metrics_state import FIGURE_SILENCE_SECONDS

OVERVIEW = "/admin/ai-analytics/"
SYSTEM = "/admin/ai-analytics/system/"
TEST_CALL = "/admin/test-call/"

LONGEST_SILENCE = timedelta(seconds=FIGURE_SILENCE_SECONDS)
"""A bookkeeper that lives tells its figures every few seconds."""

Found = TypeVar("Found")


class LineState(StrEnum):
    """What is missing keeps calls from being served; nobody can tell of what is unknown."""

    DONE = "done"
    MISSING = "missing"
    OPEN = "open"
    OPTIONAL = "optional"
    UNKNOWN = "unknown"


class StepKind(StrEnum):
    """What a next step is: something to type, to set, to open, or to know."""

    COMMAND = "command"
    VARIABLE = "variable"
    LINK = "link"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class NextStep:
    """`words` say what to do with `text`, which is the command, variable or address itself."""

    kind: StepKind
    words: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class ChecklistLine:
    """One line. What is not done has a `next_step`; `remark` is worth knowing when it is."""

    name: str
    state: LineState
    next_step: NextStep
    remark: str = ""

    @property
    def is_done(self) -> bool:
        return self.state is LineState.DONE

    @property
    def is_left(self) -> bool:
        """Whether the next step is to be shown."""
        return self.state not in {LineState.DONE, LineState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class SetUpSources:
    """Whom to ask; all but `tracing` may raise `GatewayUnavailable`. `pauses` are those in SQL."""

    is_migrated: Callable[[], bool]
    steps: Callable[[], SetUpFacts]
    redis: Callable[[], RedisFacts]
    tracing: Callable[[], TracingHealth]
    pauses: Callable[[], Sequence[Pause]] = tuple


@dataclass(frozen=True, slots=True)
class SetUpChoices:
    """What the operator chose; `providers` are the names of those that are on."""

    providers: Sequence[str]
    is_simulated: bool = False
    has_langsmith_key: bool = False


class Checklist:
    """Asks each time."""

    def __init__(self, sources: SetUpSources, choices: SetUpChoices) -> None:
        self._sources = sources
        self._choices = choices

    def lines(self) -> tuple[ChecklistLine, ...]:
        """In the order in which one sets a gateway up."""
        is_migrated = _answer(self._sources.is_migrated)
        # Tables that are not there cannot be asked.
        steps = _answer(self._sources.steps) if is_migrated else None
        redis = _answer(self._sources.redis)
        return (
            *_database(is_migrated=is_migrated),
            *_redis(redis),
            _provider(self._choices),
            _paused(_answer(self._sources.pauses) if is_migrated else None),
            *_tracing(self._choices, self._sources.tracing()),
            *_people(steps),
            *_calls(steps, redis),
        )


def is_complete(lines: Sequence[ChecklistLine]) -> bool:
    """Whether calls can be served, and are booked."""
    return not any(line.state in {LineState.MISSING, LineState.UNKNOWN} for line in lines)


def _answer(ask: Callable[[], Found]) -> Found | None:
    with suppress(GatewayUnavailable):
        return ask()
    return None


def _needed(name: str, step: NextStep, *, is_done: bool | None, remark: str = "") -> ChecklistLine:
    """A line without which nothing works; None where nobody can tell."""
    if is_done is None:
        return ChecklistLine(name, LineState.UNKNOWN, step)
    if not is_done:
        return ChecklistLine(name, LineState.MISSING, step)
    return ChecklistLine(name, LineState.DONE, step, remark)


def _database(*, is_migrated: bool | None) -> tuple[ChecklistLine, ...]:
    look = NextStep(StepKind.VARIABLE, "The database does not answer; look at", "DATABASE_URL")
    make = NextStep(StepKind.COMMAND, "Make its tables, or bring them up to date:", "flask setup")
    return (
        _needed("Database reachable", look, is_done=is_migrated is not None),
        _needed("Database migrated", make, is_done=is_migrated),
    )


def _redis(facts: RedisFacts | None) -> tuple[ChecklistLine, ...]:
    look = NextStep(StepKind.VARIABLE, "Redis does not answer; look at", "REDIS_URL")
    keep = NextStep(
        StepKind.COMMAND,
        f"With {facts and facts.policy} a full Redis throws away what was spent; set in it:",
        f"CONFIG SET maxmemory-policy {SAFE_POLICY}",
    )
    start = NextStep(StepKind.COMMAND, "It runs with the gateway, or alone:", "flask bookkeeper")
    wait = NextStep(StepKind.NOTE, "The bookkeeper restores them from the ledger within seconds.")
    is_safe = is_booking = is_trusted = None
    if facts is not None:
        is_safe, is_trusted = facts.is_policy_safe, facts.is_trusted
        is_booking = _is_booking(facts)
    return (
        _needed("Redis reachable", look, is_done=facts is not None),
        _needed("Redis keeps every counter", keep, is_done=is_safe),
        _needed("Bookkeeper alive", start, is_done=is_booking),
        _needed("Counters trusted", wait, is_done=is_trusted),
    )


def _is_booking(facts: RedisFacts) -> bool:
    if facts.bookkeeper_at is None:
        return False
    return facts.now - facts.bookkeeper_at <= LONGEST_SILENCE


def _provider(choices: SetUpChoices) -> ChecklistLine:
    step = NextStep(StepKind.VARIABLE, "Set the key of a provider, such as", "OPENAI_API_KEY")
    remark = f"On: {', '.join(choices.providers)}."
    if choices.is_simulated:
        remark = (
            "The simulator stands in for every provider: answers are made up and cost nothing "
            "real. Set the key of a provider, such as OPENAI_API_KEY, to call it."
        )
    return _needed("Provider configured", step, is_done=bool(choices.providers), remark=remark)


def _paused(pauses: Sequence[Pause] | None) -> ChecklistLine:
    """A pause of everything keeps every call from being served, the others only some."""
    found = {pause.target: pause for pause in pauses or ()}
    whole = found.get(EVERYTHING)
    step = NextStep(StepKind.COMMAND, "Staff paused calls; see:", "flask pause list")
    if whole is not None:
        words = f"{whole.by} paused all calls ({whole.reason}); to let them go on:"
        step = NextStep(StepKind.COMMAND, words, "flask pause lift --everything")
    names = ", ".join(pause.name for target, pause in found.items() if target != EVERYTHING)
    remark = f"But for {names}: see flask pause list." if names else ""
    is_done = None if pauses is None else whole is None
    return _needed("Calls not paused", step, is_done=is_done, remark=remark)


def _tracing(choices: SetUpChoices, health: TracingHealth) -> tuple[ChecklistLine, ...]:
    key = NextStep(StepKind.VARIABLE, "To have calls in LangSmith set", "LANGSMITH_API_KEY")
    on = key
    if choices.has_langsmith_key:
        on = NextStep(StepKind.VARIABLE, "Set to true:", "LANGSMITH_TRACING_ENABLED")
    if health.enabled:
        on = NextStep(StepKind.LINK, f"LangSmith takes no traces ({health.error}):", SYSTEM)
    return (
        _optional("LangSmith key set", key, is_done=choices.has_langsmith_key),
        _optional("Tracing on", on, is_done=health.connected),
    )


def _optional(name: str, step: NextStep, *, is_done: bool) -> ChecklistLine:
    return ChecklistLine(name, LineState.DONE if is_done else LineState.OPTIONAL, step)


def _people(steps: SetUpFacts | None) -> tuple[ChecklistLine, ...]:
    staff = NextStep(
        StepKind.COMMAND, "Make one:", "flask user create USERNAME --email ADDRESS --staff"
    )
    key = NextStep(
        StepKind.COMMAND, "Make one for a user; it is shown once:", "flask key create USERNAME"
    )
    return (
        _needed("Staff account made", staff, is_done=steps.has_staff if steps else None),
        _needed("Virtual key made", key, is_done=steps.has_key if steps else None),
    )


def _calls(steps: SetUpFacts | None, redis: RedisFacts | None) -> tuple[ChecklistLine, ...]:
    is_shown = steps is not None and steps.has_call
    # A call waits in the outbox for a moment before it is in the sums that pages read.
    is_made = is_shown or (redis is not None and redis.outbox_entries > 0)
    call = NextStep(StepKind.LINK, "Send a test call, or one with a key:", TEST_CALL)
    look = NextStep(StepKind.LINK, "A settled call is there within a second or two:", OVERVIEW)
    return (
        ChecklistLine("First call made", _made(steps, is_done=is_made), call),
        ChecklistLine("Dashboard shows it", _made(steps, is_done=is_shown), look),
    )


def _made(steps: SetUpFacts | None, *, is_done: bool) -> LineState:
    if is_done:
        return LineState.DONE
    return LineState.UNKNOWN if steps is None else LineState.OPEN

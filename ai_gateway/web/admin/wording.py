"""How the closed words of calls and of the audit are said on pages."""

from ai_gateway.domain.audit import Result
from ai_gateway.domain.call import Outcome
from ai_gateway.domain.tasks import RunOutcome
from ai_gateway.services.task_report import TaskRow

OUTCOME_WORDS = {
    Outcome.SUCCESS: ("check", "ok", "Success"),
    Outcome.UPSTREAM_REJECTED: ("stop", "exceeded", "Rejected by provider"),
    Outcome.UPSTREAM_ERROR: ("stop", "exceeded", "Provider error"),
    Outcome.UPSTREAM_TIMEOUT: ("stop", "exceeded", "Provider timeout"),
    Outcome.GATEWAY_ERROR: ("stop", "exceeded", "Gateway error"),
    Outcome.CANCELLED: ("away", "plain", "Client left"),
}
"""Icon, colour and words of every outcome that an admitted call can have."""


def outcome_words(outcome: str) -> tuple[str, str, str]:
    """Icon, colour and words; a word that nobody knows stands for itself."""
    try:
        return OUTCOME_WORDS[Outcome(outcome)]
    except (KeyError, ValueError):
        return "info", "plain", outcome.replace("_", " ")


REFUSAL_WORDS = {
    "installation_month": "Monthly budget of the installation",
    "user_day": "Daily budget of the user",
    "user_month": "Monthly budget of the user",
    "key_day": "Daily budget of the key",
    "key_month": "Monthly budget of the key",
    "missing": "No key",
    "in_address": "Key in the address",
    "invalid": "Unknown key",
    "revoked": "Revoked key",
    "expired": "Expired key",
    "forbidden": "Model not allowed for the key",
    "paused": "Paused by staff",
    "ModelNotFound": "Unknown model",
    "ModelUnpriced": "Model without a price",
    "InvalidRequest": "Request with a mistake",
    "RequestTooLarge": "Request too large",
    "UnsupportedEncoding": "Compressed request",
    "ResponseNotFound": "Unknown stored response",
    "CallStillRunning": "Repeat of a running call",
    "CallAlreadyMade": "Repeat of an earlier call",
    "IdempotencyKeyReused": "Idempotency key of another request",
    "AddressNotFound": "Unknown address",
    "WrongMethod": "Wrong method",
}
"""The reasons for which a request is refused; a test holds them to those that there are."""


def refusal_words(reason: str) -> str:
    return REFUSAL_WORDS.get(reason, reason.replace("_", " "))


RUN_WORDS = {
    RunOutcome.OK: ("check", "ok", "Done"),
    RunOutcome.FAILED: ("stop", "exceeded", "Failed"),
    RunOutcome.STOPPED: ("away", "plain", "Stopped, goes on"),
    RunOutcome.LOST: ("warning", "warning", "Its bookkeeper was gone"),
}
"""Icon, colour and words of how a run of a task ended."""


def task_words(row: TaskRow) -> tuple[str, str, str]:
    """The same of a task: that it is late or under way comes first."""
    state = row.state
    if row.is_late:
        return "warning", "warning", "Late"
    if state.running_since is not None:
        return "clock", "plain", "Running"
    if state.last_outcome is None:
        return "circle", "plain", "Not yet run"
    return RUN_WORDS[state.last_outcome]


def action_words(action: str) -> str:
    """`spend_reset` as `Spend reset`."""
    return action.replace("_", " ").capitalize()


RESULT_WORDS = {
    Result.OK: ("check", "ok", "Done"),
    Result.FAILED: ("stop", "exceeded", "Failed"),
    Result.LIMITED: ("away", "warning", "Too many tries"),
}
"""Icon, colour and words of every result in the audit."""


def result_words(result: str) -> tuple[str, str, str]:
    """The same; a word that nobody knows stands for itself."""
    try:
        return RESULT_WORDS[Result(result)]
    except ValueError:
        return "info", "plain", result

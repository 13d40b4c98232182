"""How the closed words of calls and of the audit are said on pages."""

from ai_gateway.domain.call import Outcome

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
    "invalid": "Unknown key",
    "revoked": "Revoked key",
    "expired": "Expired key",
    "forbidden": "Model not allowed for the key",
    "ModelNotFound": "Unknown model",
    "ModelUnpriced": "Model without a price",
    "InvalidRequest": "Request with a mistake",
    "RequestTooLarge": "Request too large",
    "UnsupportedEncoding": "Compressed request",
    "ResponseNotFound": "Unknown stored response",
    "AddressNotFound": "Unknown address",
    "WrongMethod": "Wrong method",
}
"""The reasons for which a request is refused; a test holds them to those that there are."""


def refusal_words(reason: str) -> str:
    return REFUSAL_WORDS.get(reason, reason.replace("_", " "))


def action_words(action: str) -> str:
    """`spend_reset` as `Spend reset`."""
    return action.replace("_", " ").capitalize()

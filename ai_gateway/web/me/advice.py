"""What to do about a refused request, in a sentence for whoever sent it."""

from types import MappingProxyType

_BUDGET = (
    "The call could have cost more than there was left: lower its cap on output, wait for the "
    "reset, or ask for a higher limit."
)
ADVICE = MappingProxyType(
    {
        "user_day": _BUDGET,
        "user_month": _BUDGET,
        "key_day": "The limit is this key’s own: another key of yours has its own, or none.",
        "key_month": "The limit is this key’s own: another key of yours has its own, or none.",
        "installation_month": "All users share this budget: ask whoever runs this gateway.",
        "revoked": "Set another key in the client that still sends this one.",
        "expired": "Make a new key and set it in the client that still sends this one.",
        "forbidden": "The key allows other models only: use one of them, or make another key.",
        "paused": "Staff paused such calls; the answer to the call had their reason.",
        "ModelNotFound": "Ask /v1/models which names there are.",
        "ModelUnpriced": "A budget needs a known price: ask whoever runs this gateway to add one.",
        "CallStillRunning": "The first call with this Idempotency-Key goes on; nothing was lost.",
        "CallAlreadyMade": "To make a call once more, send another Idempotency-Key.",
        "IdempotencyKeyReused": "Send another Idempotency-Key with each new request.",
        "InvalidRequest": "The answer to the call named the field.",
    }
)
"""By the reason of the refusal."""

OTHER = "The answer to the call said what was wrong."


def advice(reason: str) -> str:
    return ADVICE.get(reason, OTHER)

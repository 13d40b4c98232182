"""What may be chosen for a new key: never more than its owner may."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ai_gateway.domain.limit_choices import MOST_USD
from ai_gateway.domain.limits import Budget, Limit, Scope
from ai_gateway.domain.money import NANO_PER_USD, usd_text
from ai_gateway.domain.virtual_key import is_expired
from ai_gateway.errors import InvalidRequest

MAX_LABEL_CHARACTERS = 100
MAX_MODELS = 50
MAX_MODEL_CHARACTERS = 160
LAST_YEAR = 9990
"""Later moments do not exist in every zone."""


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What is chosen when a key is made. Without models it may call all that there are.

    A budget that is not among the `limits`, or is None there, inherits; in the end the limits of
    the owner hold for every key.
    """

    label: str = ""
    allowed_models: tuple[str, ...] = ()
    expires_at: datetime | None = None
    limits: Mapping[Budget, Limit | None] | None = None


def check_options(options: KeyOptions, of_owner: Mapping[Budget, Limit], now: datetime) -> None:
    """Raise `InvalidRequest` naming the field that is wrong; `of_owner` are the limits in force."""
    if len(options.label) > MAX_LABEL_CHARACTERS or not options.label.isprintable():
        raise InvalidRequest(f"Use at most {MAX_LABEL_CHARACTERS} printable characters.", "label")
    _check_models(options.allowed_models)
    if is_expired(options.expires_at, now):
        raise InvalidRequest("Choose a moment that is still to come.", "expires")
    if options.expires_at is not None and options.expires_at.year > LAST_YEAR:
        raise InvalidRequest(f"Choose a moment before the end of {LAST_YEAR}.", "expires")
    for budget, limit in (options.limits or {}).items():
        _check_limit(budget, limit, of_owner)


def _check_models(models: tuple[str, ...]) -> None:
    if len(models) > MAX_MODELS:
        raise InvalidRequest(f"Name at most {MAX_MODELS} models.", "models")
    for model in models:
        is_name = model.isprintable() and " " not in model
        if not is_name or not 0 < len(model) <= MAX_MODEL_CHARACTERS:
            raise InvalidRequest(
                f"{model[:MAX_MODEL_CHARACTERS]!a} is no name of a model.", "models"
            )


def _check_limit(budget: Budget, limit: Limit | None, of_owner: Mapping[Budget, Limit]) -> None:
    if limit is None or not limit.is_amount:
        return
    word = {"day": "daily", "month": "monthly"}[budget.window]
    if not 0 <= limit.amount <= MOST_USD * NANO_PER_USD:
        raise InvalidRequest(f"Choose 0 to {MOST_USD:,} USD.", f"limit_{budget.window}")
    own = of_owner.get(Budget(Scope.USER, budget.window))
    if own is not None and own.is_amount and limit.amount > own.amount:
        raise InvalidRequest(
            f"At most ${usd_text(own.amount)}: that is the owner's own {word} limit.",
            f"limit_{budget.window}",
        )

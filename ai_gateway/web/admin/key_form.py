"""What a form for a new key brings, read field by field; every mistake is told beside its field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from ai_gateway.domain.limit_choices import read_usd
from ai_gateway.domain.limits import NO_LIMIT, Budget, Limit, LimitKind, Scope, Window
from ai_gateway.services.key_rules import KeyOptions

LIMIT_FIELDS = {Window.DAY: "limit_day", Window.MONTH: "limit_month"}
LIMIT_WORDS = {
    "inherit": "The owner's limit alone",
    "amount": "This amount",
    "none": "No limit of its own",
}


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The texts as they were sent, what they mean, and what is wrong with them."""

    sent: Mapping[str, str]
    options: KeyOptions = field(default_factory=KeyOptions)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.sent.get("owner", "").strip()

    @property
    def key(self) -> str:
        """Makes a form that is sent twice act once."""
        return self.sent.get("idempotency_key", "")


def read_form(sent: Mapping[str, str], zone: ZoneInfo) -> KeyForm:
    errors: dict[str, str] = {}
    limits: dict[Budget, Limit | None] = {}
    for window, name in LIMIT_FIELDS.items():
        try:
            limits[Budget(Scope.KEY, window)] = _limit(sent, name)
        except ValueError as error:
            errors[name] = str(error)
    expires_at = None
    try:
        expires_at = _day_start(sent.get("expires", ""), zone)
    except ValueError:
        errors["expires"] = "This is no day."
    models = sent.get("models", "").replace(",", "\n").split("\n")
    options = KeyOptions(
        label=sent.get("label", "").strip(),
        allowed_models=tuple(dict.fromkeys(name.strip() for name in models if name.strip())),
        expires_at=expires_at,
        limits=limits,
    )
    return KeyForm(sent, options, errors)


def _limit(sent: Mapping[str, str], name: str) -> Limit | None:
    chosen, text = sent.get(f"{name}_kind", "inherit"), sent.get(name, "").strip()
    if chosen == "amount":
        return Limit(LimitKind.AMOUNT, read_usd(text))
    if text:
        raise ValueError("Choose “This amount”, or leave the amount empty.")
    return NO_LIMIT if chosen == "none" else None


def _day_start(text: str, zone: ZoneInfo) -> datetime | None:
    if not text:
        return None
    return datetime.combine(date.fromisoformat(text), time(), zone).astimezone(UTC)

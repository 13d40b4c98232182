"""What a form of limits brings, read field by field; every mistake is told beside its field.

A blank amount inherits, "No limit" is a choice of its own, and 0 blocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ai_gateway.domain.limit_choices import LimitChoice, LimitSubject, read_usd, seal
from ai_gateway.domain.limits import NO_LIMIT, Budget, Limit, LimitKind, Window
from ai_gateway.domain.money import usd_text

WINDOW_WORDS = {Window.DAY: "Daily", Window.MONTH: "Monthly"}
EXCEED_WORDS = {
    LimitKind.AMOUNT: "Block: refuse calls that do not fit",
    LimitKind.WARN: "Warn only: let them pass, and show it",
}


@dataclass(frozen=True, slots=True)
class LimitForm:
    """The texts of a form, what they mean, and what is wrong with them.

    `seen` is the version that the form was made from. `reviewed` names what was read out to whoever
    sends it: it has to be what is sent.
    """

    sent: Mapping[str, str]
    wanted: dict[Budget, Limit | None]
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def seen(self) -> str:
        return self.sent.get("seen", "")

    @property
    def reason(self) -> str:
        return self.sent.get("reason", "").strip()

    @property
    def key(self) -> str:
        return self.sent.get("idempotency_key", "")

    @property
    def is_reviewed(self) -> bool:
        return self.sent.get("reviewed", "") == seal(self.wanted)


def read_form(sent: Mapping[str, str], subject: LimitSubject) -> LimitForm:
    errors: dict[str, str] = {}
    wanted: dict[Budget, Limit | None] = {}
    for budget in subject.budgets:
        try:
            wanted[budget] = _choice(sent, budget.window)
        except ValueError as error:
            errors[budget.window] = str(error)
    return LimitForm(sent, wanted, errors)


def form_of(choices: tuple[LimitChoice, ...], seen: str) -> LimitForm:
    """A form that shows what is chosen now."""
    sent = {"seen": seen}
    for choice in choices:
        window, own = choice.budget.window, choice.own
        sent[f"{window}_exceed"] = LimitKind.AMOUNT.value
        if own is not None and own.is_amount:
            sent[window] = usd_text(own.amount)
            sent[f"{window}_exceed"] = own.kind.value
        elif own is not None:
            sent[f"{window}_none"] = "on"
    return LimitForm(sent, {choice.budget: choice.own for choice in choices})


def _choice(sent: Mapping[str, str], window: Window) -> Limit | None:
    text = sent.get(window, "").strip()
    if sent.get(f"{window}_none"):
        if text:
            raise ValueError("Either an amount or “No limit”: leave one of them out.")
        return NO_LIMIT
    if not text:
        return None
    is_warning = sent.get(f"{window}_exceed") == LimitKind.WARN
    return Limit(LimitKind.WARN if is_warning else LimitKind.AMOUNT, read_usd(text))

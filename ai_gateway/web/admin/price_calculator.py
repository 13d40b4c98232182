"""The calculator of the prices' page: a model and counts of tokens, and what that would cost."""

from dataclasses import dataclass, field

from flask import request
from flask_admin.base import expose
from werkzeug.datastructures import MultiDict

from ai_gateway.domain.roles import Permission
from ai_gateway.domain.usage import Usage
from ai_gateway.errors import CallerError, InvalidRequest, ModelNotFound, ModelUnpriced
from ai_gateway.services.price_calculator import MOST_TOKENS, Calculation
from ai_gateway.web.admin.staff import StaffView
from ai_gateway.web.context import services

COUNTS = {
    "input_tokens": "Input tokens, all of them",
    "cached_input_tokens": "Cached input, a part of it",
    "cache_write_tokens": "Cache writes, a part of it",
    "output_tokens": "Output tokens",
}
KIND_WORDS = {
    "input": "Input",
    "cached_input": "Cached input",
    "cache_write": "Cache write",
    "output": "Output",
}
MAX_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class CalculatorForm:
    """What was asked for, as it was written."""

    model: str = ""
    tier: str = ""
    counts: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


class PriceCalculatorView(StaffView):
    """At /admin/prices/calculator/; everything that was asked stands in the address."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Price calculator"
    address = "prices/calculator"
    has_menu_entry = False  # the page of prices leads here

    @expose("/")
    def index(self) -> str:
        form = _read(request.args)
        return self.render(
            "admin/price_calculator.html",
            form=form,
            found=_calculate(form) if form.model else None,
            counts=COUNTS,
            kinds=KIND_WORDS,
            most=MOST_TOKENS,
        )


def _read(arguments: MultiDict[str, str]) -> CalculatorForm:
    return CalculatorForm(
        arguments.get("model", "").strip()[:MAX_CHARACTERS],
        arguments.get("tier", "").strip()[:MAX_CHARACTERS],
        {name: arguments.get(name, "").strip()[:MAX_CHARACTERS] for name in COUNTS},
    )


def _calculate(form: CalculatorForm) -> Calculation | None:
    numbers = {name: _number(form, name) for name in COUNTS}
    if form.errors:
        return None
    try:
        return services().prices.calculator.calculate(
            form.model, Usage(**numbers), form.tier or None
        )
    except InvalidRequest as error:
        form.errors[error.param or "model"] = str(error)
    except ModelNotFound:
        form.errors["model"] = "No provider that is on has a model of this name."
    except (ModelUnpriced, CallerError):
        form.errors["model"] = "Nobody knows a price of this model; see the unpriced ones."
    return None


def _number(form: CalculatorForm, name: str) -> int:
    text = form.counts[name].replace(",", "") or "0"
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_TOKENS))
    if not is_number or int(text) > MOST_TOKENS:
        form.errors[name] = f"Write a whole number, 0 to {MOST_TOKENS:,}."
        return 0
    return int(text)

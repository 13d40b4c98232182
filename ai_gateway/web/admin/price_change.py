"""Enters a price, accepts the proposed one, or withdraws one: what that does, before it is done."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

from flask import flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from ai_gateway.domain.roles import Permission
from ai_gateway.errors import InvalidRequest
from ai_gateway.services.price_admin import (
    AMOUNTS,
    MAX_REASON_CHARACTERS,
    PriceChange,
    PriceOrder,
    usd_per_million,
)
from ai_gateway.services.price_table import ModelPrices
from ai_gateway.web.admin.login import local_target
from ai_gateway.web.admin.staff import StaffView, current_actor
from ai_gateway.web.context import services
from ai_gateway.web.formatting import moment

AMOUNT_WORDS = {
    "input": "Input",
    "cached_input": "Cached input",
    "cache_write": "Cache write, short",
    "cache_write_long": "Cache write, long",
    "output": "Output",
}
MAX_CHARACTERS = 200
MAX_ID_DIGITS = 18


@dataclass(frozen=True, slots=True)
class PriceForm:
    """What was sent. `key` makes a form that is sent twice act once."""

    provider: str
    model: str
    target: str
    amounts: dict[str, str] = field(default_factory=dict)
    effective_from: str = ""
    reason: str = ""
    entry_id: int = 0
    is_confirmed: bool = False
    key: str = ""
    errors: dict[str, str] = field(default_factory=dict)


class PriceChangeView(StaffView):
    """Below /admin/prices/change/; the page of prices leads here."""

    permission = Permission.MANAGE_PRICES
    title = "Change a price"
    address = "prices/change"
    has_menu_entry = False  # it is about a model that was chosen

    @expose("/")
    def index(self) -> Response:
        form = read_form(request.args)
        return self._page("enter", form, HTTPStatus.OK)

    @expose("/", methods=["POST"])
    def enter(self) -> ResponseReturnValue:
        form = read_form(request.form)
        try:
            done = services().prices.admin.enter(
                _order(form), form.amounts, is_confirmed=form.is_confirmed
            )
        except InvalidRequest as error:
            return self._refused("enter", form, error)
        return _done(form, done, "has a new price")

    @expose("/accept/")
    def proposal(self) -> ResponseReturnValue:
        return self._page("accept", read_form(request.args), HTTPStatus.OK)

    @expose("/accept/", methods=["POST"])
    def accept(self) -> ResponseReturnValue:
        form = read_form(request.form)
        try:
            done = services().prices.admin.accept(_order(form))
        except InvalidRequest as error:
            return self._refused("accept", form, error)
        return _done(form, done, "has the proposed price")

    @expose("/withdraw/")
    def entry(self) -> ResponseReturnValue:
        return self._page("withdraw", read_form(request.args), HTTPStatus.OK)

    @expose("/withdraw/", methods=["POST"])
    def withdraw(self) -> ResponseReturnValue:
        form = read_form(request.form)
        try:
            done = services().prices.admin.withdraw(_order(form), form.entry_id)
        except InvalidRequest as error:
            return self._refused("withdraw", form, error)
        return _done(form, done, "lost the price that was entered")

    def _refused(self, name: str, form: PriceForm, error: InvalidRequest) -> Response:
        form.errors[error.param or ""] = str(error)
        return self._page(name, form, HTTPStatus.BAD_REQUEST)

    def _page(self, name: str, form: PriceForm, status: HTTPStatus) -> Response:
        table = services().prices.table
        found = table.model(form.provider, form.model)
        if name != "enter" and found is None:
            flash("Choose a model first.", "error")
            return make_response(redirect(form.target))
        page = self.render(
            f"admin/price_{name}.html",
            form=form,
            found=found,
            amounts=AMOUNT_WORDS,
            suggested=_suggested(form, found),
            providers=[provider.name for provider in table.providers()],
            most_characters=MAX_REASON_CHARACTERS,
        )
        return make_response(page, status)


def read_form(sent: MultiDict[str, str]) -> PriceForm:
    number = sent.get("entry_id", "")
    is_id = number.isascii() and number.isdigit() and len(number) <= MAX_ID_DIGITS
    return PriceForm(
        provider=sent.get("provider", "").strip()[:MAX_CHARACTERS],
        # Not cut to size: a name that is too long is refused, never another model's.
        model=sent.get("model", "").strip(),
        target=_target(sent),
        amounts={name: sent[name] for name in AMOUNTS if name in sent},
        effective_from=sent.get("effective_from", "").strip(),
        reason=sent.get("reason", "").strip(),
        entry_id=int(number) if is_id else 0,
        is_confirmed="confirm" in sent,
        key=sent.get("idempotency_key", ""),
    )


def _order(form: PriceForm) -> PriceOrder:
    return PriceOrder(
        form.provider,
        form.model,
        current_actor(),
        effective_from=_moment(form.effective_from),
        reason=form.reason,
        order_id=form.key,
    )


def _moment(text: str) -> datetime | None:
    """A local time of the reporting zone; empty is now."""
    if not text:
        return None
    try:
        local = datetime.fromisoformat(text)
        return local.replace(tzinfo=local.tzinfo or services().zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            "Write a day and a time, such as 2026-12-01T00:00.", "effective_from"
        ) from error


def _suggested(form: PriceForm, found: ModelPrices | None) -> dict[str, str]:
    """What stands in the form: what was sent, else what holds or is proposed."""
    if form.amounts or found is None or found.like is None:
        return form.amounts
    rates = found.like.tiers[0].rates
    return {name: usd_per_million(getattr(rates, name)) for name in AMOUNTS}


def _target(sent: MultiDict[str, str]) -> str:
    """The list as it was; of other pages only those of prices."""
    prices = url_for("prices.index")
    asked = local_target(sent.get("next"))
    return asked if asked.startswith(prices) else prices


def _done(form: PriceForm, done: PriceChange, words: str) -> ResponseReturnValue:
    since = done.entry.effective_from
    when = f"from {moment(since, services().zone)} on"
    if since <= services().clock():
        when = "in all workers within two seconds"
    if not done.is_published:
        when = "as soon as Redis answers again"
    flash(f"{form.provider}/{form.model} {words}: in force {when}.", "success")
    return redirect(form.target, HTTPStatus.SEE_OTHER)

"""Gives users room again: what that means, for whom, and why, before it is done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from flask import flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from ai_gateway.domain.limits import Window
from ai_gateway.domain.money import Money
from ai_gateway.domain.roles import Permission
from ai_gateway.errors import BudgetUnavailable, InvalidRequest
from ai_gateway.services.spend_reset import BOTH, MAX_REASON_CHARACTERS, ResetOrder, UserReset
from ai_gateway.web.admin.login import local_target
from ai_gateway.web.admin.staff import StaffView, current_actor
from ai_gateway.web.context import services
from ai_gateway.web.formatting import exact_count, money

MAX_ID = 2**63 - 1
MAX_ASKED = 1000
"""More users than may be reset at once, so that the page can say so."""

NAMED = 10
"""So many names stand in the message of success."""

AWAY = (
    "Nothing can be reset now: the live counters do not answer, or are being restored. "
    "Send it again in a moment; nobody is reset twice."
)
WINDOW_WORDS = {Window.DAY: "today", Window.MONTH: "this month"}


@dataclass(frozen=True, slots=True)
class ResetForm:
    """What was asked for. `key` makes a form that is sent twice act once."""

    user_ids: tuple[int, ...]
    target: str
    windows: tuple[Window, ...] = BOTH
    reason: str = ""
    key: str = ""
    errors: dict[str, str] = field(default_factory=dict)


class UserResetView(StaffView):
    """At /admin/ai-analytics/users/reset/; the list of users leads here."""

    permission = Permission.RESET_USER_SPEND
    title = "Reset spend"
    address = "ai-analytics/users/reset"
    has_menu_entry = False  # it is about users who were chosen

    @expose("/")
    def index(self) -> ResponseReturnValue:
        form = ResetForm(_ids(request.args), _target(request.args))
        if not form.user_ids:
            flash("Choose the users to reset first.", "error")
            return redirect(form.target)
        return self._page(form)

    @expose("/", methods=["POST"])
    def reset(self) -> ResponseReturnValue:
        form = read_form(request.form)
        order = ResetOrder(form.key, current_actor(), form.reason, form.windows)
        try:
            done = services().spend_reset.reset_users(form.user_ids, order)
        except InvalidRequest as error:
            form.errors[error.param or ""] = str(error)
            return self._page(form, HTTPStatus.BAD_REQUEST)
        except BudgetUnavailable:
            form.errors[""] = AWAY
            return self._page(form, HTTPStatus.SERVICE_UNAVAILABLE)
        flash(*_words(done))
        return redirect(form.target, HTTPStatus.SEE_OTHER)

    def _page(self, form: ResetForm, status: HTTPStatus = HTTPStatus.OK) -> Response:
        page = self.render(
            "admin/user_reset.html",
            form=form,
            chosen=services().spend_list.chosen(form.user_ids),
            windows=WINDOW_WORDS,
            most_characters=MAX_REASON_CHARACTERS,
            away=AWAY,
        )
        return make_response(page, status)


def read_form(sent: MultiDict[str, str]) -> ResetForm:
    chosen = sent.getlist("windows")
    return ResetForm(
        user_ids=_ids(sent),
        target=_target(sent),
        windows=tuple(window for window in Window if window in chosen),
        reason=sent.get("reason", "").strip(),
        key=sent.get("idempotency_key", ""),
    )


def _ids(sent: MultiDict[str, str]) -> tuple[int, ...]:
    texts = (text for text in sent.getlist("selected") if text.isascii() and text.isdigit())
    ids = {int(text) for text in texts if len(text) <= len(str(MAX_ID))}
    return tuple(sorted(number for number in ids if number <= MAX_ID)[:MAX_ASKED])


def _target(sent: MultiDict[str, str]) -> str:
    """The list as it was; of other pages only those of staff."""
    users = url_for("userspend.index")
    asked = local_target(sent.get("next"))
    return asked if asked.startswith(users) else users


def _words(done: Sequence[UserReset]) -> tuple[str, str]:
    """The message, and its kind."""
    if not done:
        return "Nobody was reset: these users are not there any more.", "error"
    names = [reset.username for reset in done]
    who = names[0] if len(names) == 1 else f"{exact_count(len(names))} users"
    amounts = " and ".join(
        f"{money(Money(sum(reset.taken[window] for reset in done)))} of {WINDOW_WORDS[window]}"
        for window in done[0].taken
    )
    words = f"{who} reset: {amounts} taken off."
    if len(names) > 1:
        rest = len(names) - NAMED
        listed = ", ".join(names[:NAMED]) + (f" and {exact_count(rest)} more" if rest > 0 else "")
        words = f"{words} {listed}."
    return words, "success"

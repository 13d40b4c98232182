"""Changes limits: what is spent stands beside the new value, and what would surprise is said first.

A form that was made from older choices than there are now changes nothing and shows both.
"""

from http import HTTPStatus

from flask import flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.wrappers import Response

from ai_gateway.domain.limit_choices import (
    INSTALLATION,
    USER_DEFAULTS,
    LimitSubject,
    seal,
)
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.roles import Permission
from ai_gateway.errors import ChangedMeanwhile, InvalidRequest, KeyNotFound, UserNotFound
from ai_gateway.services.limit_admin import MAX_REASON_CHARACTERS, LimitOrder, LimitStanding
from ai_gateway.web.admin.keys import read_number
from ai_gateway.web.admin.limit_form import (
    EXCEED_WORDS,
    WINDOW_WORDS,
    LimitForm,
    form_of,
    read_form,
)
from ai_gateway.web.admin.limit_words import (
    BUDGET_WORDS,
    limit_words,
    source_words,
    subject_words,
)
from ai_gateway.web.admin.login import local_target
from ai_gateway.web.admin.staff import StaffView, current_actor
from ai_gateway.web.context import services

COMMON = {"installation": INSTALLATION, "users": USER_DEFAULTS}
PLACES = {"installation": "budgets.index", "users": "budgets.defaults"}
NOT_CONFIRMED = (
    "The limits are kept, but it is not confirmed that they are in force: Redis does not answer. "
    "They are at the latest 30 seconds after Redis is back; until then no call is admitted at all."
)


class LimitEditView(StaffView):
    """At /admin/budgets/edit/; `of`, `user` or `key` says whose limits are meant."""

    permission = Permission.MANAGE_LIMITS
    title = "Edit limits"
    address = "budgets/edit"
    has_menu_entry = False  # it is about limits that were chosen

    @expose("/")
    def index(self) -> ResponseReturnValue:
        try:
            standing = services().budgets.limits.standing(_subject())
        except (InvalidRequest, UserNotFound, KeyNotFound):
            return _gone()
        limits = standing.limits
        return self._page(standing, form_of(limits.choices, limits.version))

    @expose("/", methods=["POST"])
    def change(self) -> ResponseReturnValue:
        try:
            subject = _subject()
            standing = services().budgets.limits.standing(subject)
        except (InvalidRequest, UserNotFound, KeyNotFound):
            return _gone()
        form = read_form(request.form.to_dict(), subject)
        if form.errors:
            return self._page(standing, form, HTTPStatus.BAD_REQUEST)
        if _has_to_be_read(standing, form) and not form.is_reviewed:
            return self._page(standing, form, is_review=True)
        order = LimitOrder(current_actor(), form.wanted, form.seen, form.reason)
        try:
            done = services().budgets.limits.change(subject, order)
        except ChangedMeanwhile:
            return self._conflict(services().budgets.limits.standing(subject), form)
        except InvalidRequest as error:
            form.errors[error.param or ""] = str(error)
            return self._page(standing, form, HTTPStatus.BAD_REQUEST)
        words = f"Limits of {subject_words(standing.limits)} set, from the next call on."
        flash(*((words, "success") if done.is_in_force else (NOT_CONFIRMED, "error")))
        return redirect(_target(), HTTPStatus.SEE_OTHER)

    def _page(
        self,
        standing: LimitStanding,
        form: LimitForm,
        status: HTTPStatus = HTTPStatus.OK,
        *,
        is_review: bool = False,
    ) -> Response:
        limits = services().budgets.limits
        page = self.render(
            "admin/limit_edit.html",
            standing=standing,
            form=form,
            is_review=is_review,
            over=limits.over(standing, form.wanted) if is_review else (),
            impact=limits.impact(standing.limits, form.wanted) if is_review else {},
            reviewed=seal(form.wanted),
            most_characters=MAX_REASON_CHARACTERS,
            **_words(),
        )
        return make_response(page, status)

    def _conflict(self, standing: LimitStanding, form: LimitForm) -> Response:
        page = self.render("admin/limit_conflict.html", standing=standing, form=form, **_words())
        return make_response(page, HTTPStatus.CONFLICT)


def _has_to_be_read(standing: LimitStanding, form: LimitForm) -> bool:
    """Whether there is something to say before it is done."""
    limits = services().budgets.limits
    is_change = standing.limits.own != form.wanted
    return is_change and (
        standing.limits.subject == USER_DEFAULTS or bool(limits.over(standing, form.wanted))
    )


def _subject() -> LimitSubject:
    """Whose limits are meant; raises `InvalidRequest` where that makes no sense."""
    asked = request.values
    if asked.get("of") in COMMON:
        return COMMON[asked["of"]]
    if key_id := asked.get("key"):
        return services().budgets.limits.key(key_id.replace("\0", ""))
    if user_id := read_number(asked.get("user", "")):
        return LimitSubject(Scope.USER, user_id)
    raise InvalidRequest("Choose whose limits to edit first.")


def _words() -> dict[str, object]:
    return {
        "window_words": WINDOW_WORDS,
        "exceed_words": EXCEED_WORDS,
        "budget_words": BUDGET_WORDS,
        "limit_words": limit_words,
        "source_words": source_words,
        "subject_words": subject_words,
        "chosen": _chosen(),
        "target": _target(),
        "zone": services().zone,
    }


def _chosen() -> dict[str, str]:
    """What an address or a form has to say, to mean the same subject."""
    return {name: request.values[name] for name in ("of", "key", "user") if name in request.values}


def _target() -> str:
    """Where the form was opened; of other pages only those of staff."""
    asked = request.values.get("next")
    if asked and local_target(asked).startswith(url_for("admin.index")):
        return local_target(asked)
    return url_for(PLACES.get(request.values.get("of", ""), "budgets.users"))


def _gone() -> Response:
    flash("There are no such limits: choose whose limits to edit first.", "error")
    return redirect(url_for("budgets.index"))

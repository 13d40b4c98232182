"""Pause: what is stopped, by whom and why; and the switch for a user, a provider, or everything."""

from http import HTTPStatus

from flask import flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.wrappers import Response

from ai_gateway.domain.house_rules import (
    EVERYTHING,
    MAX_REASON_CHARACTERS,
    Pause,
    PauseScope,
    PauseTarget,
    provider_pause,
    user_pause,
)
from ai_gateway.domain.roles import Permission
from ai_gateway.errors import InvalidRequest, UserNotFound
from ai_gateway.services.pauses import NEEDED, PauseChange
from ai_gateway.services.user_admin import UserAdminError
from ai_gateway.web.admin.budgets import TABS
from ai_gateway.web.admin.error_pages import error_page
from ai_gateway.web.admin.keys import read_number
from ai_gateway.web.admin.login import local_target
from ai_gateway.web.admin.staff import StaffView, current_actor, may
from ai_gateway.web.context import services

NOT_CONFIRMED = (
    "It is kept, but not confirmed to be in force: Redis does not answer. It is at the latest 30 "
    "seconds after Redis is back; until then no call is admitted at all."
)


class PausesView(StaffView):
    """At /admin/pauses/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Pause"
    group = "Manage"
    address = "pauses"
    icon = "pause"

    @expose("/")
    def index(self) -> str:
        pauses = services().budgets.pauses
        found = {pause.target: pause for pause in pauses.all()}
        return self.render(
            "admin/pauses.html",
            tabs=TABS,
            everything=found.get(EVERYTHING),
            providers=[(name, found.get(provider_pause(name))) for name in pauses.providers],
            # One of a provider that is not on any more is lifted here too.
            others=[p for t, p in found.items() if t.subject and t.subject not in pauses.providers],
            target_arguments=target_arguments,
            pause_words=pause_words,
            may_pause_user=may(NEEDED[PauseScope.USER]),
            may_pause_service=may(NEEDED[PauseScope.EVERYTHING]),
            zone=services().zone,
            now=services().clock(),
        )


class _PauseActView(StaffView):
    """A page that sets or lifts one pause; it asks for more than the permission of the page."""

    permission = Permission.MANAGE_LIMITS
    has_menu_entry = False  # it is about what was chosen

    def asked(self) -> PauseTarget | Response:
        """What is meant; or the answer where that makes no sense or is not for this role."""
        try:
            target = _target()
        except (InvalidRequest, UserAdminError, UserNotFound) as error:
            flash(str(error), "error")
            return redirect(url_for("pauses.index"))
        return target if may(NEEDED[target.scope]) else error_page(HTTPStatus.FORBIDDEN)


class PauseSetView(_PauseActView):
    """At /admin/pauses/set/."""

    title = "Pause calls"
    address = "pauses/set"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        target = self.asked()
        return self._page(target) if isinstance(target, PauseTarget) else target

    @expose("/", methods=["POST"])
    def pause(self) -> ResponseReturnValue:
        target = self.asked()
        if not isinstance(target, PauseTarget):
            return target
        try:
            done = services().budgets.pauses.set(
                target, request.form.get("reason", ""), current_actor()
            )
        except (InvalidRequest, UserNotFound) as error:
            return self._page(target, str(error), HTTPStatus.BAD_REQUEST)
        return _done(done, f"{pause_words(done.pause)} are paused, from the next call on.")

    def _page(
        self, target: PauseTarget, failure: str = "", status: HTTPStatus = HTTPStatus.OK
    ) -> Response:
        try:
            name = services().budgets.pauses.name_of(target)
        except (InvalidRequest, UserNotFound):
            flash("There is nothing like that to pause.", "error")
            return redirect(url_for("pauses.index"))
        page = self.render(
            "admin/pause_set.html",
            target=target,
            words=_words(target, name),
            arguments=target_arguments(target),
            reason=request.form.get("reason", ""),
            failure=failure,
            most_characters=MAX_REASON_CHARACTERS,
            back=_back(),
        )
        return make_response(page, status)


class PauseLiftView(_PauseActView):
    """At /admin/pauses/lift/."""

    title = "Lift a pause"
    address = "pauses/lift"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        target = self.asked()
        if not isinstance(target, PauseTarget):
            return target
        found = {pause.target: pause for pause in services().budgets.pauses.all()}
        if target not in found:
            return _not_paused()
        page = self.render(
            "admin/pause_lift.html",
            pause=found[target],
            words=pause_words(found[target]),
            arguments=target_arguments(target),
            zone=services().zone,
            back=_back(),
        )
        return make_response(page)

    @expose("/", methods=["POST"])
    def lift(self) -> ResponseReturnValue:
        target = self.asked()
        if not isinstance(target, PauseTarget):
            return target
        done = services().budgets.pauses.lift(target, current_actor())
        if done is None:
            return _not_paused()
        return _done(done, f"{pause_words(done.pause)} go on, from the next one on.")


def pause_words(pause: Pause) -> str:
    """What is paused, at the beginning of a sentence."""
    return _words(pause.target, pause.name)


def target_arguments(target: PauseTarget) -> dict[str, str]:
    """What an address says to mean a target; user and provider by id and name."""
    if target.scope is PauseScope.EVERYTHING:
        return {"everything": "1"}
    return {target.scope.value: target.subject}


def _words(target: PauseTarget, name: str) -> str:
    return {
        PauseScope.EVERYTHING: "All calls",
        PauseScope.PROVIDER: f"Calls to {name}",
        PauseScope.USER: f"Calls of {name}",
    }[target.scope]


def _target() -> PauseTarget:
    """What the address or the form means; raises `InvalidRequest` or `UserAdminError`."""
    asked = request.values
    if asked.get("everything"):
        return EVERYTHING
    if provider := asked.get("provider"):
        return provider_pause(provider.replace("\0", ""))
    if user_id := read_number(asked.get("user", "")):
        return user_pause(user_id)
    if username := asked.get("username", "").replace("\0", "").strip():
        return user_pause(services().user_admin.user_id(username))
    raise InvalidRequest("Choose first what to pause.")


def _back() -> str:
    asked = request.values.get("next")
    if asked and local_target(asked).startswith(url_for("admin.index")):
        return local_target(asked)
    return url_for("pauses.index")


def _done(done: PauseChange, words: str) -> ResponseReturnValue:
    flash(*((words, "success") if done.is_in_force else (NOT_CONFIRMED, "error")))
    return redirect(_back(), HTTPStatus.SEE_OTHER)


def _not_paused() -> Response:
    flash("That is not paused any more.", "error")
    return redirect(url_for("pauses.index"))

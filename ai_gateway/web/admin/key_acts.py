"""Makes, rotates and revokes virtual keys. A secret is in one answer, and in none after it."""

from collections.abc import Callable
from http import HTTPStatus

from flask import flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.wrappers import Response

from ai_gateway.domain.roles import Permission
from ai_gateway.domain.virtual_key import Grace
from ai_gateway.errors import InvalidRequest, KeyNotFound
from ai_gateway.services.key_admin import IssuedKey, KeyRequest
from ai_gateway.services.key_list import KeyRow
from ai_gateway.services.key_rules import MAX_LABEL_CHARACTERS
from ai_gateway.services.user_admin import UserAdminError
from ai_gateway.web.admin.key_form import LIMIT_FIELDS, LIMIT_WORDS, KeyForm, read_form
from ai_gateway.web.admin.keys import read_number
from ai_gateway.web.admin.login import local_target
from ai_gateway.web.admin.staff import StaffView, current_actor
from ai_gateway.web.context import services

GRACE_WORDS = {
    Grace.NONE: "At once",
    Grace.HOUR: "After 1 hour",
    Grace.DAY: "After 24 hours",
    Grace.WEEK: "After 7 days",
}
NOT_CONFIRMED = (
    "It is not confirmed that this is in force: Redis does not answer. It is refused everywhere at "
    "the latest 30 seconds after Redis is back; until then no call is admitted at all."
)
GONE = "There is no such key."


class _KeyActView(StaffView):
    """A page that changes one thing about keys; the list leads here."""

    permission = Permission.MANAGE_KEYS
    has_menu_entry = False  # it is about one key

    def show_secret(self, issued: IssuedKey, heading: str) -> Response:
        """The one answer with the secret in it; the headers keep it out of every store."""
        page = self.render(
            "admin/key_secret.html",
            issued=issued,
            heading=heading,
            now=services().clock(),
            back=url_for("keys.index"),
            base_url=request.url_root,
        )
        return make_response(page)


class KeyCreateView(_KeyActView):
    """At /admin/api-keys/new/."""

    title = "New key"
    address = "api-keys/new"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        owner_id = read_number(request.args.get("owner", ""))
        users = services().spend_list.chosen([owner_id]).users if owner_id else ()
        return self._page(KeyForm({"owner": users[0].budgets.username} if users else {}))

    @expose("/", methods=["POST"])
    def create(self) -> ResponseReturnValue:
        form = read_form(request.form, services().zone)
        if not form.errors:
            try:
                owner_id = services().user_admin.user_id(form.owner)
                issued = services().key_admin.create(owner_id, form.options, _asked(form.key))
            except UserAdminError:
                form.errors["owner"] = "There is no user of this name."
            except InvalidRequest as error:
                form.errors[error.param or ""] = str(error)
            else:
                return self.show_secret(issued, "Key made")
        return self._page(form, HTTPStatus.BAD_REQUEST)

    def _page(self, form: KeyForm, status: HTTPStatus = HTTPStatus.OK) -> Response:
        page = self.render(
            "admin/key_form.html",
            form=form,
            limit_fields=LIMIT_FIELDS,
            limit_words=LIMIT_WORDS,
            most_characters=MAX_LABEL_CHARACTERS,
            today=services().clock().astimezone(services().zone).date(),
            back=url_for("keys.index"),
        )
        return make_response(page, status)


class KeyRotateView(_KeyActView):
    """At /admin/api-keys/rotate/."""

    title = "Rotate a key"
    address = "api-keys/rotate"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        return _on_key(request.args.get("key", ""), self._page)

    @expose("/", methods=["POST"])
    def rotate(self) -> ResponseReturnValue:
        key_id, chosen = request.form.get("key", ""), request.form.get("grace", "")
        try:
            if chosen not in list(Grace):
                raise InvalidRequest("Choose when the present secret ends.", "grace")
            asked = _asked(request.form.get("idempotency_key", ""))
            issued = services().key_admin.rotate(key_id, Grace(chosen), asked)
        except InvalidRequest as error:
            words = str(error)
            return _on_key(key_id, lambda row: self._page(row, words, HTTPStatus.BAD_REQUEST))
        except KeyNotFound:
            return _gone()
        return self.show_secret(issued, "Key rotated")

    def _page(self, row: KeyRow, failure: str = "", status: int = HTTPStatus.OK) -> Response:
        page = self.render(
            "admin/key_rotate.html", row=row, graces=GRACE_WORDS, failure=failure, back=_target()
        )
        return make_response(page, status)


class KeyRevokeView(_KeyActView):
    """At /admin/api-keys/revoke/."""

    title = "Revoke a key"
    address = "api-keys/revoke"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        return _on_key(request.args.get("key", ""), self._page)

    @expose("/", methods=["POST"])
    def revoke(self) -> ResponseReturnValue:
        key_id = request.form.get("key", "")
        try:
            done = services().key_admin.revoke(key_id, _asked(""))
        except KeyNotFound:
            return _gone()
        name = f"agw_{done.key_id}…"
        if done.is_in_force:
            words = (
                f"Key {name} is revoked. Redis confirmed it: the next call is refused everywhere."
            )
            flash(words, "success")
        else:
            flash(f"Key {name} is revoked in the database. {NOT_CONFIRMED}", "warning")
        return redirect(_target(), HTTPStatus.SEE_OTHER)

    def _page(self, row: KeyRow) -> Response:
        return make_response(self.render("admin/key_revoke.html", row=row, back=_target()))


def _asked(request_id: str) -> KeyRequest:
    return KeyRequest(current_actor(), owner_id=None, request_id=request_id)


def _on_key(key_id: str, page: Callable[[KeyRow], Response]) -> ResponseReturnValue:
    try:
        row = services().key_list.find(key_id, owner_id=None)
    except KeyNotFound:
        return _gone()
    return page(row)


def _gone() -> ResponseReturnValue:
    flash(GONE, "error")
    return redirect(_target())


def _target() -> str:
    """The list as it was, or the page of the owner; no other."""
    keys, users = url_for("keys.index"), url_for("userspend.index")
    asked = local_target(request.values.get("next"))
    return asked if asked.startswith((keys, users)) else keys

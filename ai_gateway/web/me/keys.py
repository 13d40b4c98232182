"""Own keys: listed, made, rotated and revoked. Those of others are not found."""

from collections.abc import Callable
from http import HTTPStatus

from flask import flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from ai_gateway.domain.virtual_key import Grace
from ai_gateway.errors import InvalidRequest, KeyNotFound
from ai_gateway.services.key_admin import IssuedKey, KeyRequest
from ai_gateway.services.key_list import KeyRow
from ai_gateway.services.key_rules import MAX_LABEL_CHARACTERS
from ai_gateway.web.admin.key_acts import GONE, GRACE_WORDS, NOT_CONFIRMED
from ai_gateway.web.admin.key_form import LIMIT_FIELDS, LIMIT_WORDS, KeyForm, read_form
from ai_gateway.web.admin.staff import current_actor
from ai_gateway.web.context import services
from ai_gateway.web.me.frame import owner, render

CHOOSE_GRACE = "Choose when the present secret ends."


def own_keys() -> str:
    """At /me/keys/."""
    found = services().key_list.of_owner(owner().user_id)
    return render(
        "me/keys.html",
        found=found,
        now=services().clock(),
        zone=services().zone,
        base_url=request.url_root,
    )


def ask_new() -> ResponseReturnValue:
    """The form at /me/keys/new/."""
    return _form(KeyForm({}))


def create() -> ResponseReturnValue:
    form = read_form(request.form, services().zone)
    if not form.errors:
        try:
            user_id = owner().user_id
            issued = services().key_admin.create(user_id, form.options, _asked(form.key))
        except InvalidRequest as error:
            form.errors[error.param or ""] = str(error)
        else:
            return _secret(issued, "Key made")
    return _form(form, HTTPStatus.BAD_REQUEST)


def ask_rotate() -> ResponseReturnValue:
    """The question at /me/keys/rotate/."""
    return _on_key(request.args.get("key", ""), _rotation)


def rotate() -> ResponseReturnValue:
    key_id, chosen = request.form.get("key", ""), request.form.get("grace", "")
    try:
        if chosen not in set(Grace):
            raise InvalidRequest(CHOOSE_GRACE, "grace")
        asked = _asked(request.form.get("idempotency_key", ""))
        issued = services().key_admin.rotate(key_id, Grace(chosen), asked)
    except InvalidRequest as error:
        words = str(error)
        return _on_key(key_id, lambda row: _rotation(row, words, HTTPStatus.BAD_REQUEST))
    except KeyNotFound:
        return _gone()
    return _secret(issued, "Key rotated")


def ask_revoke() -> ResponseReturnValue:
    """The question at /me/keys/revoke/."""
    return _on_key(request.args.get("key", ""), _revocation)


def revoke() -> ResponseReturnValue:
    try:
        done = services().key_admin.revoke(request.form.get("key", ""), _asked(""))
    except KeyNotFound:
        return _gone()
    name = f"agw_{done.key_id}…"
    if done.is_in_force:
        flash(f"Key {name} is revoked: the next call with it is refused.", "success")
    else:
        flash(f"Key {name} is revoked in the database. {NOT_CONFIRMED}", "warning")
    return redirect(_list(), HTTPStatus.SEE_OTHER)


def _asked(request_id: str) -> KeyRequest:
    """Bound to whoever is logged in: a key of another is not found."""
    return KeyRequest(current_actor(), owner_id=owner().user_id, request_id=request_id)


def _form(form: KeyForm, status: HTTPStatus = HTTPStatus.OK) -> Response:
    zone = services().zone
    page = render(
        "admin/key_form.html",
        form=form,
        is_own=True,
        limit_fields=LIMIT_FIELDS,
        limit_words=LIMIT_WORDS,
        most_characters=MAX_LABEL_CHARACTERS,
        today=services().clock().astimezone(zone).date(),
        back=_list(),
    )
    return make_response(page, status)


def _rotation(row: KeyRow, failure: str = "", status: HTTPStatus = HTTPStatus.OK) -> Response:
    page = render(
        "admin/key_rotate.html", row=row, graces=GRACE_WORDS, failure=failure, back=_list()
    )
    return make_response(page, status)


def _revocation(row: KeyRow) -> Response:
    return make_response(render("admin/key_revoke.html", row=row, back=_list()))


def _secret(issued: IssuedKey, heading: str) -> Response:
    """The one answer with the secret in it; the headers keep it out of every store."""
    page = render(
        "admin/key_secret.html",
        issued=issued,
        heading=heading,
        now=services().clock(),
        back=_list(),
        base_url=request.url_root,
    )
    return make_response(page)


def _on_key(key_id: str, page: Callable[[KeyRow], Response]) -> ResponseReturnValue:
    try:
        row = services().key_list.find(key_id, owner_id=owner().user_id)
    except KeyNotFound:
        return _gone()
    return page(row)


def _gone() -> ResponseReturnValue:
    flash(GONE, "error")
    return redirect(_list())


def _list() -> str:
    return url_for("me.keys")

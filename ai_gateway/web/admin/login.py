"""Logging in and out. A failed log-in never says whether the name or the password was wrong."""

from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from ai_gateway.domain.roles import Role
from ai_gateway.services.sign_in import SignedInUser, TooManyLogIns
from ai_gateway.web.admin.staff import (
    begin_session,
    current_member,
    end_session,
    guard,
    is_plain_loopback,
    stranger,
)
from ai_gateway.web.context import services

HOME = "/admin/"
OWN_HOME = "/me/"
FAILED = "The username or the password is wrong, or the account is disabled."


def make_blueprint() -> Blueprint:
    """The routes outside /admin that people use; made anew for each application."""
    blueprint = Blueprint("staff", __name__)
    guard(blueprint)
    blueprint.add_url_rule("/", "front", front)
    blueprint.add_url_rule("/login", "login", log_in, methods=["GET", "POST"])
    blueprint.add_url_rule("/logout", "logout", log_out, methods=["POST"])
    return blueprint


def front() -> ResponseReturnValue:
    """To the home of whoever is logged in; a stranger comes by the log-in."""
    member = current_member()
    return redirect(HOME if member is None else landing(member.user, HOME))


def log_in() -> ResponseReturnValue:
    target = local_target(request.values.get("next"))
    if request.method != "POST":  # HEAD is a GET, and no token of a form is asked of it
        member = current_member()
        return redirect(landing(member.user, target)) if member else make_response(_page(target))
    username = request.form.get("username", "").strip()
    password = request.form.get("password", "")
    try:
        token = services().sign_in.sign_in(username, password, stranger())
    except TooManyLogIns as error:
        return too_many(error, _page(target, username, wait=error.retry_after))
    user = services().sign_in.load(token) if token else None
    if token is None or user is None:
        return make_response(_page(target, username, FAILED), HTTPStatus.UNAUTHORIZED)
    begin_session(token, user)
    return redirect(landing(user, target), HTTPStatus.SEE_OTHER)


def log_out() -> ResponseReturnValue:
    end_session()
    return redirect("/login", HTTPStatus.SEE_OTHER)


def landing(user: SignedInUser, target: str) -> str:
    """Where a log-in leads: without a role there is nothing for one among the staff pages."""
    is_closed = user.role is Role.NONE and target.startswith(HOME)
    return OWN_HOME if is_closed else target


def local_target(asked: str | None) -> str:
    """The address to go on to; anything but a path on this host becomes the home page."""
    if not asked or not asked.startswith("/") or asked.startswith(("//", "/\\")):
        return HOME
    # Browsers drop tabs and line ends, and read a backslash as a slash.
    if "\\" in asked or any(ord(sign) <= 0x20 or ord(sign) == 0x7F for sign in asked):
        return HOME
    try:
        parts = urlsplit(asked)
    except ValueError:
        return HOME
    is_foreign = parts.scheme or parts.netloc or parts.path in {"/login", "/logout"}
    return HOME if is_foreign else asked


def too_many(error: TooManyLogIns, page: str) -> Response:
    """A page that says how long to wait, and the header that tells programs."""
    response = make_response(page, HTTPStatus.TOO_MANY_REQUESTS)
    response.headers["Retry-After"] = str(int(error.retry_after.total_seconds()))
    return response


def _page(target: str, username: str = "", failure: str = "", wait: timedelta | None = None) -> str:
    return render_template(
        "admin/login.html",
        target=target,
        username=username,
        failure=failure,
        wait=wait,
        is_cookie_lost=not request.is_secure and not is_plain_loopback(),
    )

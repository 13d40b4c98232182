"""A user's own account: the password. For everybody who is logged in, with a role or without."""

from http import HTTPStatus

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from ai_gateway.services.own_password import WrongPassword
from ai_gateway.services.password_rules import MIN_CHARACTERS, PasswordRefused
from ai_gateway.services.sign_in import TooManyLogIns
from ai_gateway.web.admin.login import too_many
from ai_gateway.web.admin.staff import StaffMember, current_actor, current_member, guard
from ai_gateway.web.context import services


def make_blueprint() -> Blueprint:
    """The routes under /me; made anew for each application."""
    blueprint = Blueprint("account", __name__, url_prefix="/me")
    guard(blueprint)
    blueprint.add_url_rule("/password/", "password", password, methods=["GET", "POST"])
    return blueprint


def password() -> ResponseReturnValue:
    """Change the password of whoever asks."""
    member = current_member()
    if member is None:
        return redirect(url_for("staff.login", next=request.path), HTTPStatus.SEE_OTHER)
    if request.method != "POST":  # HEAD is a GET, and no token of a form is asked of it
        return _page()
    try:
        _change(member)
    except TooManyLogIns as error:
        return too_many(error, _page(wait=error.retry_after))
    except WrongPassword:
        return _refused("present", "this is not your present password")
    except PasswordRefused as error:
        return _refused("new", str(error))
    flash("Your password is changed. Your other sessions are ended.", "success")
    return redirect(url_for("account.password"), HTTPStatus.SEE_OTHER)


def _change(member: StaffMember) -> None:
    new = request.form.get("new", "")
    if new != request.form.get("repeated", ""):
        raise PasswordRefused("the two new passwords differ")
    services().own_password.change(
        member.user,
        member.token,
        current_actor(),
        present=request.form.get("present", ""),
        new=new,
    )


def _refused(field: str, reason: str) -> ResponseReturnValue:
    return make_response(_page(errors={field: reason}), HTTPStatus.UNPROCESSABLE_ENTITY)


def _page(**shown: object) -> str:
    return render_template(
        "admin/password.html", least=MIN_CHARACTERS, **{"errors": {}, "wait": None} | shown
    )

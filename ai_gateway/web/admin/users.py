"""Accounts: who there is, what they may do, and whether they may come in. For administrators."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Response, abort, flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.datastructures import MultiDict

from ai_gateway.domain.audit import Actor
from ai_gateway.domain.roles import Permission, Role, read_role
from ai_gateway.services.user_admin import (
    NewUser,
    UserAdmin,
    UserAdminError,
    UserEdit,
    random_password,
)
from ai_gateway.stores.tables import User
from ai_gateway.web.admin.login import local_target
from ai_gateway.web.admin.records import RecordsView, selected_ids
from ai_gateway.web.admin.staff import current_actor
from ai_gateway.web.context import services

KEYS_LATER = "Their keys stop when Redis is back; until then no call is admitted at all."

ROLE_WORDS = {
    Role.NONE: "None: own spend, limits and keys",
    Role.VIEWER: "Viewer: sees the analytics",
    Role.OPERATOR: "Operator: also resets, limits and keys",
    Role.ADMIN: "Admin: everything",
}


@dataclass(frozen=True, slots=True)
class UserAction:
    """What can be done to some users at once, after it was confirmed."""

    words: str
    done: str
    effect: str
    act: Callable[[UserAdmin, int, Actor], bool]
    """False where the keys of the user are told only later."""

    is_harmless: bool = False


def _delete(users: UserAdmin, user_id: int, actor: Actor) -> bool:
    users.delete(user_id, actor)
    return True


ACTIONS = {
    "disable": UserAction(
        "Disable",
        "disabled",
        "Sessions end now, and keys stop with the next call. Spend and history stay.",
        lambda users, user_id, actor: users.set_enabled(user_id, actor, is_enabled=False),
    ),
    "enable": UserAction(
        "Enable",
        "enabled",
        "They can log in again, and keys that are not revoked work with the next call.",
        lambda users, user_id, actor: users.set_enabled(user_id, actor, is_enabled=True),
        is_harmless=True,
    ),
    "delete": UserAction(
        "Delete",
        "deleted",
        "This cannot be undone. Whoever has keys or recorded calls can only be disabled.",
        _delete,
    ),
}
BULK_ACTIONS = ("disable", "enable")


class UserView(RecordsView):
    """At /admin/user/."""

    ROUTES = ("index_view", "create_view", "edit_view", "confirm_view", "action_view")
    records = User
    permission = Permission.MANAGE_USERS
    title = "User accounts"
    group = "Manage"
    address = "user"
    icon = "person"

    can_create = can_edit = can_delete = True
    column_list = ("username", "email", "role", "is_enabled", "created_at")
    column_labels = {  # noqa: RUF012  # it wants a dict
        "username": "User",
        "email": "Email",
        "role": "Role",
        "is_enabled": "Status",
        "created_at": "Made",
    }
    # With the number behind it: rows of equal values must not change places between pages.
    column_sortable_list = tuple((name, (name, "id")) for name in column_list)
    column_default_sort = [("username", False), ("id", False)]  # noqa: RUF012  # it wants a list
    column_searchable_list = ("username", "email")

    def search_placeholder(self) -> str:
        return "Username or email"

    def get_actions_list(self) -> tuple[list[tuple[str, str]], dict[str, str]]:
        return [(name, ACTIONS[name].words) for name in BULK_ACTIONS], {}

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> ResponseReturnValue:
        """Make a user."""
        if request.method != "POST":  # HEAD comes here too, and without a token
            return self._form(None, MultiDict({"role": Role.NONE.value}))
        form = request.form
        try:
            password = chosen_password(form)
            new = NewUser(_text(form, "username"), _text(form, "email"), password, _role(form))
            user_id = services().user_admin.create(new, current_actor())
        except UserAdminError as error:
            return self._form(None, form, error)
        flash(f"{new.username} was made.", "success")
        return self._done(user_id, new.username, password)

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> ResponseReturnValue:
        """Change a user."""
        user = self.get_one(request.args.get("id"))
        if user is None:
            abort(HTTPStatus.NOT_FOUND)
        if request.method != "POST":  # HEAD comes here too, and without a token
            enabled = {"is_enabled": "yes"} if user.is_enabled else {}
            return self._form(user, MultiDict({"email": user.email, "role": user.role, **enabled}))
        form = request.form
        user_id, username = user.id, user.username
        try:
            password = chosen_password(form)
            wanted = UserEdit(_text(form, "email"), _role(form), "is_enabled" in form, password)
            is_told = services().user_admin.edit(user_id, wanted, current_actor())
        except UserAdminError as error:
            return self._form(user, form, error)
        flash(f"{username} was saved.{'' if is_told else f' {KEYS_LATER}'}", "success")
        return self._done(user_id, username, password)

    @expose("/confirm/")
    def confirm_view(self) -> str:
        """Ask before something is done to the users that were chosen."""
        action = ACTIONS.get(request.args.get("task", ""))
        users = [user for user in map(self.get_one, map(str, selected_ids())) if user is not None]
        if action is None or not users:
            abort(HTTPStatus.NOT_FOUND)
        return self.render(
            "admin/user_confirm.html",
            action=action,
            name=request.args["task"],
            users=users,
            back=self._list_address(),
        )

    @expose("/action/", methods=("POST",))
    def action_view(self) -> ResponseReturnValue:
        """Do it, to each of them that allows it."""
        action = ACTIONS.get(request.form.get("task", ""))
        if action is None:
            abort(HTTPStatus.NOT_FOUND)
        done, are_told = 0, True
        for user_id in selected_ids():
            try:
                are_told &= action.act(services().user_admin, user_id, current_actor())
            except UserAdminError as error:
                flash(f"Not {action.done}: {error}.", "error")
            else:
                done += 1
        if done:
            words = f"{done} {'user' if done == 1 else 'users'} {action.done}."
            flash(words if are_told else f"{words} {KEYS_LATER}", "success")
        return redirect(self._list_address(), HTTPStatus.SEE_OTHER)

    def _form(
        self, user: User | None, form: MultiDict[str, str], error: UserAdminError | None = None
    ) -> Response:
        page = self.render(
            "admin/user_form.html",
            user=user,
            form=form,
            errors={error.field: str(error)} if error else {},
            roles=ROLE_WORDS,
        )
        return make_response(page, HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK)

    def _done(self, user_id: int, username: str, password: str | None) -> ResponseReturnValue:
        """Back to the list; a password that was made for somebody is shown on the way, once."""
        if password is None or "make_password" not in request.form:
            return redirect(url_for(".index_view"), HTTPStatus.SEE_OTHER)
        return self.render(
            "admin/user_password.html", user_id=user_id, username=username, password=password
        )

    def _list_address(self) -> str:
        first = url_for(".index_view")
        asked = local_target(request.values.get("url"))
        return asked if asked.partition("?")[0] == first else first


def chosen_password(form: MultiDict[str, str]) -> str | None:
    """The password that was typed twice, or one that is made here; None where none is wanted."""
    typed, repeated = form.get("password", ""), form.get("repeated", "")
    if "make_password" in form:
        if typed or repeated:
            raise UserAdminError("type a password or have one made, not both", "password")
        return random_password()
    if typed != repeated:
        raise UserAdminError("the two passwords differ", "repeated")
    return typed or None


def _text(form: MultiDict[str, Any], name: str) -> str:
    return str(form.get(name, "")).strip()


def _role(form: MultiDict[str, str]) -> Role:
    word = form.get("role", "")
    if word not in set(Role):
        raise UserAdminError("choose one of the roles", "role")
    return read_role(word)

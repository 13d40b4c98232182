"""Who is logged in, by which cookie, and the base of every staff view: closed unless it says so."""

from dataclasses import replace
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, ClassVar

from flask import Blueprint, Flask, Request, Response, abort, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_admin.base import Admin, BaseView
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response as AnyResponse

from ai_gateway.domain.audit import Actor
from ai_gateway.domain.roles import Permission, Role, allows
from ai_gateway.services.sign_in import LIFE_TIME, SignedInUser
from ai_gateway.web.admin.error_pages import NO_ROLE, error_page, register_on
from ai_gateway.web.admin.headers import protect
from ai_gateway.web.context import services

csrf = CSRFProtect()  # type: ignore[no-untyped-call]  # it ships no types
"""The factory exempts the blueprints that a key authenticates."""

COOKIE_NAME = "ai_gateway"
SECURE_PREFIX = "__Host-"
CALL_PATHS = ("/v1/", "/openai/")


class StaffMember(UserMixin):
    """The signed-in user as Flask-Login wants one: its id is the token of the session."""

    def __init__(self, token: str, user: SignedInUser) -> None:
        self.token = token
        self.user = user

    def get_id(self) -> str:
        return self.token


class StaffCookie(SecureCookieSessionInterface):
    """`__Host-` and Secure, but for plain HTTP at loopback, where a browser would drop it.

    Calls of clients have no session: reading one would cost each of them, and say `Vary: Cookie`.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith(CALL_PATHS):
            return None
        return super().open_session(app, request)

    def get_cookie_name(self, _app: Flask) -> str:
        return COOKIE_NAME if is_plain_loopback() else SECURE_PREFIX + COOKIE_NAME

    def get_cookie_secure(self, _app: Flask) -> bool:
        return not is_plain_loopback()


def is_plain_loopback() -> bool:
    """Whether the browser itself speaks plain HTTP to a loopback address of its own machine."""
    if request.is_secure:
        return False
    host = request.host.rpartition(":")[0] if request.host.count(":") == 1 else request.host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.partition("]")[0].lstrip("[")).is_loopback
    except ValueError:
        return False


def init_staff(app: Flask) -> None:
    """Set up the cookie, the log-in and the check of every form."""
    app.session_interface = StaffCookie()
    app.config.update(
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_DOMAIN=None,
        SESSION_COOKIE_PATH="/",
        # It would compare address and browser, which change in the middle of honest sessions.
        SESSION_PROTECTION=None,
        WTF_CSRF_TIME_LIMIT=int(LIFE_TIME.total_seconds()),
        # The check of the referrer guards against cookies planted by a sibling host: `__Host-`
        # does that, and our pages send no referrer.
        WTF_CSRF_SSL_STRICT=False,
    )
    # Neither of the two libraries ships types.
    csrf.init_app(app)  # type: ignore[no-untyped-call]
    manager = LoginManager()  # type: ignore[no-untyped-call]
    manager.user_loader(_load)  # type: ignore[no-untyped-call]
    # A page of an error must not ask the database who is there.
    manager.init_app(app, add_context_processor=False)  # type: ignore[no-untyped-call]


def _load(token: str) -> StaffMember | None:
    # A page left open refreshes itself; that must not keep its session alive.
    is_refresh = request.headers.get("X-Fragment") == "refresh"
    sign_in = services().sign_in
    user = sign_in.glance(token) if is_refresh else sign_in.load(token)
    return None if user is None else StaffMember(token, user)


def current_member() -> StaffMember | None:
    """Who sent this request; read once for each request."""
    return current_user if isinstance(current_user, StaffMember) else None


def may(permission: Permission) -> bool:
    """Whether whoever sent this request has a permission; for what a page offers."""
    member = current_member()
    return member is not None and allows(member.user.role, permission)


def current_actor() -> Actor:
    """Who sent this request, and from where, for the audit."""
    member = current_member()
    if member is None:
        return stranger()
    user = member.user
    return replace(stranger(), user_id=user.user_id, name=user.username, role=user.role)


def stranger() -> Actor:
    """Whoever sent this request, known by the address alone."""
    return Actor(address=services().client_addresses.of(request))


def begin_session(token: str, user: SignedInUser) -> None:
    """Forget all that this browser had, then let it carry the token."""
    end_session()
    login_user(StaffMember(token, user))  # type: ignore[no-untyped-call]  # it ships no types


def end_session() -> None:
    """End the session in SQL and empty the cookie."""
    member = current_member()
    if member is not None:
        services().sign_in.sign_out(member.token, current_actor())
    logout_user()  # type: ignore[no-untyped-call]  # it ships no types
    session.clear()


def ask_to_log_in() -> AnyResponse:
    """Send a person to the log-in and back here; a program is told that it may not."""
    accepted = request.accept_mimetypes
    if request.method not in {"GET", "HEAD"} or (accepted and not accepted.accept_html):
        abort(HTTPStatus.UNAUTHORIZED)
    return redirect(url_for("staff.login", next=request.full_path.rstrip("?")))


class StaffAccess:
    """Who may open a page under /admin. One that names no permission is open to nobody."""

    permission: ClassVar[Permission | None] = None
    title: ClassVar[str] = ""
    group: ClassVar[str | None] = None
    address: ClassVar[str] = ""
    icon: ClassVar[str] = ""

    @classmethod
    def endpoint_name(cls) -> str:
        return cls.__name__.removesuffix("View").lower()

    def create_blueprint(self, admin: Admin) -> Any:
        blueprint = super().create_blueprint(admin)  # type: ignore[misc]  # mixed into a view
        guard(blueprint)
        return blueprint

    def is_accessible(self) -> bool:
        member = current_member()
        if member is None or self.permission is None:
            return False
        return allows(member.user.role, self.permission)

    def inaccessible_callback(self, name: str, **kwargs: Any) -> AnyResponse:  # noqa: ARG002
        member = current_member()
        if member is not None:
            has_role = member.user.role is not Role.NONE
            return error_page(HTTPStatus.FORBIDDEN, None if has_role else NO_ROLE)
        return ask_to_log_in()

    def _run_view(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        # The base class calls a view a second time, in another way, after a TypeError inside it.
        return fn(self, *args, **kwargs)


class StaffView(StaffAccess, BaseView):
    """A page of our own; to one without `has_menu_entry` another page leads."""

    has_menu_entry: ClassVar[bool] = True

    def is_visible(self) -> bool:
        return self.has_menu_entry

    def __init__(self) -> None:
        super().__init__(
            name=self.title,
            category=self.group,
            endpoint=self.endpoint_name(),
            url=self.address,
            menu_icon_value=self.icon,
        )


def guard(blueprint: Blueprint) -> None:
    """Give every answer of a staff blueprint its headers and its error pages."""
    register_on(blueprint)
    blueprint.after_request(_protect)


def _protect(response: Response) -> Response:
    return protect(response)

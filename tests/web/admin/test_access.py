"""Who may see which staff page: every route, as a stranger and with every role."""

from itertools import pairwise

import pytest
from flask.testing import FlaskClient
from flask_admin.base import expose

from ai_gateway.domain.roles import PERMISSIONS, Permission, Role, allows
from ai_gateway.web.admin import site
from ai_gateway.web.admin.staff import StaffView
from tests.seeding import add_user
from tests.web.staff_app import StaffApp, log_in

HTML = {"Accept": "text/html"}
STAFF_ROLES = ("viewer", "operator", "admin")


def admin_paths(staff_app: StaffApp) -> list[str]:
    rules = staff_app.app.url_map.iter_rules()
    return sorted(rule.rule for rule in rules if rule.rule.startswith("/admin"))


def client_of(staff_app: StaffApp, role: str) -> FlaskClient:
    add_user(f"one {role}", role=role)
    client = staff_app.app.test_client()
    log_in(client, f"one {role}")
    return client


def test_every_page_has_a_route(staff_app: StaffApp) -> None:
    assert admin_paths(staff_app) == [
        "/admin/",
        "/admin/ai-analytics/",
        "/admin/ai-analytics/users/",
    ]
    assert len(site.PAGES) == 3


def test_every_page_names_a_permission() -> None:
    assert all(page.permission is not None for page in site.PAGES)


def test_a_stranger_is_sent_to_the_log_in_and_back(staff_app: StaffApp) -> None:
    for path in admin_paths(staff_app):
        response = staff_app.client.get(path, headers=HTML)
        assert (response.status_code, response.headers["Location"]) == (302, f"/login?next={path}")
        assert response.headers["Cache-Control"] == "no-store"
    response = staff_app.client.get("/admin/ai-analytics/?range=24h", headers=HTML)
    assert response.headers["Location"].endswith("?next=/admin/ai-analytics/?range%3D24h")


def test_a_program_without_a_session_gets_401(staff_app: StaffApp) -> None:
    for path in admin_paths(staff_app):
        response = staff_app.client.get(path, headers={"Accept": "application/json"})
        assert response.status_code == 401


def test_a_user_without_a_role_is_told_so_on_every_page(staff_app: StaffApp) -> None:
    client = client_of(staff_app, "none")
    for path in admin_paths(staff_app):
        response = client.get(path)
        assert response.status_code == 403
        assert "your account has no staff role" in response.text
        assert "Log out" in response.text


@pytest.mark.parametrize("role", STAFF_ROLES)
def test_every_staff_role_sees_the_analytics(staff_app: StaffApp, role: str) -> None:
    client = client_of(staff_app, role)
    for path in admin_paths(staff_app):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("role", ["none", *STAFF_ROLES])
def test_no_page_takes_a_post(staff_app: StaffApp, role: str) -> None:
    client = client_of(staff_app, role)
    for path in admin_paths(staff_app):
        assert client.post(path).status_code in {400, 403, 405}


class ForgetfulView(StaffView):
    """One whose author named no permission."""

    title = "Forgetful"
    address = "forgetful"

    @expose("/")
    def index(self) -> str:
        return "seen"


class StrictView(StaffView):
    """One for those who may set limits."""

    title = "Strict"
    address = "strict"
    permission = Permission.MANAGE_LIMITS

    @expose("/")
    def index(self) -> str:
        return "seen"


@pytest.fixture
def extended(staff_app: StaffApp) -> StaffApp:
    (admin,) = staff_app.app.extensions["admin"]
    admin.add_views(ForgetfulView(), StrictView())
    return staff_app


def test_a_view_without_a_permission_is_closed_to_all(extended: StaffApp) -> None:
    for role in Role:
        assert client_of(extended, role).get("/admin/forgetful/").status_code == 403


def test_a_view_opens_to_the_roles_that_have_its_permission(extended: StaffApp) -> None:
    statuses = {role: client_of(extended, role).get("/admin/strict/").status_code for role in Role}
    assert statuses == {
        Role.NONE: 403,
        Role.VIEWER: 403,
        Role.OPERATOR: 200,
        Role.ADMIN: 200,
    }


def test_the_menu_shows_what_may_be_opened(extended: StaffApp) -> None:
    seen = {role: client_of(extended, role).get("/admin/").text for role in STAFF_ROLES}
    assert "Strict" not in seen["viewer"]
    assert "Strict" in seen["operator"]
    assert "Forgetful" not in seen["admin"]


def test_roles_grow_and_the_last_has_all() -> None:
    granted = [PERMISSIONS[role] for role in Role]
    assert all(less <= more for less, more in pairwise(granted))
    assert granted[0] == frozenset()
    assert granted[-1] == frozenset(Permission)
    assert allows(Role.VIEWER, Permission.VIEW_AI_ANALYTICS)
    assert not allows(Role.VIEWER, Permission.RESET_USER_SPEND)

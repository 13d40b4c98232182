"""Who may see which staff page: every route there is, as a stranger and with every role."""

import re
from itertools import pairwise
from typing import Literal

import pytest
from flask.testing import FlaskClient
from flask_admin.base import expose
from sqlalchemy import func, select

from ai_gateway.domain.roles import PERMISSIONS, Permission, Role, allows
from ai_gateway.stores.tables import Base, db
from ai_gateway.web.admin import site
from ai_gateway.web.admin.staff import StaffView
from tests.seeding import add_user
from tests.web.staff_app import StaffApp, csrf_token, log_in

HTML = {"Accept": "text/html"}
STAFF_ROLES = ("viewer", "operator", "admin")
MENU = {"/admin/", *(f"/admin/{page.address}/" for page in site.PAGES)}
PERMISSION_OF = {page.endpoint_name(): page.permission for page in site.PAGES}


def routes(staff_app: StaffApp, method: Literal["GET", "POST"]) -> dict[str, str]:
    """Every address under /admin that takes a method, with the name of its page."""
    return {
        re.sub(r"<[^>]+>", "1", rule.rule): rule.endpoint.partition(".")[0]
        for rule in staff_app.app.url_map.iter_rules()
        if rule.rule.startswith("/admin")
        and method in (rule.methods or ())
        and not rule.endpoint.endswith(".static")
    }


def client_of(staff_app: StaffApp, role: str) -> FlaskClient:
    add_user(f"one {role}", role=role)
    client = staff_app.app.test_client()
    log_in(client, f"one {role}")
    return client


def token_of(client: FlaskClient) -> str:
    """A token of the session of whoever is logged in, from a page that all have."""
    page = client.get("/me/password/").text
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def test_every_route_belongs_to_a_page_and_every_page_has_one(staff_app: StaffApp) -> None:
    reading = routes(staff_app, "GET")
    assert set(reading.values()) == set(PERMISSION_OF)
    assert set(routes(staff_app, "POST").values()) <= set(PERMISSION_OF)


def test_every_page_names_a_permission() -> None:
    assert all(permission is not None for permission in PERMISSION_OF.values())


def test_a_stranger_is_sent_to_the_log_in_and_back(staff_app: StaffApp) -> None:
    for path in routes(staff_app, "GET"):
        response = staff_app.client.get(path, headers=HTML)
        assert (response.status_code, response.headers["Location"]) == (302, f"/login?next={path}")
        assert response.headers["Cache-Control"] == "no-store"
    response = staff_app.client.get("/admin/ai-analytics/?range=24h", headers=HTML)
    assert response.headers["Location"].endswith("?next=/admin/ai-analytics/?range%3D24h")


def test_a_program_without_a_session_gets_401(staff_app: StaffApp) -> None:
    for path in routes(staff_app, "GET"):
        response = staff_app.client.get(path, headers={"Accept": "application/json"})
        assert response.status_code == 401, path


def test_a_stranger_changes_nothing_with_a_token_either(staff_app: StaffApp) -> None:
    token = csrf_token(staff_app.client)
    for path in routes(staff_app, "POST"):
        response = staff_app.client.post(path, data={"csrf_token": token}, headers=HTML)
        assert response.status_code == 401, path


def test_a_user_without_a_role_is_told_so_on_every_page(staff_app: StaffApp) -> None:
    client = client_of(staff_app, "none")
    for path in routes(staff_app, "GET"):
        response = client.get(path)
        assert response.status_code == 403, path
        assert "your account has no staff role" in response.text
        assert "Log out" in response.text
        assert 'href="/me/"' in response.text
    token = token_of(client)
    for path in routes(staff_app, "POST"):
        assert client.post(path, data={"csrf_token": token}).status_code == 403, path


@pytest.mark.parametrize("role", STAFF_ROLES)
def test_every_page_opens_to_those_who_have_its_permission(staff_app: StaffApp, role: str) -> None:
    client = client_of(staff_app, role)
    for path, page in routes(staff_app, "GET").items():
        permission = PERMISSION_OF[page]
        assert permission is not None
        status = client.get(path).status_code
        if not allows(Role(role), permission):
            assert status == 403, path
        elif path in MENU:
            # A page of a dialog leads back where nothing was chosen.
            assert status in {200, 302}, path


@pytest.mark.parametrize("role", ["none", *STAFF_ROLES])
def test_no_page_takes_a_form_without_its_token(staff_app: StaffApp, role: str) -> None:
    client = client_of(staff_app, role)
    for path in routes(staff_app, "POST"):
        for data in ({}, {"csrf_token": "made up"}):
            assert client.post(path, data=data).status_code == 400, path


def test_a_viewer_changes_nothing(staff_app: StaffApp) -> None:
    client = client_of(staff_app, "viewer")
    token = token_of(client)
    for path in routes(staff_app, "POST"):
        assert client.post(path, data={"csrf_token": token}).status_code == 403, path


def test_nothing_is_changed_by_looking(staff_app: StaffApp) -> None:
    client = client_of(staff_app, "admin")
    before = row_counts()
    for path in routes(staff_app, "GET"):
        client.get(f"{path}?id=1&selected=1&task=delete")
    after = row_counts()
    # A file that was taken along leaves a line in the audit, and so it should.
    assert after | {"audit_entry": 0} == before | {"audit_entry": 0}


def row_counts() -> dict[str, int]:
    counts = {
        name: db.session.scalar(select(func.count()).select_from(table)) or 0
        for name, table in Base.metadata.tables.items()
    }
    db.session.rollback()
    return counts


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

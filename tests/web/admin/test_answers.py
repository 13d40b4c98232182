"""What every staff page has around its content: headers, errors, notices."""

import logging
import re

import pytest
from flask_admin.base import expose
from werkzeug.test import TestResponse

from ai_gateway.domain.roles import Permission
from ai_gateway.stores.tables import Base, db
from ai_gateway.web.admin.staff import StaffView
from tests.seeding import add_user, seed_story
from tests.web.staff_app import StaffApp, log_in

HTML = {"Accept": "text/html,*/*"}
PAGES = ("/admin/", "/admin/ai-analytics/", "/admin/ai-analytics/users/")


class BrokenView(StaffView):
    """A page with a fault in it."""

    title = "Broken"
    address = "broken"
    permission = Permission.VIEW_AI_ANALYTICS

    @expose("/")
    def index(self) -> str:
        raise TypeError("a fault with a secret in it")


@pytest.fixture
def viewer(staff_app: StaffApp) -> StaffApp:
    """The application with a viewer logged in and a story to show."""
    (admin,) = staff_app.app.extensions["admin"]
    admin.add_view(BrokenView())
    add_user("ann", role="viewer")
    seed_story()
    log_in(staff_app.client, "ann")
    return staff_app


def _answers(viewer: StaffApp) -> list[TestResponse]:
    stranger = viewer.app.test_client()
    paths = (*PAGES, "/admin/broken/", "/admin/nowhere/", "/logout")
    return [
        *(viewer.client.get(path) for path in paths),
        *(stranger.get(path, headers=HTML) for path in (*PAGES, "/login", "/")),
        stranger.post("/login"),
    ]


def test_every_answer_has_the_headers(viewer: StaffApp) -> None:
    for response in _answers(viewer):
        headers = response.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Frame-Options"] == "DENY"
        assert "Strict-Transport-Security" not in headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        for part in (
            "default-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ):
            assert part in policy.split("; ")


def test_the_browser_is_told_to_stay_with_tls(staff_app: StaffApp) -> None:
    response = staff_app.client.get("/login", base_url="https://gateway.example.com")
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_scripts_run_by_a_nonce_that_is_new_each_time(viewer: StaffApp) -> None:
    nonces = set()
    for path in (*PAGES, *PAGES):
        response = viewer.client.get(path)
        (nonce,) = re.findall(
            r"script-src 'nonce-([^']+)'", response.headers["Content-Security-Policy"]
        )
        scripts = re.findall(r"<script[^>]*>", response.text)
        assert scripts
        assert all(f'nonce="{nonce}"' in script for script in scripts)
        nonces.add(nonce)
    assert len(nonces) == 2 * len(PAGES)


def test_no_page_has_inline_styles_handlers_or_foreign_addresses(viewer: StaffApp) -> None:
    for response in _answers(viewer):
        assert not re.search(r"<[^>]*\sstyle\s*=", response.text)
        assert not re.search(r"<[^>]*\son\w+\s*=", response.text)
        assert "javascript:" not in response.text
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', response.text)


def test_flask_admins_own_bundle_is_not_served(staff_app: StaffApp) -> None:
    endpoints = {rule.endpoint for rule in staff_app.app.url_map.iter_rules()}
    assert {name for name in endpoints if name.endswith("static")} == {"static"}


def test_static_files_have_an_address_that_changes_with_them(staff_app: StaffApp) -> None:
    page = staff_app.client.get("/login").text
    (style,) = re.findall(r'href="(/static/house\.css\?v=\w{10})"', page)
    response = staff_app.client.get(style)
    assert response.status_code == 200
    assert "max-age=31536000" in response.headers["Cache-Control"]
    response.close()


def test_an_address_that_is_not_there_gets_a_page_with_a_reference(staff_app: StaffApp) -> None:
    for path in ("/admin/nowhere/", "/nowhere"):
        response = staff_app.client.get(path, headers=HTML)
        assert response.status_code == 404
        assert "There is no page at this address" in response.text
        assert re.search(r"Reference <code>\w{8}</code>", response.text)


def test_a_program_gets_no_page_for_an_address_that_is_not_there(staff_app: StaffApp) -> None:
    response = staff_app.client.get("/nowhere", headers={"Accept": "application/json"})
    assert response.status_code == 404
    assert "AI Gateway" not in response.text


def test_a_fault_shows_a_reference_that_the_log_has_and_nothing_else(
    viewer: StaffApp, caplog: pytest.LogCaptureFixture
) -> None:
    response = viewer.client.get("/admin/broken/")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    (reference,) = re.findall(r"Reference <code>(\w{8})</code>", response.text)
    logged = [record for record in caplog.records if record.message == "page_failed"]
    assert [record.__dict__["reference"] for record in logged] == [reference]
    assert logged[0].levelno == logging.ERROR


def test_a_database_that_is_away_gets_a_static_page(viewer: StaffApp) -> None:
    db.session.remove()
    Base.metadata.drop_all(db.engine)
    for path in (*PAGES, "/login"):
        response = viewer.client.get(path)
        assert response.status_code == 503
        assert "The database does not answer" in response.text
        assert response.headers["Retry-After"] == "10"
        assert "sqlite" not in response.text.lower()
        assert "Traceback" not in response.text


def test_each_notice_is_on_every_page_and_on_none_otherwise(viewer: StaffApp) -> None:
    stranger = viewer.app.test_client()

    def seen() -> list[tuple[bool, bool]]:
        pages = [viewer.client.get(path).text for path in (*PAGES, "/admin/broken/")]
        pages.append(stranger.get("/login").text)
        return [("Simulator:" in page, "Demo data:" in page) for page in pages]

    assert set(seen()) == {(False, False)}
    viewer.services.is_simulated = True
    assert set(seen()) == {(True, False)}
    viewer.services.is_demo = True
    assert set(seen()) == {(True, True)}


@pytest.mark.parametrize(
    ("cookie", "attribute"),
    [
        ("dark", ' data-theme="dark"'),
        ("light", ' data-theme="light"'),
        ("", ""),
        ('"><script>alert(1)</script>', ""),
    ],
)
def test_the_server_writes_the_chosen_theme(
    staff_app: StaffApp, cookie: str, attribute: str
) -> None:
    staff_app.client.set_cookie("ai_gateway_theme", cookie)
    page = staff_app.client.get("/login").text
    assert f'<html lang="en"{attribute} data-theme-cookie="ai_gateway_theme">' in page

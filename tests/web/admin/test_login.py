"""Logging in and out over HTTP: cookies, tokens of forms, and where one is sent on to."""

from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from ipaddress import ip_network

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from ai_gateway.stores.tables import AuditRow, StaffSession, db
from ai_gateway.web.admin.login import FAILED, local_target
from ai_gateway.web.client_address import ClientAddresses
from tests.seeding import NOW, PASSWORD, add_user
from tests.web.staff_app import StaffApp, csrf_token, log_in

USERS = "/admin/ai-analytics/users/"


def _cookie(response: TestResponse) -> Morsel[str]:
    (cookie,) = SimpleCookie(response.headers["Set-Cookie"]).values()
    return cookie


def _submit(staff_app: StaffApp, **form: str) -> TestResponse:
    values = {"username": "ann", "password": PASSWORD, "csrf_token": csrf_token(staff_app.client)}
    return staff_app.client.post("/login", data=values | form)


def test_the_root_leads_everybody_to_their_home(staff_app: StaffApp) -> None:
    assert staff_app.client.get("/").headers["Location"] == "/admin/"
    for role, home in (("none", "/me/"), ("viewer", "/admin/")):
        add_user(role, role=role)
        client = staff_app.app.test_client()
        log_in(client, role)
        assert client.get("/").headers["Location"] == home
        assert client.get("/login").headers["Location"] == home


def test_a_log_in_without_a_role_leads_to_the_own_page(staff_app: StaffApp) -> None:
    add_user("ann")
    for asked, target in (("", "/me/"), (USERS, "/me/"), ("/me/keys/", "/me/keys/")):
        assert _submit(staff_app, next=asked).headers["Location"] == target
        staff_app.client.delete_cookie("ai_gateway")


def test_a_log_in_leads_to_the_page_that_was_asked_for(staff_app: StaffApp) -> None:
    add_user("ann", role="viewer")
    response = _submit(staff_app, next=f"{USERS}?page=2")
    assert (response.status_code, response.headers["Location"]) == (303, f"{USERS}?page=2")
    assert staff_app.client.get(USERS).status_code == 200


def test_the_form_carries_the_page_that_was_asked_for(staff_app: StaffApp) -> None:
    page = staff_app.client.get(f"/login?next={USERS}").text
    assert f'name="next" value="{USERS}"' in page


def test_whoever_is_logged_in_needs_no_form(staff_app: StaffApp) -> None:
    add_user("ann", role="viewer")
    log_in(staff_app.client, "ann")
    assert staff_app.client.get("/login").headers["Location"] == "/admin/"


def test_every_failure_reads_the_same(staff_app: StaffApp) -> None:
    add_user("ann", role="viewer")
    add_user("gone", role="admin", is_enabled=False)
    tries = ({"password": "wrong"}, {"username": "nobody"}, {"username": "gone"})
    for wrong in tries:
        response = _submit(staff_app, **wrong)
        assert response.status_code == 401
        assert FAILED in response.text
        assert 'role="alert"' in response.text
        assert PASSWORD not in response.text
    assert staff_app.client.get(USERS).status_code == 302


def test_a_form_without_its_token_changes_nothing(staff_app: StaffApp) -> None:
    add_user("ann", role="viewer")
    for token in ("", "made up"):
        response = _submit(staff_app, csrf_token=token)
        assert response.status_code == 400
        assert "This form has expired" in response.text
    assert db.session.scalar(select(func.count(StaffSession.id_hash))) == 0


def test_nobody_is_logged_out_by_another_site(staff_app: StaffApp) -> None:
    add_user("ann", role="viewer")
    log_in(staff_app.client, "ann")
    assert staff_app.client.post("/logout").status_code == 400
    assert staff_app.client.get("/logout").status_code == 405
    assert staff_app.client.get(USERS).status_code == 200


def test_logging_out_kills_the_session_and_not_only_the_cookie(staff_app: StaffApp) -> None:
    add_user("ann", role="viewer")
    log_in(staff_app.client, "ann")
    kept = staff_app.client.get_cookie("ai_gateway")
    assert kept is not None
    page = staff_app.client.get("/admin/").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    response = staff_app.client.post("/logout", data={"csrf_token": token})
    assert (response.status_code, response.headers["Location"]) == (303, "/login")
    staff_app.client.set_cookie("ai_gateway", kept.value)
    assert staff_app.client.get(USERS).status_code == 302


def test_sessions_outlive_another_secret_key_and_new_ones_are_signed_with_it(
    staff_app: StaffApp,
) -> None:
    add_user("ann", role="viewer")
    config, client = staff_app.app.config, staff_app.client
    before, after = str(config["SECRET_KEY"]), "another secret of the tests"
    log_in(client, "ann")
    old = client.get_cookie("ai_gateway")
    assert old is not None
    config.update(SECRET_KEY=after, SECRET_KEY_FALLBACKS=[before])
    assert client.get(USERS).status_code == 200
    config["SECRET_KEY_FALLBACKS"] = []
    assert client.get(USERS).status_code == 200  # it was signed anew
    client.set_cookie("ai_gateway", old.value)
    assert client.get(USERS).status_code == 302


def test_each_log_in_has_a_session_of_its_own_and_ends_the_one_before(
    staff_app: StaffApp,
) -> None:
    add_user("ann", role="viewer")
    log_in(staff_app.client, "ann")
    first = staff_app.client.get_cookie("ai_gateway")
    assert first is not None
    page = staff_app.client.get("/admin/").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    _submit(staff_app, csrf_token=token)
    second = staff_app.client.get_cookie("ai_gateway")
    assert second is not None
    assert first.value != second.value
    staff_app.client.set_cookie("ai_gateway", first.value)
    assert staff_app.client.get(USERS).status_code == 302


def test_a_token_of_a_form_from_before_the_log_in_is_worthless_after_it(
    staff_app: StaffApp,
) -> None:
    add_user("ann", role="viewer")
    token = csrf_token(staff_app.client)
    _submit(staff_app, csrf_token=token)
    assert staff_app.client.post("/logout", data={"csrf_token": token}).status_code == 400


@pytest.mark.parametrize(
    ("wait", "status"),
    [(timedelta(minutes=59), 200), (timedelta(minutes=60), 302), (timedelta(hours=12), 302)],
)
def test_an_idle_session_ends(staff_app: StaffApp, wait: timedelta, status: int) -> None:
    add_user("ann", role="viewer")
    log_in(staff_app.client, "ann")
    staff_app.clock.now = NOW + wait
    assert staff_app.client.get(USERS).status_code == status


@pytest.mark.parametrize(("fragment", "status"), [("refresh", 302), ("dialog", 200)])
def test_only_what_a_person_asks_for_keeps_a_session(
    staff_app: StaffApp, fragment: str, status: int
) -> None:
    add_user("ann", role="viewer")
    log_in(staff_app.client, "ann")
    staff_app.clock.now = NOW + timedelta(minutes=50)
    headers = {"X-Fragment": fragment}
    assert staff_app.client.get(USERS, headers=headers).status_code == 200
    staff_app.clock.now = NOW + timedelta(minutes=70)
    assert staff_app.client.get(USERS).status_code == status


@pytest.mark.parametrize(
    "base_url",
    ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000", "http://[::1]"],
)
def test_the_cookie_on_plain_http_at_loopback(staff_app: StaffApp, base_url: str) -> None:
    cookie = _cookie(staff_app.client.get("/login", base_url=base_url))
    assert cookie.key == "ai_gateway"
    assert (cookie["secure"], cookie["httponly"]) == ("", True)
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")


@pytest.mark.parametrize(
    "base_url",
    ["https://gateway.example.com", "https://localhost", "http://gateway.example.com"],
)
def test_the_cookie_everywhere_else(staff_app: StaffApp, base_url: str) -> None:
    cookie = _cookie(staff_app.client.get("/login", base_url=base_url))
    assert cookie.key == "__Host-ai_gateway"
    assert (cookie["secure"], cookie["httponly"]) == (True, True)
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
    assert (cookie["expires"], cookie["max-age"]) == ("", "")


def test_a_log_in_that_the_browser_would_lose_says_so(staff_app: StaffApp) -> None:
    warning = "came over plain HTTP"
    assert warning in staff_app.client.get("/login", base_url="http://gateway.example.com").text
    assert (
        warning not in staff_app.client.get("/login", base_url="https://gateway.example.com").text
    )
    assert warning not in staff_app.client.get("/login", base_url="http://127.0.0.1:8000").text


ATTACKS = (
    None,
    "",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https:evil.example",
    "https://evil.example/admin/",
    "http://evil.example",
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "admin/",
    "/admin/\\..\\..",
    "/admin/\r\nSet-Cookie: a=b",
    "/admin/\0",
    "//[evil",
    "/login",
    "/logout",
)


@pytest.mark.parametrize("asked", ATTACKS)
def test_a_foreign_target_becomes_the_home_page(asked: str | None) -> None:
    assert local_target(asked) == "/admin/"


@pytest.mark.parametrize("asked", ["/admin/", USERS, f"{USERS}?q=a%20b&page=2", "/admin/?x=//y"])
def test_a_path_of_our_own_is_kept(asked: str) -> None:
    assert local_target(asked) == asked


def test_a_log_in_is_not_led_elsewhere(staff_app: StaffApp) -> None:
    add_user("ann", role="viewer")
    assert _submit(staff_app, next="//evil.example").headers["Location"] == "/admin/"


def test_the_sixth_failure_is_answered_429_and_others_may_still_log_in(
    staff_app: StaffApp,
) -> None:
    add_user("ann", role="viewer")
    add_user("ben", role="viewer")
    for _ in range(5):
        assert _submit(staff_app, password="wrong").status_code == 401
    limited = _submit(staff_app)
    assert limited.status_code == 429
    assert 290 <= int(limited.headers["Retry-After"]) <= 300
    assert f"Try again in {limited.headers['Retry-After']} seconds." in limited.text
    assert f'data-countdown="{limited.headers["Retry-After"]}"' in limited.text
    assert _submit(staff_app, username="ben").status_code == 303


def test_addresses_are_told_apart_only_by_proxies_that_are_known(staff_app: StaffApp) -> None:
    add_user("ann", role="viewer")

    def from_address(address: str) -> int:
        form = {"username": "ann", "password": "wrong", "csrf_token": csrf_token(staff_app.client)}
        return staff_app.client.post(
            "/login", data=form, headers={"X-Forwarded-For": address}
        ).status_code

    assert [from_address(f"192.0.2.{last}") for last in range(6)] == [401] * 5 + [429]
    loopback = ip_network("127.0.0.0/8")
    staff_app.services.client_addresses = ClientAddresses((loopback,))
    assert from_address("192.0.2.1") == 401


def test_every_attempt_is_recorded_with_its_address(staff_app: StaffApp) -> None:
    add_user("ann", role="viewer")
    _submit(staff_app, password="wrong")
    log_in(staff_app.client, "ann")
    page = staff_app.client.get("/admin/").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    staff_app.client.post("/logout", data={"csrf_token": token})
    rows = db.session.scalars(select(AuditRow).order_by(AuditRow.id))
    assert [(row.action, row.result, row.actor_name, row.address) for row in rows] == [
        ("log_in", "failed", "", "127.0.0.1"),
        ("log_in", "ok", "ann", "127.0.0.1"),
        ("log_out", "ok", "ann", "127.0.0.1"),
    ]

"""Who may see the own pages: everybody who is logged in, their own; every route is walked."""

import pytest

from ai_gateway.domain.roles import Role
from tests.seeding import add_user
from tests.web.admin.test_access import HTML, row_counts, token_of
from tests.web.staff_app import StaffApp, csrf_token, log_in


def routes(staff_app: StaffApp, method: str) -> list[str]:
    return [
        rule.rule
        for rule in staff_app.app.url_map.iter_rules()
        if rule.rule.startswith("/me") and method in (rule.methods or ())
    ]


def test_a_stranger_is_sent_to_the_log_in_and_back(staff_app: StaffApp) -> None:
    assert len(routes(staff_app, "GET")) >= 7
    for path in routes(staff_app, "GET"):
        response = staff_app.client.get(path, headers=HTML)
        assert response.status_code in {302, 303}, path
        assert response.headers["Location"] == f"/login?next={path}"
        assert response.headers["Cache-Control"] == "no-store"


def test_a_stranger_changes_nothing_with_a_token_either(staff_app: StaffApp) -> None:
    token = csrf_token(staff_app.client)
    before = row_counts()
    for path in routes(staff_app, "POST"):
        response = staff_app.client.post(path, data={"csrf_token": token}, headers=HTML)
        assert response.status_code in {303, 401}, path
    assert row_counts() == before


@pytest.mark.parametrize("role", list(Role))
def test_everybody_has_own_pages(staff_app: StaffApp, role: Role) -> None:
    add_user("one", role=role)
    log_in(staff_app.client, "one")
    for path in routes(staff_app, "GET"):
        # What is asked about no key leads back to the list.
        assert staff_app.client.get(path).status_code in {200, 302}, path
    before = row_counts()
    for path in routes(staff_app, "POST"):
        for data in ({}, {"csrf_token": "made up"}):
            assert staff_app.client.post(path, data=data).status_code == 400, path
    assert row_counts() == before


def test_nothing_is_changed_by_looking(staff_app: StaffApp) -> None:
    add_user("one")
    log_in(staff_app.client, "one")
    before = row_counts()
    for path in routes(staff_app, "GET"):
        staff_app.client.get(f"{path}?key=Kd7w0000&id=1&user_id=1")
    assert row_counts() == before


def test_only_staff_are_led_to_the_staff_pages(staff_app: StaffApp) -> None:
    for role in Role:
        add_user(f"one {role}", role=role)
        client = staff_app.app.test_client()
        log_in(client, f"one {role}")
        is_led = 'href="/admin/"' in client.get("/me/").text
        assert is_led is (role is not Role.NONE)
        assert (client.get("/admin/").status_code == 200) is is_led
        assert token_of(client)

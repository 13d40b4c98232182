"""The page on which everybody changes the own password."""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.seeding import PASSWORD, add_user
from tests.web.staff_app import StaffApp, csrf_token, log_in

PAGE = "/me/password/"
NEW = "a quite different sentence"


def submit(client: FlaskClient, **form: str) -> TestResponse:
    token = client.get(PAGE).text.partition('name="csrf_token" value="')[2].partition('"')[0]
    given = {"csrf_token": token, "present": PASSWORD, "new": NEW, "repeated": NEW}
    return client.post(PAGE, data=given | form)


@pytest.fixture
def ann(staff_app: StaffApp) -> FlaskClient:
    """Somebody without a role, which this page does not ask for."""
    add_user("ann")
    log_in(staff_app.client, "ann")
    return staff_app.client


def test_a_stranger_is_sent_to_the_log_in_and_back(staff_app: StaffApp) -> None:
    for answer in (staff_app.client.get(PAGE), submit_as_stranger(staff_app.client)):
        assert answer.status_code in {302, 303}
        assert answer.headers["Location"] == f"/login?next={PAGE}"
        assert answer.headers["Cache-Control"] == "no-store"


def submit_as_stranger(client: FlaskClient) -> TestResponse:
    return client.post(PAGE, data={"csrf_token": csrf_token(client), "new": NEW})


def test_after_a_change_only_the_new_one_works_and_other_sessions_are_gone(
    staff_app: StaffApp, ann: FlaskClient
) -> None:
    other = staff_app.app.test_client()
    log_in(other, "ann")
    assert other.get(PAGE).status_code == 200
    changed = submit(ann)
    assert (changed.status_code, changed.headers["Location"]) == (303, PAGE)
    assert "Your password is changed." in ann.get(PAGE).text
    assert other.get(PAGE).status_code == 303
    log_in(other, "ann", NEW)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"present": "wrong"}, "this is not your present password"),
        ({"new": "short", "repeated": "short"}, "at least 12 characters"),
        ({"new": "administrator", "repeated": "administrator"}, "list of common ones"),
        ({"repeated": "another sentence"}, "the two new passwords differ"),
        ({"new": PASSWORD, "repeated": PASSWORD}, "the new password is the present one"),
    ],
)
def test_what_is_refused_says_why_and_changes_nothing(
    staff_app: StaffApp, ann: FlaskClient, form: dict[str, str], reason: str
) -> None:
    refused = submit(ann, **form)
    assert refused.status_code == 422
    assert reason in refused.text
    assert 'role="alert"' in refused.text
    assert PASSWORD not in refused.text
    assert NEW not in refused.text
    log_in(staff_app.app.test_client(), "ann")


def test_guesses_are_limited_like_log_ins(ann: FlaskClient) -> None:
    for _ in range(5):
        assert submit(ann, present="wrong").status_code == 422
    limited = submit(ann)
    assert limited.status_code == 429
    assert 290 <= int(limited.headers["Retry-After"]) <= 300
    assert "Too many failed attempts" in limited.text


def test_a_form_without_its_token_changes_nothing(staff_app: StaffApp, ann: FlaskClient) -> None:
    assert submit(ann, csrf_token="").status_code == 400
    log_in(staff_app.app.test_client(), "ann")


def test_every_page_of_staff_leads_there(staff_app: StaffApp) -> None:
    add_user("eve", role="viewer")
    log_in(staff_app.client, "eve")
    assert f'href="{PAGE}"' in staff_app.client.get("/admin/").text

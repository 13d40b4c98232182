"""The accounts as administrators see and change them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from ai_gateway.domain.audit import Action
from ai_gateway.stores.passwords import verify_password
from ai_gateway.stores.tables import AuditRow, User, db
from tests.seeding import NOW, add_key, add_user, password_hash
from tests.sql_database import counted_statements
from tests.web.staff_app import StaffApp, log_in

LIST = "/admin/user/"
NEW = {"username": "ben", "email": "ben@x.test", "role": "viewer"}
GOOD = "a password of one's own"


@pytest.fixture
def ada(staff_app: StaffApp) -> FlaskClient:
    """An administrator who is logged in."""
    add_user("ada", role="admin")
    log_in(staff_app.client, "ada")
    return staff_app.client


def submit(client: FlaskClient, path: str, form: Mapping[str, object]) -> TestResponse:
    token = client.get("/me/password/").text.partition('name="csrf_token" value="')[2]
    return client.post(path, data={"csrf_token": token.partition('"')[0], **form})


def stored(username: str) -> User | None:
    user = db.session.scalar(select(User).where(User.username == username))
    # Kept as it was read, beyond the end of the transaction.
    db.session.expunge_all()
    db.session.rollback()
    return user


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def names(page: str) -> list[str]:
    return re.findall(r'<th scope="row">\s*<a [^>]*title="([^"]*)"', page)


def audited() -> list[tuple[str, str, str | None]]:
    rows = db.session.execute(
        select(AuditRow.actor_name, AuditRow.action, AuditRow.target_name)
        .where(AuditRow.action.not_in([Action.LOG_IN.value, Action.LOG_OUT.value]))
        .order_by(AuditRow.id)
    )
    found = [(actor, action, target) for actor, action, target in rows]
    db.session.rollback()
    return found


def test_a_user_is_made_and_leads_to_its_spend(ada: FlaskClient) -> None:
    made = submit(ada, f"{LIST}new/", NEW)
    assert (made.status_code, made.headers["Location"]) == (303, LIST)
    user = stored("ben")
    assert user is not None
    assert (user.email, user.role, user.is_enabled) == ("ben@x.test", "viewer", True)
    assert user.password_hash is None
    page = ada.get(LIST).text
    assert "ben was made." in page
    assert f'href="/admin/ai-analytics/users/{user.id}/"' in page
    assert f'href="{LIST}edit/?id={user.id}"' in page
    assert audited() == [("ada", "user_create", "ben")]


def test_a_password_is_typed_twice_or_made_and_then_shown_once(ada: FlaskClient) -> None:
    submit(ada, f"{LIST}new/", NEW | {"password": GOOD, "repeated": GOOD})
    typed = stored("ben")
    assert typed is not None
    assert verify_password(typed.password_hash, GOOD)
    made = submit(
        ada, f"{LIST}new/", NEW | {"username": "eve", "email": "e@x", "make_password": "yes"}
    )
    shown = re.search(r'id="made-password".*?<code>(\S+)</code>', made.text, re.DOTALL)
    assert shown is not None
    assert made.headers["Cache-Control"] == "no-store"
    user = stored("eve")
    assert user is not None
    assert verify_password(user.password_hash, shown[1])
    for path in (LIST, f"{LIST}edit/?id={user.id}"):
        assert shown[1] not in ada.get(path).text


WRONG_FIELDS = (
    ({"username": ""}, "username", "printable"),
    ({"username": "ada"}, "username", "name exists already"),
    ({"email": "nowhere"}, "email", "no mail address"),
    ({"email": "ada@example.com"}, "email", "mail address exists already"),
    ({"role": "emperor"}, "role", "choose one of the roles"),
    ({"password": "short", "repeated": "short"}, "password", "at least 12"),
    ({"password": "administrator", "repeated": "administrator"}, "password", "common"),
    ({"password": GOOD, "repeated": "other"}, "repeated", "differ"),
    ({"password": GOOD, "repeated": GOOD, "make_password": "yes"}, "password", "not both"),
)


def test_a_wrong_field_is_named_beside_it_and_nothing_is_saved(ada: FlaskClient) -> None:
    for wrong, field, reason in WRONG_FIELDS:
        response = submit(ada, f"{LIST}new/", {**NEW, **wrong})
        assert response.status_code == 422, wrong
        told = re.search(rf'id="error-{field}">([^<]*)<', response.text)
        assert told is not None, wrong
        assert reason in told[1]
        assert 'aria-invalid="true"' in response.text
        assert GOOD not in response.text
    assert names(ada.get(LIST).text) == ["ada"]


def test_what_was_typed_stays_in_the_form_but_for_passwords(ada: FlaskClient) -> None:
    text = '"><script>alert(1)</script>'
    response = submit(ada, f"{LIST}new/", NEW | {"username": text, "email": "", "password": GOOD})
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;alert(1)" in response.text
    assert GOOD not in response.text


def test_a_field_that_is_not_in_the_form_changes_nothing(ada: FlaskClient) -> None:
    foreign = {"password_hash": "x", "id": "77", "created_at": "2020-01-01", "keys": "1"}
    submit(ada, f"{LIST}new/", NEW | foreign)
    user = stored("ben")
    assert user is not None
    assert user.id != 77
    assert user.password_hash is None


def test_a_user_is_changed_and_each_change_recorded(ada: FlaskClient, staff_app: StaffApp) -> None:
    user_id = add_user("ben", role="viewer")
    other = staff_app.app.test_client()
    log_in(other, "ben")
    form = {"email": "new@x.test", "role": "operator", "is_enabled": "yes"}
    assert submit(ada, f"{LIST}edit/?id={user_id}", form).status_code == 303
    assert other.get("/admin/").status_code == 200
    assert (
        submit(ada, f"{LIST}edit/?id={user_id}", form | {"make_password": "yes"}).status_code == 200
    )
    assert other.get("/admin/").status_code == 302
    assert audited() == [
        ("ada", "user_edit", "ben"),
        ("ada", "role_change", "ben"),
        ("ada", "password_change", "ben"),
    ]
    user = stored("ben")
    assert user is not None
    assert (user.username, user.email, user.role) == ("ben", "new@x.test", "operator")


def test_the_last_administrator_cannot_lower_or_disable_itself(ada: FlaskClient) -> None:
    user = stored("ada")
    assert user is not None
    for form in ({"role": "viewer", "is_enabled": "yes"}, {"role": "admin"}):
        refused = submit(ada, f"{LIST}edit/?id={user.id}", {"email": user.email, **form})
        assert refused.status_code == 422
        assert "last administrator" in refused.text
    for action in ("disable", "delete"):
        submit(ada, f"{LIST}action/", {"task": action, "selected": user.id})
        assert "last administrator" in ada.get(LIST).text
    assert ada.get(LIST).status_code == 200


def test_disabling_asks_first_ends_sessions_and_says_what_it_did(
    ada: FlaskClient, staff_app: StaffApp
) -> None:
    ids = [add_user(name, role="viewer") for name in ("ben", "eve")]
    other = staff_app.app.test_client()
    log_in(other, "ben")
    asked = ada.get(f"{LIST}confirm/?task=disable&selected={ids[0]}&selected={ids[1]}").text
    assert "Disable 2 users?" in text_of(asked)
    assert other.get("/admin/").status_code == 200
    submit(ada, f"{LIST}action/", {"task": "disable", "selected": ids})
    assert other.get("/admin/").status_code == 302
    assert "2 users disabled." in ada.get(LIST).text
    assert audited() == [("ada", "user_disable", "ben"), ("ada", "user_disable", "eve")]
    submit(ada, f"{LIST}action/", {"task": "enable", "selected": ids[:1]})
    assert "1 user enabled." in ada.get(LIST).text
    log_in(staff_app.app.test_client(), "ben")


def test_a_user_with_keys_is_not_deleted_but_another_is(ada: FlaskClient) -> None:
    ben, eve = add_user("ben"), add_user("eve")
    add_key(ben)
    submit(ada, f"{LIST}action/", {"task": "delete", "selected": [ben, eve]})
    told = text_of(ada.get(LIST).text)
    assert "cannot be deleted; disable it instead" in told
    assert "1 user deleted." in told
    assert names(ada.get(LIST).text) == ["ada", "ben"]


def test_the_same_form_twice_is_told_and_harmless(ada: FlaskClient) -> None:
    ben = add_user("ben")
    for _ in range(2):
        submit(ada, f"{LIST}action/", {"task": "delete", "selected": [ben, ben]})
    assert "does not exist any more" in ada.get(LIST).text
    assert audited() == [("ada", "user_delete", "ben")]


def test_a_question_about_nothing_is_not_found(ada: FlaskClient) -> None:
    for path in ("confirm/?task=burn&selected=1", "confirm/?task=delete", "edit/"):
        assert ada.get(LIST + path).status_code == 404, path
    assert submit(ada, f"{LIST}action/", {"task": "burn", "selected": "1"}).status_code == 404


def test_a_number_of_no_user_is_not_found(ada: FlaskClient) -> None:
    for number in ("0", "-1", "abc", "9" * 30, "1 OR 1=1", "", "1;2"):
        answer = ada.get(f"{LIST}edit/", query_string={"id": number})
        assert answer.status_code == 404, number


@contextmanager
def refusing_rows() -> Iterator[None]:
    """A database with a rule that the code does not know."""
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            'CREATE TRIGGER closed BEFORE INSERT ON "user" '
            "BEGIN SELECT RAISE(ABORT, 'forbidden-word'); END"
        )
    yield
    with db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER closed")


def test_what_the_database_refuses_has_a_reference_and_no_sql(ada: FlaskClient) -> None:
    with refusing_rows():
        response = submit(ada, f"{LIST}new/", NEW)
    assert response.status_code == 422
    assert re.search(r"the database refused this change; reference [0-9a-f]{8}", response.text)
    for secret in ("INSERT", "forbidden-word", "sqlite", "IntegrityError"):
        assert secret not in response.text


def test_rows_of_equal_values_are_walked_once_each(ada: FlaskClient) -> None:
    add_many(123)
    for sort in ("2", "3", "4"):
        for desc in ("", "&desc=1"):
            seen = []
            for page in range(5):
                url = f"{LIST}?page_size=25&sort={sort}{desc}&page={page}"
                seen += names(ada.get(url).text)
            assert len(seen) == len(set(seen)) == 124


def add_many(number: int) -> None:
    db.session.add_all(
        User(
            username=f"user{index:03}",
            email=f"user{index:03}@x.test",
            role="none",
            password_hash=password_hash(),
            created_at=NOW,
        )
        for index in range(number)
    )
    db.session.commit()


SENSELESS = (
    ("page=-1", "Page 1 of 3"),
    ("page=abc", "Page 1 of 3"),
    ("page=1000000000", "Page 3 of 3"),
    (f"page={'9' * 40}", "Page 3 of 3"),
    ("page_size=1000000", "Page 1 of 3"),
    ("page_size=-5", "Page 1 of 3"),
    ("sort=999", "Page 1 of 3"),
    ("sort=-1&desc=abc", "Page 1 of 3"),
    ("page_size=100&page=1", "Page 2 of 2"),
)


def test_senseless_arguments_become_the_nearest_that_make_sense(ada: FlaskClient) -> None:
    add_many(123)
    for query, page in SENSELESS:
        response = ada.get(f"{LIST}?{query}")
        assert response.status_code == 200, query
        assert page in text_of(response.text), query


SEARCHES: tuple[tuple[str, list[str]], ...] = (
    ("ada", ["ada"]),
    ("ADA", ["ada"]),
    ("100%", ["100%_sure"]),
    ("%", ["100%_sure"]),
    ("_", ["100%_sure"]),
    ("sure 100", ["100%_sure"]),
    ("example.com ada", ["ada"]),
    ("'; DROP TABLE", []),
    ("<script>", []),
    ("\0ada", ["ada"]),
    ("x" * 5000, []),
)


def test_a_search_takes_every_sign_as_it_is(ada: FlaskClient) -> None:
    add_user("100%_sure", email="sure@x.test")
    for search, found in SEARCHES:
        response = ada.get(LIST, query_string={"search": search})
        assert names(response.text) == found, search
        assert "<script>alert" not in response.text


def test_foreign_arguments_steer_no_address(ada: FlaskClient) -> None:
    add_many(60)
    steering = "_scheme=javascript&_external=1&_anchor=evil&endpoint=x&_method=POST"
    page = ada.get(f"{LIST}?{steering}")
    assert page.status_code == 200
    assert "javascript" not in page.text
    assert "evil" not in page.text


def test_a_page_costs_few_statements_whatever_its_number(
    ada: FlaskClient, staff_app: StaffApp
) -> None:
    add_many(123)
    costs = []
    for page in (0, 2, 4):
        with counted_statements(staff_app.engine) as sent:
            ada.get(f"{LIST}?page_size=25&page={page}")
        costs.append(len(sent))
    assert len(set(costs)) == 1
    assert costs[0] <= 4


def test_a_database_that_is_away_is_a_page_of_503(ada: FlaskClient, staff_app: StaffApp) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("gone"))

    event.listen(staff_app.engine, "before_cursor_execute", refuse)
    try:
        response = ada.get(LIST)
    finally:
        event.remove(staff_app.engine, "before_cursor_execute", refuse)
    assert response.status_code == 503
    assert "The database does not answer" in response.text


def test_only_our_own_routes_are_served(staff_app: StaffApp) -> None:
    rules = {r.rule for r in staff_app.app.url_map.iter_rules() if r.rule.startswith(LIST)}
    assert rules == {LIST, *(f"{LIST}{name}/" for name in ("new", "edit", "confirm", "action"))}


def test_the_menu_offers_it_to_administrators_alone(staff_app: StaffApp) -> None:
    for role in ("viewer", "operator", "admin"):
        add_user(role, role=role)
        client = staff_app.app.test_client()
        log_in(client, role)
        assert ("User accounts" in client.get("/admin/").text) is (role == "admin")


def test_hashes_of_passwords_are_neither_shown_nor_found(ada: FlaskClient) -> None:
    user_id = add_user("ben")
    for path in (LIST, f"{LIST}edit/?id={user_id}"):
        assert "argon2" not in ada.get(path).text
    assert names(ada.get(f"{LIST}?search=argon2id").text) == []

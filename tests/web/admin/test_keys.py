"""The keys of everybody on pages: listed, made, rotated, revoked; a secret is in one answer."""

import re
from html import unescape

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from ai_gateway.domain.virtual_key import parse_key
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import AuditRow, SpendLimit, VirtualKey, db
from ai_gateway.stores.virtual_keys import KeyCopies
from tests.redis_servers import RedisServer
from tests.seeding import add_user
from tests.sql_database import counted_statements
from tests.web.staff_app import StaffApp, log_in, publish_counters

KEYS = "/admin/api-keys/"
PAGE_STATEMENTS = 6
KEY_TEXT = re.compile(r"agw_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}")


@pytest.fixture
def operator(live: StaffApp, server: RedisServer) -> StaffApp:
    """Somebody who may make keys, for ann; Redis answers."""
    add_user("operator", role="operator")
    add_user("ann")
    publish_counters(server.url, db.engine)
    log_in(live.client, "operator")
    return live


def form_of(staff_app: StaffApp, path: str) -> dict[str, str]:
    """What the page would send, but for what a person puts in."""
    page = staff_app.client.get(f"{KEYS}{path}").text
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


def make(staff_app: StaffApp, **fields: str) -> TestResponse:
    form = form_of(staff_app, "new/") | {"owner": "ann", "label": "laptop"}
    return staff_app.client.post(f"{KEYS}new/", data=form | fields)


def secret_in(response: TestResponse) -> str:
    """The one key that stands in an answer."""
    (text,) = set(KEY_TEXT.findall(response.text))
    assert parse_key(text) is not None
    return str(text)


def text_of(response: TestResponse) -> str:
    html = response.text.partition("<main")[2]
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", html).split()))


def stored() -> VirtualKey:
    db.session.rollback()
    return db.session.scalars(select(VirtualKey)).one()


def status_in(server: RedisServer, key_id: str) -> str:
    with connect(server.url) as client:
        loaded = KeyCopies(client).load(key_id)
    assert loaded is not None
    return loaded[0].status.value


def test_a_new_key_is_shown_once_and_then_only_its_prefix(operator: StaffApp) -> None:
    made = make(operator, models="o3\nopenai/gpt-4o", expires="2026-12-31")
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store")
    secret = secret_in(made)
    assert "I have stored it" in text_of(made)
    row = stored()
    assert (row.label, row.created_by, row.allowed_models) == (
        "laptop", "operator", ["o3", "openai/gpt-4o"],
    )  # fmt: skip
    listed = operator.client.get(KEYS)
    assert f"agw_{row.key_id}…{secret[-4:]}" in text_of(listed)
    for path in (KEYS, f"{KEYS}rotate/?key={row.key_id}", f"{KEYS}?q={secret}"):
        answer = operator.client.get(path, follow_redirects=True)
        assert secret.split("_")[2] not in answer.text, path
        assert secret[-4:] in answer.text, path
    (told,) = db.session.scalars(select(AuditRow).where(AuditRow.action == "key_create"))
    assert told.actor_name == "operator"
    assert secret.split("_")[2] not in str([told.after, told.target_name, told.reason])


def test_a_form_that_is_sent_twice_makes_one_key_and_shows_its_secret_once(
    operator: StaffApp,
) -> None:
    form = form_of(operator, "new/") | {"owner": "ann"}
    first, second = (operator.client.post(f"{KEYS}new/", data=form) for _ in range(2))
    secret = secret_in(first)
    assert secret not in second.text
    assert f"agw_{stored().key_id}…{secret[-4:]}" in text_of(second)
    assert "acted once" in text_of(second)


def test_limits_are_inherited_chosen_none_or_nothing(operator: StaffApp) -> None:
    make(operator, limit_day_kind="amount", limit_day="0", limit_month_kind="none")
    limits = db.session.scalars(select(SpendLimit).order_by(SpendLimit.window))
    assert [(one.window, one.kind, one.amount_nano_usd) for one in limits] == [
        ("day", "amount", 0),
        ("month", "none", 0),
    ]


MISTAKES: tuple[tuple[str, dict[str, str]], ...] = (
    ("owner", {"owner": "nobody at all"}),
    ("label", {"label": "x" * 101}),
    ("expires", {"expires": "2020-01-01"}),
    ("expires", {"expires": "tomorrow"}),
    ("models", {"models": "two words"}),
    ("limit_day", {"limit_day_kind": "amount", "limit_day": "25.01"}),
    ("limit_day", {"limit_day_kind": "amount", "limit_day": ""}),
    ("limit_month", {"limit_month_kind": "amount", "limit_month": "NaN"}),
    ("limit_month", {"limit_month": "5"}),
)


def test_a_mistake_is_told_beside_its_field_and_makes_no_key(operator: StaffApp) -> None:
    for field, fields in MISTAKES:
        refused = make(operator, **fields)
        assert refused.status_code == 400, fields
        assert f'id="error-{field}"' in refused.text, fields
    assert list(db.session.scalars(select(VirtualKey))) == []


def test_a_rotation_says_until_when_both_work_and_that_the_oldest_ends(
    operator: StaffApp,
) -> None:
    old = secret_in(make(operator))
    key_id = stored().key_id
    form = form_of(operator, f"rotate/?key={key_id}")
    turned = operator.client.post(f"{KEYS}rotate/", data=form | {"grace": "24h"})
    new = secret_in(turned)
    assert (new[:13], new == old) == (old[:13], False)
    assert "The secret before it works until 24 Nov 2026, 07:10:05 UTC" in text_of(turned)
    again = operator.client.post(f"{KEYS}rotate/", data=form | {"grace": "24h"})
    assert KEY_TEXT.search(again.text) is None
    assert stored().last4 == new[-4:]
    asked = text_of(operator.client.get(f"{KEYS}rotate/?key={key_id}"))
    assert "The oldest secret, which would work until 24 Nov 2026, 07:10:05 UTC" in asked
    assert "ends at once" in asked
    assert "Rotating both secrets until 24 Nov 2026" in text_of(operator.client.get(KEYS))


def test_a_key_is_revoked_by_name_for_good_and_redis_confirms(
    operator: StaffApp, server: RedisServer
) -> None:
    make(operator)
    key_id = stored().key_id
    asked = text_of(operator.client.get(f"{KEYS}revoke/?key={key_id}"))
    assert "Revoke “laptop” of ann?" in asked
    assert "This cannot be undone" in asked
    form = form_of(operator, f"revoke/?key={key_id}")
    gone = operator.client.post(f"{KEYS}revoke/", data=form, follow_redirects=True)
    assert "Redis confirmed it: the next call is refused everywhere." in text_of(gone)
    assert (stored().status, status_in(server, key_id)) == ("revoked", "revoked")
    form = form_of(operator, f"rotate/?key={key_id}")
    refused = operator.client.post(f"{KEYS}rotate/", data=form | {"grace": "0"})
    assert refused.status_code == 400
    assert "This key is revoked, for good" in text_of(refused)


def test_without_redis_keys_are_listed_made_and_rotated_and_a_revoke_says_it_is_not_confirmed(
    staff_app: StaffApp,
) -> None:
    add_user("operator", role="operator")
    add_user("ann")
    log_in(staff_app.client, "operator")
    assert "once Redis is back" not in text_of(made := make(staff_app))
    assert "Redis does not answer: this is in force" in text_of(made)
    key_id = stored().key_id
    form = form_of(staff_app, f"rotate/?key={key_id}") | {"grace": "0"}
    assert KEY_TEXT.search(staff_app.client.post(f"{KEYS}rotate/", data=form).text)
    assert "≈ Amounts are those of the database" in text_of(staff_app.client.get(KEYS))
    form = form_of(staff_app, f"revoke/?key={key_id}")
    gone = staff_app.client.post(f"{KEYS}revoke/", data=form, follow_redirects=True)
    assert "It is not confirmed that this is in force" in text_of(gone)
    assert stored().status == "revoked"


def test_a_viewer_looks_and_is_offered_nothing(live: StaffApp) -> None:
    add_user("viewer", role="viewer")
    log_in(live.client, "viewer")
    page = live.client.get(KEYS)
    assert page.status_code == 200
    assert "No keys yet" in text_of(page)
    assert not {"New key", "Create the first key"} & set(text_of(page).split("  "))
    assert "api-keys/new" not in page.text


def test_a_key_that_is_not_there_leads_back_to_the_list(operator: StaffApp) -> None:
    for path in ("rotate/", "revoke/"):
        gone = operator.client.get(f"{KEYS}{path}?key=nothere1", follow_redirects=True)
        assert "There is no such key." in text_of(gone)


def test_the_list_is_narrowed_by_the_address_and_costs_few_statements(
    operator: StaffApp,
) -> None:
    for owner, label in (("ann", "one"), ("ann", "two"), ("operator", "three")):
        make(operator, owner=owner, label=label)
    ann = db.session.scalars(select(VirtualKey.user_id).where(VirtualKey.label == "one")).one()
    for query, labels in (
        ("", ["three", "two", "one"]),
        ("?sort=label", ["one", "three", "two"]),
        (f"?owner={ann}&sort=created&dir=asc", ["one", "two"]),
        ("?q=THREE", ["three"]),
        ("?filter=revoked", []),
        ("?page=99&size=1", ["three", "two", "one"]),
    ):
        with counted_statements(operator.engine) as sent:
            page = operator.client.get(f"{KEYS}{query}").text
        assert re.findall(r'<th scope="row"><span class="clipped" title="(\w+)"', page) == labels
        assert len(sent) <= PAGE_STATEMENTS, sent
    assert "keys of ann" in operator.client.get(f"{KEYS}?owner={ann}").text

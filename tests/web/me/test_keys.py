"""Own keys: made, rotated, revoked by their owner alone, never wider than the owner may."""

import re

from sqlalchemy import select
from werkzeug.test import TestResponse

from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.services.key_rules import KeyOptions
from ai_gateway.stores.tables import AuditRow, SpendLimit, VirtualKey, db
from tests.forms import forms_of
from tests.keys import issue
from tests.web.admin.test_keys import secret_in
from tests.web.me.conftest import ANN, BEN
from tests.web.staff_app import StaffApp

ALERT = re.compile(r'role="alert">([^<]+)<')
KEYS = "/me/keys/"
NEW, ROTATE, REVOKE = (f"{KEYS}{act}/" for act in ("new", "rotate", "revoke"))


def send(own: StaffApp, page: str, **typed: str) -> TestResponse:
    """Fill in the form of a page and send it."""
    address = page.partition("?")[0]
    fields = forms_of(own.client.get(page).text)[address]
    return own.client.post(address, data=fields | typed)


def stored(user_id: int) -> list[VirtualKey]:
    db.session.rollback()
    query = select(VirtualKey).where(VirtualKey.user_id == user_id).order_by(VirtualKey.id)
    return list(db.session.scalars(query))


def test_a_key_is_made_for_oneself_and_shown_once(own: StaffApp) -> None:
    made = send(
        own,
        NEW,
        label="laptop",
        models="gpt-4o-mini",
        limit_day_kind="amount",
        limit_day="2.50",
        # What no form of ours sends.
        owner="ben",
        user_id=str(BEN),
    )
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store")
    secret = secret_in(made)
    (key,) = stored(ANN)
    assert stored(BEN) == []
    assert (key.label, key.created_by, key.allowed_models) == ("laptop", "ann", ["gpt-4o-mini"])
    (limit,) = db.session.scalars(select(SpendLimit))
    assert (limit.scope, limit.subject_id, limit.amount_nano_usd) == ("key", key.id, 2_500_000_000)
    for page in ("/me/", KEYS, f"{ROTATE}?key={key.key_id}"):
        html = own.client.get(page).text
        assert secret not in html
    assert f"agw_{key.key_id}…{secret[-4:]}" in own.client.get(KEYS).text


def test_the_form_asks_for_no_owner(own: StaffApp) -> None:
    assert "owner" not in forms_of(own.client.get(NEW).text)[NEW]


def test_a_key_is_never_wider_than_its_owner(own: StaffApp) -> None:
    refused = send(own, NEW, limit_day_kind="amount", limit_day="26")
    assert refused.status_code == 400
    assert "At most $25.00" in refused.text
    assert stored(ANN) == []


def test_a_form_that_is_sent_twice_makes_one_key(own: StaffApp) -> None:
    fields = forms_of(own.client.get(NEW).text)[NEW]
    first, second = (own.client.post(NEW, data=fields) for _ in range(2))
    assert secret_in(first)
    assert "This form was sent before" in second.text
    assert len(stored(ANN)) == 1


def test_a_key_is_rotated_and_revoked_by_its_owner(own: StaffApp) -> None:
    before = issue(own.services.key_admin, ANN)
    key_id = before.split("_")[1]
    rotated = secret_in(send(own, f"{ROTATE}?key={key_id}", grace="1h"))
    assert rotated.split("_")[1] == key_id
    assert rotated != before
    assert "Rotating" in own.client.get(KEYS).text
    assert send(own, f"{REVOKE}?key={key_id}").status_code == 303
    (key,) = stored(ANN)
    assert key.status == KeyStatus.REVOKED
    assert "Revoked" in own.client.get(KEYS).text
    told = db.session.scalars(select(AuditRow).where(AuditRow.target_id == key_id))
    by_ann = [(row.action, row.actor_name, row.actor_role) for row in told if row.actor_user_id]
    assert by_ann == [("key_rotate", "ann", "none"), ("key_revoke", "ann", "none")]


def test_the_key_of_another_is_not_found(own: StaffApp) -> None:
    options = KeyOptions(label="of ben")
    key_id = issue(own.services.key_admin, BEN, options).split("_")[1]
    assert "of ben" not in own.client.get(KEYS).text
    token = forms_of(own.client.get(NEW).text)[NEW]["csrf_token"]
    for path in (ROTATE, REVOKE):
        for unknown in (key_id, "aaaaaaaa", "not an id", ""):
            asked = own.client.get(path, query_string={"key": unknown}, follow_redirects=True)
            form = {"csrf_token": token, "key": unknown, "grace": "0"}
            sent = own.client.post(path, data=form, follow_redirects=True)
            for answer in (asked, sent):
                # Whether there is such a key is not told.
                assert re.findall(r'role="alert">([^<]+)<', answer.text) == [
                    "There is no such key."
                ]
                assert "of ben" not in answer.text
    (key,) = stored(BEN)
    assert (key.status, key.previous_digest) == (KeyStatus.ACTIVE, None)

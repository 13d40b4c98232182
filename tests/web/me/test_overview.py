"""The own page: own figures and nobody else's, why requests were refused, and how to begin."""

import re
from datetime import timedelta
from html import unescape

import pytest

from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.domain.house_rules import user_pause
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.refusal_tables import RefusalRow
from ai_gateway.stores.tables import db
from ai_gateway.web.admin.wording import REFUSAL_WORDS
from ai_gateway.web.me.advice import ADVICE, OTHER, advice
from tests.redis_servers import RedisServer
from tests.seeding import NOW, add_account, add_entry, add_key, add_usage, usd
from tests.sql_database import counted_statements
from tests.web.me.conftest import ANN, BEN
from tests.web.staff_app import StaffApp, publish_counters

HOUR = NOW.replace(minute=0, second=0)


@pytest.fixture
def busy(own: StaffApp, server: RedisServer) -> StaffApp:
    """Ann spent 22 of her 25 USD today; Ben did something too."""
    for user_id, cost in ((ANN, "22"), (BEN, "17")):
        add_usage(HOUR, user_id, model=f"model-{user_id}", cost_nano_usd=usd(cost), requests=4)
        add_usage(HOUR - timedelta(days=20), user_id, cost_nano_usd=usd("70"))
        add_account("2026-11-23", usd(cost), user_id=user_id)
        add_account("2026-11", usd(cost), user_id=user_id)
        add_entry(f"req_of_{user_id}", user_id=user_id, cost_nano_usd=usd("0.0123"))
        db.session.add(refusal(user_id))
    add_key(ANN)
    publish_counters(server.url, db.engine)
    return own


def refusal(user_id: int) -> RefusalRow:
    return RefusalRow(
        at=NOW - timedelta(minutes=5),
        outcome="budget_blocked",
        reason="user_day",
        operation="chat",
        request_id=f"refused_of_{user_id}",
        user_id=user_id,
        key_id="k0000001",
        model="gpt-4.1",
        scope="user",
        window="day",
        limit_nano_usd=usd("25"),
        spent_nano_usd=usd("22"),
        held_nano_usd=usd("1"),
        needed_nano_usd=usd("4.5"),
        resets_at=NOW.replace(hour=0, minute=0, second=0) + timedelta(days=1),
    )


def text_of(html: str) -> str:
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", html.partition("<main")[2]).split()))


def test_budgets_and_use_are_ones_own(busy: StaffApp) -> None:
    html = busy.client.get("/me/").text
    text = text_of(html)
    assert "$22.00 of $25.00" in text
    assert "88 % used" in text
    assert "Resets in 16 h" in text
    assert "model-1" in text
    assert "req_of_1" in text
    for of_ben in ("model-2", "req_of_2", "refused_of_2", "$17.00"):
        assert of_ben not in html


def test_the_range_stands_in_the_address(busy: StaffApp) -> None:
    tile = r'data-tile="cost".*?data-nano-usd="(\d+)"'
    for query, cost in (("", "22"), ("?range=30d", "92"), ("?range=nonsense", "22")):
        html = busy.client.get(f"/me/{query}").text
        (shown,) = re.findall(tile, html, re.DOTALL)
        assert int(shown) == usd(cost), query


def test_no_address_names_another_user(busy: StaffApp) -> None:
    plain = text_of(busy.client.get("/me/").text)
    for query in ("user_id=2", "user=2", "id=2", "owner=2", "username=ben"):
        assert text_of(busy.client.get(f"/me/?{query}").text) == plain


def test_a_refusal_is_explained_by_the_budget_that_had_no_room(busy: StaffApp) -> None:
    html = busy.client.get("/me/").text
    row = text_of("<main" + html.partition('data-refused="refused_of_1"')[2].partition("</tr>")[0])
    assert "Daily budget of the user" in row
    assert "It needed up to $4.50 ; $2.00 of $25.00 were left. Resets in 16 h." in row
    assert ADVICE["user_day"] in row


def test_every_advice_is_about_a_reason_that_there_is() -> None:
    assert ADVICE.keys() <= REFUSAL_WORDS.keys()
    assert advice("something new") == OTHER


def test_without_a_key_or_a_call_it_says_how_to_begin(own: StaffApp) -> None:
    text = text_of(own.client.get("/me/").text)
    assert "Create the first key" in text
    assert "No requests yet" in text
    assert "curl http://localhost/v1/chat/completions" in text
    assert "$0.00 of $25.00" in text


def test_without_counters_amounts_carry_their_sign(busy: StaffApp, server: RedisServer) -> None:
    assert "≈" not in text_of(busy.client.get("/me/").text)
    with connect(server.url) as client:
        client.flushall()
    text = text_of(busy.client.get("/me/").text)
    assert "≈ $22.00 of $25.00" in text
    assert "In flight unknown" in text


def test_a_pause_is_told_with_its_reason_and_without_a_name(busy: StaffApp) -> None:
    pauses = busy.services.budgets.pauses
    with busy.app.app_context():
        pauses.set(user_pause(ANN), "a script that loops", COMMAND_LINE)
    text = text_of(busy.client.get("/me/").text)
    assert "Your calls are paused" in text
    assert "a script that loops" in text
    assert COMMAND_LINE.name not in text


def test_the_page_takes_few_statements(busy: StaffApp) -> None:
    busy.client.get("/me/")
    with counted_statements(busy.engine) as sent:
        busy.client.get("/me/")
    assert len(sent) <= 12, sent

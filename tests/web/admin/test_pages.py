"""What the staff pages show of what is in the database."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from ai_gateway.domain.limits import Limit, LimitKind, Window
from tests.seeding import (
    NOW,
    add_account,
    add_entry,
    add_limit,
    add_usage,
    add_user,
    seed_story,
    usd,
)
from tests.sql_database import counted_statements
from tests.web.staff_app import StaffApp

OVERVIEW, USERS = "/admin/ai-analytics/", "/admin/ai-analytics/users/"
DAY, MONTH = "2026-11-23", "2026-11"
HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)


def _text(page: str) -> str:
    """The words of a page on one line, as a reader sees them."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())


def _read(viewer: StaffApp, path: str) -> str:
    response = viewer.client.get(path)
    assert response.status_code == 200
    return response.text


def test_the_home_page_leads_on_and_lists_what_is_left(viewer: StaffApp) -> None:
    page = _read(viewer, "/admin/")
    assert f'href="{OVERVIEW}"' in page
    assert "AI Analytics" in page
    assert "flask key create" in page
    assert "curl http://localhost/v1/chat/completions" in page


def test_an_empty_overview_shows_how_to_make_the_first_call(viewer: StaffApp) -> None:
    page = _read(viewer, OVERVIEW)
    text = _text(page)
    assert "No requests yet" in text
    assert "curl http://localhost/v1/chat/completions" in text
    assert "Total cost" in text
    assert "$0.00" in text
    assert "Error rate" in text
    assert not re.search(r"\b(None|NaN|null|undefined|inf)\b", page)


def test_the_overview_shows_the_four_tiles(viewer: StaffApp) -> None:
    tokens: dict[str, Any] = {
        "input_tokens": 1_200_000,
        "output_tokens": 84_000,
        "cached_input_tokens": 300_000,
    }
    add_usage(HOUR, 1, requests=400, failures=5, cost_nano_usd=usd("22.96"), **tokens)
    add_usage(HOUR - timedelta(days=8), 1, requests=100, cost_nano_usd=usd("11.48"))
    add_entry("r1")
    text = _text(_read(viewer, OVERVIEW))
    assert "17–23 Nov 2026, UTC" in text
    assert re.search(r"Total cost .*? \$22\.96 ↑ 100 % \$11\.48 before", text)
    assert re.search(r"Total tokens .*? 1\.3M new .*? In 1\.2M Out 84\.0k Cached 300k", text)
    assert re.search(r"Error rate .*? 1\.25 %", text)
    assert re.search(r"Average cost per request .*? \$0\.0574 ↓ 50 % \$0\.115 before", text)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("24h", "22 Nov, 08:00 – 23 Nov 2026, 07:10, UTC"),
        ("7d", "17–23 Nov 2026, UTC"),
        ("30d", "25 Oct – 23 Nov 2026, UTC"),
        ("month", "1–23 Nov 2026, UTC"),
        ("century", "17–23 Nov 2026, UTC"),
        ("", "17–23 Nov 2026, UTC"),
    ],
)
def test_the_range_is_chosen_by_the_address(viewer: StaffApp, asked: str, words: str) -> None:
    assert words in _text(_read(viewer, f"{OVERVIEW}?range={asked}"))


def test_recent_calls_say_what_is_not_certain(viewer: StaffApp) -> None:
    add_entry("known", cost_nano_usd=57_400_000, user_id=1)
    add_entry("left", outcome="cancelled", confidence="counted", cost_nano_usd=12_000)
    add_entry("free", price_status="unpriced", outcome="upstream_error")
    add_entry("odd", outcome="some_new_word")
    rows = re.findall(r'data-request-id="(\w+)">(.*?)</tr>', _read(viewer, OVERVIEW), re.DOTALL)
    shown = {name: " ".join(re.sub(r"<[^>]+>", " ", row).split()) for name, row in rows}
    assert "$0.0574" in shown["known"]
    assert "Success" in shown["known"]
    assert "Client left" in shown["left"]
    assert "≈ $0.000012" in shown["left"]
    assert "Provider error" in shown["free"]
    assert "— unpriced" in shown["free"]
    assert "some new word" in shown["odd"]


def test_what_needs_attention_leads_to_the_filtered_page(viewer: StaffApp) -> None:
    add_account(DAY, usd("25"), user_id=add_user("over"))
    add_account(DAY, usd("20"), user_id=add_user("near"))
    add_usage(HOUR, 1, unpriced=2)
    page = _read(viewer, OVERVIEW)
    assert f'href="{USERS}?filter=exceeded"' in page
    assert f'href="{USERS}?filter=warning"' in page
    text = _text(page)
    assert "1 user exceeded" in text
    assert "1 user over 80 %" in text
    assert "1 model without price" in text


def test_a_budget_of_the_month_may_be_without_limit(viewer: StaffApp) -> None:
    add_limit(Window.MONTH, Limit(LimitKind.NONE))
    add_account(MONTH, usd("12.5"))
    assert "$12.50 No limit for the installation" in _text(_read(viewer, OVERVIEW))


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "' OR 1=1 --", '"><b>', "🦆%_"])
def test_names_and_searches_are_text(viewer: StaffApp, hostile: str) -> None:
    user_id = add_user(hostile, email=f"{hostile}@example.com")
    add_usage(HOUR, user_id, provider=hostile, model=hostile)
    add_entry("r1", user_id=user_id, provider=hostile, model=hostile, outcome=hostile[:24])
    for page in (
        _read(viewer, OVERVIEW),
        viewer.client.get(USERS, query_string={"q": hostile}).text,
    ):
        assert "<script>alert" not in page
        assert '"><b>' not in page
    assert page.count("<tr data-user-id") == 1


def test_pages_keep_to_their_number_of_statements(viewer: StaffApp) -> None:
    seed_story()
    # A minute later, so that the session has to be written too.
    viewer.clock.now = NOW + timedelta(minutes=2)
    for path, most in ((OVERVIEW, 12), (USERS, 6), (f"{USERS}?page=2&size=25", 6), ("/admin/", 6)):
        with counted_statements(viewer.engine) as sent:
            _read(viewer, path)
        assert len(sent) <= most, sent

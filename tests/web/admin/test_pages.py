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
    add_key,
    add_limit,
    add_usage,
    add_user,
    amount,
    seed_story,
    usd,
)
from tests.sql_database import counted_statements
from tests.web.staff_app import StaffApp, log_in

OVERVIEW, USERS = "/admin/ai-analytics/", "/admin/ai-analytics/users/"
DAY, MONTH = "2026-11-23", "2026-11"
HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)


@pytest.fixture
def viewer(staff_app: StaffApp) -> StaffApp:
    add_user("viewer", role="viewer")
    log_in(staff_app.client, "viewer")
    return staff_app


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
    assert "1 of 3 done" in _text(page)
    assert "flask key create" in page
    assert "curl http://localhost/v1/chat/completions" in page


def test_the_home_page_says_when_all_is_done(viewer: StaffApp) -> None:
    add_key(1)
    add_usage(HOUR, 1)
    page = _read(viewer, "/admin/")
    assert "3 of 3 done" in _text(page)
    assert "curl" not in page


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
    assert "2 unpriced requests" in text


def test_a_budget_of_the_month_may_be_without_limit(viewer: StaffApp) -> None:
    add_limit(Window.MONTH, Limit(LimitKind.NONE))
    add_account(MONTH, usd("12.5"))
    assert "$12.50 No limit for the installation" in _text(_read(viewer, OVERVIEW))


def test_each_state_has_its_word_bar_and_percent(viewer: StaffApp) -> None:
    states = (
        ("fine", 7999, amount(10_000), False, "79 % of $0.00001", "ok", "OK"),
        ("near", 9999, amount(10_000), False, "99 % of $0.00001", "warning", "Warning"),
        ("over", 12_300, amount(10_000), False, "123 % of $0.00001", "exceeded", "Exceeded"),
        ("refused", 9700, amount(10_000), True, "97 % of $0.00001", "exceeded", "Exceeded"),
        ("blocked", 0, amount(0), False, "100 % of $0.00", "exceeded", "Exceeded"),
    )
    for name, spent, limit, is_refused, *_ in states:
        user_id = add_user(name)
        add_account(DAY, spent, user_id=user_id, is_refused=is_refused)
        add_limit(Window.DAY, limit, user_id=user_id)
    page = _read(viewer, USERS)
    rows = {
        match[1]: match[0]
        for match in re.finditer(r"<tr data-user-id.*?title=\"(.*?)\".*?</tr>", page, re.DOTALL)
    }
    for name, _, _, is_refused, words, state, badge in states:
        text = " ".join(re.sub(r"<[^>]+>", " ", rows[name]).split())
        assert words in text, name
        assert text.endswith(badge)
        assert f'class="bar bar--{state}"' in rows[name]
        assert ("last call refused" in text) is is_refused


def test_no_limit_has_words_and_no_bar(viewer: StaffApp) -> None:
    for window in Window:
        add_limit(window, Limit(LimitKind.NONE), user_id=1)
    page = _read(viewer, USERS)
    assert _text(page).count("No limit") == 2
    assert "<progress" not in page


def test_filters_show_and_count_the_same(viewer: StaffApp) -> None:
    seed_story()
    for chosen in ("all", "warning", "exceeded"):
        page = _read(viewer, f"{USERS}?filter={chosen}&size=100")
        (current,) = re.findall(
            r'aria-current="true">[^<]*<span class="segments__count"><span[^>]*data-count="(\d+)"',
            page,
        )
        assert page.count("<tr data-user-id") == int(current) > 0


@pytest.mark.parametrize(
    "query",
    [
        "page=-1",
        "page=abc",
        "page=1000000000",
        "page=" + "9" * 5000,
        "page=٣",
        "sort=999",
        "sort=state&dir=sideways",
        "size=1000000",
        "size=0",
        "size=-5",
        "filter=nobody",
        "q=%00",
        "q=%FF%FE",
        "q=" + "x" * 3000,
        "page=1&page=2",
    ],
)
def test_nonsense_in_the_address_is_clamped(viewer: StaffApp, query: str) -> None:
    _read(viewer, f"{USERS}?{query}")


@pytest.mark.parametrize(
    ("asked", "rows"), [("25", 25), ("26", 25), ("50", 50), ("100", 61), ("1000", 61), ("1", 25)]
)
def test_page_sizes(viewer: StaffApp, asked: str, rows: int) -> None:
    for number in range(60):
        add_user(f"user{number}")
    assert _read(viewer, f"{USERS}?size={asked}").count("<tr data-user-id") == rows


def test_walking_the_links_shows_every_user_once(viewer: StaffApp) -> None:
    for number in range(70):
        add_user(f"user{number:02}")
    path, seen = f"{USERS}?size=25&sort=monthly_spend", []
    while path:
        page = _read(viewer, path)
        seen += re.findall(r'<tr data-user-id="(\d+)"', page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        path = found[1].replace("&amp;", "&") if found else ""
    assert len(seen) == len(set(seen)) == 71


def test_headings_sort_and_turn_around(viewer: StaffApp) -> None:
    page = _read(viewer, f"{USERS}?sort=email&filter=all&q=a")
    headings = re.findall(r'aria-sort="(\w+)">\s*<a href="([^"]+)">(\w+)', page)
    found = {name: (direction, href.replace("&amp;", "&")) for direction, href, name in headings}
    assert found["Email"] == ("ascending", f"{USERS}?q=a&sort=email&dir=desc")
    assert found["User"] == ("none", f"{USERS}?q=a&sort=user")
    assert found["Status"] == ("none", f"{USERS}?q=a")


def test_a_search_keeps_filter_order_and_size(viewer: StaffApp) -> None:
    page = _read(viewer, f"{USERS}?filter=warning&sort=email&size=25&q=zed")
    assert '<input type="hidden" name="filter" value="warning">' in page
    assert '<input type="hidden" name="sort" value="email">' in page
    assert '<option value="25" selected>' in page
    assert "No users match" in _text(page)
    assert f'href="{USERS}">Clear filters' in page


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

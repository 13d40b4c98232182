"""The list of users: what it shows, how it is cut and sorted, and the file that it gives."""

import csv
import io
import re
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select

from ai_gateway.domain.limits import Limit, LimitKind, Window
from ai_gateway.stores.tables import AccountTotal, AuditRow, User, db
from ai_gateway.web.admin.spend_csv import HEADER
from tests.redis_servers import RedisServer
from tests.seeding import (
    NOW,
    add_account,
    add_limit,
    add_usage,
    add_user,
    amount,
    seed_story,
    usd,
)
from tests.sql_database import counted_statements, opened, sqlite_url
from tests.web.staff_app import StaffApp, build, log_in, publish_counters

USERS = "/admin/ai-analytics/users/"
EXPORT = f"{USERS}export.csv"
DAY, MONTH = "2026-11-23", "2026-11"


@pytest.fixture
def viewer(staff_app: StaffApp) -> StaffApp:
    """Without a Redis."""
    return _as(staff_app, "viewer")


def _as(staff_app: StaffApp, role: str) -> StaffApp:
    """Somebody of this role, in a browser of their own."""
    add_user(role, role=role)
    staff_app.client = staff_app.app.test_client()
    log_in(staff_app.client, role)
    return staff_app


def _publish(server: RedisServer) -> None:
    publish_counters(server.url, db.engine)
    db.session.rollback()


def _text(page: str) -> str:
    """The words of a page on one line, as a reader sees them."""
    return _words(page.partition("<main")[2])


def _words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def _read(staff_app: StaffApp, path: str) -> str:
    response = staff_app.client.get(path)
    assert response.status_code == 200
    return response.text


def _rows(page: str) -> dict[str, str]:
    """The rows of the table by the name of the user."""
    found = re.findall(r"<tr data-user-id.*?</tr>", page, re.DOTALL)
    return {re.findall(r'class="clipped" title="(.*?)"', row)[0]: row for row in found}


STATES = (
    ("fine", 7999, amount(10_000), False, "$0.000008 of $0.00001 · 79 %", "ok", "OK"),
    ("eighty", 8000, amount(10_000), False, "80 %", "warning", "Warning"),
    ("near", 9999, amount(10_000), False, "99 %", "warning", "Warning"),
    ("full", 10_000, amount(10_000), False, "100 %", "exceeded", "Exceeded"),
    ("over", 12_300, amount(10_000), False, "123 %", "exceeded", "Exceeded"),
    ("refused", 9700, amount(10_000), True, "97 %", "exceeded", "Exceeded"),
    ("blocked", 0, amount(0), False, "$0.00 of $0.00 · 100 %", "exceeded", "Exceeded"),
)


def test_each_state_has_its_word_bar_and_percent(live: StaffApp, server: RedisServer) -> None:
    _as(live, "viewer")
    for name, spent, limit, is_refused, *_ in STATES:
        user_id = add_user(name)
        add_account(DAY, spent, user_id=user_id, is_refused=is_refused)
        add_limit(Window.DAY, limit, user_id=user_id)
    _publish(server)
    rows = _rows(_read(live, USERS))
    for name, spent, limit, is_refused, words, state, badge in STATES:
        text = _words(rows[name])
        assert words in text, name
        assert f" {badge} " in text
        (bar, value) = re.findall(r'class="bar bar--(\w+)" value="(\d+)" max="100"', rows[name])[0]
        percent = spent * 100 // limit.amount if limit.amount else 100
        assert (bar, int(value)) == (state, min(percent, 100))
        assert (text.count("last call refused") > 0) is is_refused
        assert "≈" not in text


def test_no_limit_has_words_and_no_bar(viewer: StaffApp) -> None:
    for window in Window:
        add_limit(window, Limit(LimitKind.NONE), user_id=1)
    page = _read(viewer, USERS)
    assert _words(_rows(page)["viewer"]).count("No limit") == 2
    assert "<progress" not in page


def test_filters_show_and_count_the_same(viewer: StaffApp) -> None:
    seed_story()
    for window in Window:
        add_limit(window, Limit(LimitKind.NONE), user_id=1)
    for chosen in ("all", "warning", "exceeded", "no_limit"):
        page = _read(viewer, f"{USERS}?filter={chosen}&size=100")
        (current,) = re.findall(
            r'aria-current="true">[^<]*<span class="segments__count"><span[^>]*data-count="(\d+)"',
            page,
        )
        assert page.count("<tr data-user-id") == int(current) > 0


def test_a_row_says_what_was_done_what_is_to_come_and_when(
    live: StaffApp, server: RedisServer
) -> None:
    _as(live, "viewer")
    user_id = add_user("ann")
    for day in (10, 18, 19, 20, 23):
        moment = NOW.replace(day=day) - timedelta(minutes=9)
        add_usage(moment, user_id, cost_nano_usd=usd("7.00"), requests=3)
    # As after a reset this morning.
    add_account(DAY, usd("1"), user_id=user_id)
    _publish(server)
    page = _read(live, USERS)
    text = _words(_rows(page)["ann"])
    assert " $7.00 3 requests " in text
    assert "$1.00 of $25.00 · 4 %" in text
    assert " $35.00 " in text
    # Three of the last seven days: 21 USD in a week, and seven days are left.
    assert " $56.00 projected " in text
    assert "the day resets in 16 h, the month in 7 d" in _text(page)
    assert "9 min ago" in text


def test_who_never_called_has_no_numbers_made_up(viewer: StaffApp) -> None:
    text = _words(_rows(_read(viewer, USERS))["viewer"])
    assert "never" in text
    assert "$0.00 no projection" in text


def test_amounts_of_the_database_are_marked_while_redis_is_away(viewer: StaffApp) -> None:
    operator = _as(viewer, "operator")
    add_account(DAY, usd("5"), user_id=1)
    page = _read(operator, USERS)
    assert "≈ $5.00 of $25.00 · 20 %" in _text(page)
    assert "the live counters do not answer" in _text(page)
    assert re.findall(r"<button[^>]*disabled[^>]*>Reset…", page)
    assert "Reset selected" not in page


def test_what_a_role_may_not_do_is_not_offered(live: StaffApp, server: RedisServer) -> None:
    _publish(server)
    offered = {}
    for role in ("viewer", "operator", "admin"):
        page = _read(_as(live, role), USERS)
        words = ("Reset…", "Reset selected…", "Limits…", "/admin/user/edit/?id=1")
        offered[role] = [word in page for word in words]
    assert offered == {
        "viewer": [False] * 4,
        "operator": [True, True, True, False],
        "admin": [True] * 4,
    }


def test_names_lead_to_the_page_of_the_user(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    assert f'href="{USERS}{user_id}/"' in _rows(_read(viewer, USERS))["ann"]


def test_what_narrows_the_list_can_be_taken_away(viewer: StaffApp) -> None:
    page = _read(viewer, f"{USERS}?filter=warning&q=zed&sort=email").replace("&amp;", "&")
    assert f'href="{USERS}?q=zed&sort=email" aria-label="Remove the filter: Warning' in page
    assert (
        f'href="{USERS}?filter=warning&sort=email" aria-label="Remove the filter: matches' in page
    )


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
    found = {
        name: (direction, href.replace("&amp;", "&"))
        for direction, cell in re.findall(r'aria-sort="(\w+)">(.*?)</th>', page, re.DOTALL)
        for href, name in re.findall(r'<a href="([^"]+)">(\w+)', cell)
    }
    assert found["Email"] == ("ascending", f"{USERS}?q=a&sort=email&dir=desc")
    # It shares the heading with the address, which is what the rows are sorted by.
    assert found["User"] == ("ascending", f"{USERS}?q=a&sort=user")
    assert found["Status"] == ("none", f"{USERS}?q=a")


def test_a_search_keeps_filter_order_and_size(viewer: StaffApp) -> None:
    page = _read(viewer, f"{USERS}?filter=warning&sort=email&size=25&q=zed")
    assert '<input type="hidden" name="filter" value="warning">' in page
    assert '<input type="hidden" name="sort" value="email">' in page
    assert '<option value="25" selected>' in page
    assert "No users match" in _text(page)
    assert f'href="{USERS}">Clear filters' in page


def _csv(staff_app: StaffApp, query: str = "") -> list[dict[str, str]]:
    response = staff_app.client.get(f"{EXPORT}{query}")
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def test_the_file_has_every_row_of_the_filter_with_the_numbers_of_the_page(
    live: StaffApp, server: RedisServer
) -> None:
    _as(live, "viewer")
    seed_story()
    _publish(server)
    for query in ("?size=100", "?filter=warning&size=100", "?filter=exceeded", "?q=an&size=100"):
        rows = _rows(_read(live, f"{USERS}{query}"))
        found = {row["Username"]: row for row in _csv(live, query)}
        assert found.keys() == rows.keys()
        for name, html in rows.items():
            nano = re.findall(r'class="budget__text">.*?data-nano-usd="(\d+)"', html)
            spent = [found[name]["Daily Spend"], found[name]["Monthly Spend"]]
            assert [usd(text) for text in spent] == list(map(int, nano))
            assert found[name]["Spend Source"] == "counter"


def test_the_file_begins_with_the_three_columns_and_has_all_digits(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    add_account(DAY, 1, user_id=user_id)
    add_account(MONTH, usd("1234567.000000001"), user_id=user_id)
    response = viewer.client.get(f"{EXPORT}?q=ann")
    assert response.text.startswith("Username,Daily Spend,Monthly Spend,")
    assert response.text.splitlines()[0] == ",".join(HEADER)
    (ann,) = _csv(viewer, "?q=ann")
    assert (ann["Daily Spend"], ann["Monthly Spend"]) == ("0.000000001", "1234567.000000001")
    assert (ann["Daily Limit"], ann["Daily Percent Used"]) == ("25.000000000", "0")
    assert (ann["Status"], ann["Last Active"], ann["Projected Month End"]) == ("exceeded", "", "")
    assert ann["Day Resets"] == "2026-11-24T00:00:00+00:00"
    assert ann["Spend Source"] == "database"
    disposition = response.headers["Content-Disposition"]
    assert disposition == 'attachment; filename="user-spend-2026-11-as-of-2026-11-23.csv"'
    assert response.headers["Cache-Control"] == "no-store"


def test_times_of_the_file_are_those_of_the_reporting_zone(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    with opened(url):
        made = build(url, ZoneInfo("Asia/Kolkata"))
        _as(made, "viewer")
        add_usage(NOW, 1, zone=ZoneInfo("Asia/Kolkata"))
        (row,) = _csv(made)
        made.engine.dispose()
    assert row["Last Active"] == "2026-11-23T12:40:05+05:30"
    assert row["Month Resets"] == "2026-12-01T00:00:00+05:30"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_name_that_a_spreadsheet_would_run_is_text(viewer: StaffApp, start: str) -> None:
    add_user(f"{start}cmd|' /C calc'!A0", email=f"{start}x@example.com")
    named = next(row for row in _csv(viewer) if "cmd" in row["Username"])
    assert named["Username"] == f"'{start}cmd|' /C calc'!A0"
    assert named["Email"] == f"'{start}x@example.com"


def test_an_export_is_recorded(viewer: StaffApp) -> None:
    _csv(viewer, "?filter=exceeded&q=ann")
    db.session.rollback()
    row = db.session.scalars(select(AuditRow).where(AuditRow.action == "export")).one()
    assert (row.actor_name, row.target_kind, row.target_id) == ("viewer", "report", "user_spend")
    assert row.after == {"filter": "exceeded", "search": "ann"}


def test_a_large_file_comes_bit_by_bit_and_holds_little(viewer: StaffApp) -> None:
    _seed_many(5000)
    tracemalloc.start()
    response = viewer.client.get(EXPORT, buffered=False)
    lines = sum(part.count(b"\r\n") for part in response.iter_encoded())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines == 1 + 1 + 5000
    # Some hundred rows and what they are made of; all at once take ten times as much.
    assert peak < 4_000_000


def test_ten_thousand_users_need_the_same_few_statements_on_every_page(viewer: StaffApp) -> None:
    _seed_many(10_000)
    # A minute later, so that the session has to be written too.
    viewer.clock.now = NOW + timedelta(minutes=2)
    viewer.client.get(USERS)
    for sort in ("state", "projected", "last_active"):
        numbers = set()
        for page in (1, 100, 10**9):
            began = time.thread_time()
            with counted_statements(viewer.engine) as sent:
                html = _read(viewer, f"{USERS}?size=100&sort={sort}&page={page}")
            assert time.thread_time() - began < 2
            assert len(html) < 400_000
            numbers.add(len(sent))
        (number,) = numbers
        assert number <= 6, sent


def _seed_many(count: int) -> None:
    ids = range(100, 100 + count)
    users = [
        {"id": i, "username": f"u{i}", "email": f"u{i}@x", "role": "none", "created_at": NOW}
        for i in ids
    ]
    accounts = [
        {
            "scope": "user",
            "subject_id": i,
            "window_id": window,
            "spent_nano_usd": i * 7919 % 30 * 10**9,
            "cost_nano_usd": i,
            "requests": 1,
            "last_request_at": NOW,
        }
        for i in ids
        for window in ("2026-11-20", "2026-11-21", "2026-11-22", DAY, MONTH)
    ]
    db.session.execute(insert(User), users)
    db.session.execute(insert(AccountTotal), accounts)
    db.session.commit()


def test_what_is_written_for_a_session_leaves_enough_statements(viewer: StaffApp) -> None:
    viewer.clock.now = NOW + timedelta(minutes=2)
    with counted_statements(viewer.engine) as sent:
        _read(viewer, USERS)
    assert len(sent) <= 6, sent

"""The page of one user."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ai_gateway.domain.limits import Limit, LimitKind, Window
from ai_gateway.domain.money import NANO_PER_USD
from ai_gateway.stores.tables import AuditRow, User, db
from tests.redis_servers import running_redis
from tests.seeding import (
    NOW,
    add_account,
    add_entry,
    add_key,
    add_limit,
    add_usage,
    add_user,
    amount,
    usd,
)
from tests.sql_database import counted_statements, opened, sqlite_url
from tests.web.staff_app import StaffApp, build, log_in, publish_counters

DAY, MONTH = "2026-11-23", "2026-11"
HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)


def _address(user_id: int) -> str:
    return f"/admin/ai-analytics/users/{user_id}/"


def _text(page: str) -> str:
    """The words of a page, or of a piece of one, on one line."""
    piece = page.partition("<main")[2] or page
    return " ".join(re.sub(r"<[^>]+>", " ", piece).split())


def _show(app: StaffApp, user_id: int, query: str = "") -> str:
    answer = app.client.get(_address(user_id) + query)
    assert answer.status_code == 200
    return answer.text


def test_used_and_remaining_are_the_limit_and_holds_stand_apart(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    with opened(url), running_redis() as server:
        made = build(url, redis_url=server.url)
        user_id = add_user("ann")
        add_limit(Window.DAY, amount(10 * NANO_PER_USD), user_id=user_id)
        add_account(DAY, usd("3.75"), user_id=user_id)
        add_user("viewer", role="viewer")
        publish_counters(server.url, made.engine)
        log_in(made.client, "viewer")
        page = _show(made, user_id)
        made.engine.dispose()
    daily = _text(page[page.index('data-window="day"') :])
    assert "$3.75 of $10.00" in daily
    assert "37 % used" in daily
    assert "Remaining $6.25 In flight $0.00" in daily


def test_without_counters_the_amounts_are_marked_and_holds_unknown(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    add_account(DAY, usd("3.75"), user_id=user_id)
    text = _text(_show(viewer, user_id))
    assert "≈ $3.75 of $25.00" in text
    assert "In flight unknown" in text
    assert "Amounts are those of the database" in text


def test_no_limit_has_words_and_no_bar(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    for window in Window:
        add_limit(window, Limit(LimitKind.NONE), user_id=user_id)
    page = _show(viewer, user_id)
    assert "<progress" not in page.partition("<main")[2].partition('id="month"')[0]
    assert _text(page).count("No limit") == 2


def test_the_day_on_which_the_month_is_used_up_is_said(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    add_limit(Window.MONTH, amount(100), user_id=user_id)
    for days_ago in range(1, 8):
        add_usage(HOUR - timedelta(days=days_ago), user_id, cost_nano_usd=10)
    add_account(MONTH, 70, user_id=user_id)
    # Thirty are left at ten a day: three days from now.
    assert "At this pace used up 26 Nov 2026, 07:10:05 UTC" in _text(_show(viewer, user_id))


def test_no_day_is_said_with_too_few_days_or_enough_money(viewer: StaffApp) -> None:
    user_id, rich = add_user("ann"), add_user("rich")
    add_limit(Window.MONTH, amount(100), user_id=user_id)
    for days_ago in range(1, 8):
        add_usage(HOUR - timedelta(days=days_ago), rich, cost_nano_usd=10)
    for days_ago in (1, 2):
        add_usage(HOUR - timedelta(days=days_ago), user_id, cost_nano_usd=30)
    for asked in (user_id, rich):
        assert "At this pace" not in _text(_show(viewer, asked)).partition("Cost of this month")[0]


def test_the_burn_up_chart_has_cost_pace_and_limit(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    for days_ago in range(8):
        add_usage(HOUR - timedelta(days=days_ago), user_id, cost_nano_usd=NANO_PER_USD)
    page = _show(viewer, user_id)
    table = _text(page[page.index("as a table") :])
    assert "Day Cost At this pace Limit" in table
    assert "22 Nov $7.00 — $500.00" in table
    assert "23 Nov $8.00 $8.00 $500.00" in table
    assert "30 Nov — $15.00 $500.00" in table


def test_models_keys_and_calls_of_others_are_not_shown(viewer: StaffApp) -> None:
    user_id, other = add_user("ann"), add_user("bob")
    add_usage(HOUR, user_id, model="gpt-4.1", cost_nano_usd=5)
    add_usage(HOUR, other, model="claude-opus-4-5", cost_nano_usd=7)
    add_entry("mine", user_id=user_id)
    add_entry("theirs", user_id=other)
    add_key(other)
    page = _show(viewer, user_id)
    assert "gpt-4.1" in page
    assert 'data-request-id="mine"' in page
    assert "claude-opus-4-5" not in page
    assert "theirs" not in page
    assert "No keys yet" in page


def test_keys_are_shown_by_their_ends_with_their_costs(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    add_key(user_id)
    page = _show(viewer, user_id)
    assert "agw_k0000001…abcd" in page
    assert "never" in _text(page[page.index('id="keys"') :])


def test_changes_come_from_the_audit(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    db.session.add(
        AuditRow(
            at=NOW,
            actor_user_id=1,
            actor_name="olga",
            actor_role="operator",
            address="127.0.0.1",
            action="spend_reset",
            target_kind="user",
            target_id=str(user_id),
            target_name="ann",
            before={"daily_spend_nano_usd": 7},
            after={"daily_spend_nano_usd": 0},
            reason="wrong <model>",
            result="ok",
        )
    )
    db.session.commit()
    page = _show(viewer, user_id)
    assert "wrong &lt;model&gt;" in page
    assert "Spend reset olga daily spend nano usd: 7 → 0" in _text(page)


def test_a_user_who_is_gone_stays_readable_and_is_marked(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    add_usage(HOUR, user_id, cost_nano_usd=5)
    add_entry("mine", user_id=user_id)
    db.session.delete(db.session.get_one(User, user_id))
    db.session.commit()
    text = _text(_show(viewer, user_id))
    assert f"Deleted user {user_id}" in text
    assert "This user is gone" in text
    assert "Reset" not in text.partition("Cost of this month")[0]


def test_nobody_is_a_page_of_its_own(viewer: StaffApp) -> None:
    answer = viewer.client.get(_address(987654))
    assert answer.status_code == 404
    assert "No such user" in answer.text


def test_a_viewer_is_offered_no_change(viewer: StaffApp) -> None:
    page = _show(viewer, add_user("ann")).partition("<main")[2]
    assert "Reset…" not in page
    assert "Edit account" not in page


def test_the_page_keeps_to_its_number_of_statements(viewer: StaffApp) -> None:
    user_id = add_user("ann")
    add_key(user_id)
    for number in range(60):
        add_entry(f"r{number}", user_id=user_id)
    with counted_statements(viewer.engine) as sent:
        page = _show(viewer, user_id, "?range=30d")
    assert page.count("data-request-id") == 50
    assert len(sent) <= 12, sent


@pytest.mark.parametrize(
    "query", ["?range=custom&from=2026-11-31&to=x", "?range=custom", "?sort=x"]
)
def test_nonsense_in_the_address_is_the_default(viewer: StaffApp, query: str) -> None:
    assert "17–23 Nov 2026, UTC" in _show(viewer, add_user("ann"), query)


def test_a_custom_window_leads_to_the_one_before_and_after(viewer: StaffApp) -> None:
    page = _show(viewer, add_user("ann"), "?range=custom&from=2026-11-03&to=2026-11-05")
    assert "3–5 Nov 2026, UTC" in page
    assert "range=custom&amp;from=2026-10-31&amp;to=2026-11-02" in page
    assert "range=custom&amp;from=2026-11-06&amp;to=2026-11-08" in page

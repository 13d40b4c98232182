"""Limits on the staff pages: what is shown, what is said before a change, and what is kept."""

import re
from html import unescape

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from ai_gateway.domain.limits import NO_LIMIT, Limit, LimitKind, Window
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import AuditRow, SpendLimit, User, VirtualKey, db
from ai_gateway.stores.virtual_keys import KeyCopies
from tests.redis_servers import RedisServer
from tests.seeding import NOW, add_account, add_key, add_limit, add_user, amount, usd
from tests.sql_database import counted_statements
from tests.web.staff_app import StaffApp, log_in, publish_counters

BUDGETS = "/admin/budgets/"
EDIT = f"{BUDGETS}edit/"
DAY, MONTH = "2026-11-23", "2026-11"
ANN = 2
OF_ANN = f"user={ANN}"


@pytest.fixture
def operator(live: StaffApp, server: RedisServer) -> StaffApp:
    """Somebody who may limit; `ann` has spent 5 of today's and 40 of this month's USD."""
    add_user("operator", role="operator")
    assert add_user("ann") == ANN
    add_account(DAY, usd("5"), user_id=ANN)
    add_account(MONTH, usd("40"), user_id=ANN)
    add_account(MONTH, usd("60"))
    publish_counters(server.url, db.engine)
    log_in(live.client, "operator")
    return live


def form_of(staff_app: StaffApp, query: str = OF_ANN) -> dict[str, str]:
    """What the form would send as it is shown."""
    page = staff_app.client.get(f"{EDIT}?{query}").text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    texts = dict(re.findall(r'<input id="field-(\w+)"[^>]*value="([^"]*)"', page))
    none = dict.fromkeys(re.findall(r'name="(\w+_none)" checked', page), "on")
    return {name: unescape(value) for name, value in (hidden | texts | none).items()}


def send(staff_app: StaffApp, form: dict[str, str]) -> TestResponse:
    return staff_app.client.post(EDIT, data=form)


def chosen(user_id: int = ANN) -> dict[str, tuple[str, int]]:
    columns = (SpendLimit.window, SpendLimit.kind, SpendLimit.amount_nano_usd)
    rows = db.session.execute(select(*columns).where(SpendLimit.subject_id == user_id)).all()
    db.session.rollback()
    return {window: (kind, nano_usd) for window, kind, nano_usd in rows}


def audited() -> list[AuditRow]:
    rows = list(db.session.scalars(select(AuditRow).where(AuditRow.action == "limit_change")))
    db.session.rollback()
    return rows


def words(text: str) -> str:
    """A page without its tags, for sentences."""
    apart = re.sub(r"</(dt|dd|td|th|p|li|h\d)>", " ", text)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", apart)))


def test_the_form_tells_inherited_none_and_nothing_apart(operator: StaffApp) -> None:
    page = words(operator.client.get(f"{EDIT}?{OF_ANN}").text)
    assert "Blank inherits $25.00, from the environment (AI_USER_DAILY_SPEND_LIMIT_USD)" in page
    assert "$5.00 spent" in page
    add_limit(Window.DAY, NO_LIMIT, user_id=ANN)
    add_limit(Window.MONTH, amount(0), user_id=ANN)
    form = form_of(operator)
    assert (form["day"], form["day_none"], form["month"]) == ("", "on", "0.00")
    assert "In force: $0.00, blocks everything" in words(
        operator.client.get(f"{EDIT}?{OF_ANN}").text
    )


def test_what_is_sent_is_what_is_set(operator: StaffApp) -> None:
    sent: dict[str, tuple[dict[str, str], dict[str, tuple[str, int]]]] = {
        "amount": ({"day": "30"}, {"day": ("amount", 30 * 10**9)}),
        "warn": ({"day": "30", "day_exceed": "warn"}, {"day": ("warn", 30 * 10**9)}),
        "none": ({"day": "", "day_none": "on"}, {"day": ("none", 0)}),
        "inherit": ({"day": " ", "day_none": ""}, {}),
    }
    for fields, stored in sent.values():
        answer = send(operator, form_of(operator) | fields)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{BUDGETS}users/")
        assert chosen() == stored
    assert [row.after["limit_day"] for row in audited()] == [
        "30.00",
        "30.00 warn",
        "none",
        "inherit",
    ]


def test_a_mistake_is_told_beside_its_field_and_changes_nothing(operator: StaffApp) -> None:
    form = form_of(operator)
    for fields in ({"day": "five"}, {"day": "-1"}, {"day": "9000001"}, {"day_none": "on"}):
        answer = send(operator, form | {"day": "5"} | fields)
        assert answer.status_code == 400
        assert 'id="error-day"' in answer.text
    too_long = send(operator, form | {"day": "30", "reason": "x" * 501})
    assert 'id="error-reason"' in too_long.text
    assert chosen() == {}


def test_a_limit_below_what_is_spent_is_read_out_before_it_is_set(operator: StaffApp) -> None:
    form = form_of(operator) | {"day": "4"}
    first = send(operator, form)
    assert first.status_code == 200
    assert "This user is already over the new limit: $5.00 spent" in words(first.text)
    assert chosen() == {}
    (reviewed,) = re.findall(r'name="reviewed" value="([^"]*)"', first.text)
    other = send(operator, form | {"reviewed": reviewed, "day": "3"})
    assert (other.status_code, chosen()) == (200, {})
    assert send(operator, form | {"reviewed": reviewed}).status_code == 303
    assert chosen() == {"day": ("amount", 4 * 10**9)}


def test_a_stale_form_changes_nothing_and_shows_both(operator: StaffApp) -> None:
    stale = form_of(operator) | {"day": "30", "reason": "more <room>"}
    assert send(operator, form_of(operator) | {"day": "20"}).status_code == 303
    conflict = send(operator, stale)
    assert conflict.status_code == 409
    assert all(text in words(conflict.text) for text in ("Daily", "$20.00", "$30.00"))
    assert chosen() == {"day": ("amount", 20 * 10**9)}
    mine = {
        name: unescape(value)
        for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', conflict.text)
    }
    assert send(operator, mine).status_code == 303
    assert chosen() == {"day": ("amount", 30 * 10**9)}
    assert [(row.before, row.after, row.reason) for row in audited()] == [
        ({"limit_day": "inherit"}, {"limit_day": "20.00"}, ""),
        ({"limit_day": "20.00"}, {"limit_day": "30.00"}, "more <room>"),
    ]


def test_a_form_that_is_sent_twice_acts_once(operator: StaffApp) -> None:
    form = form_of(operator) | {"day": "30"}
    assert [send(operator, form).status_code for _ in range(2)] == [303, 303]
    assert len(audited()) == 1


def test_another_default_says_first_whom_it_concerns(
    operator: StaffApp, server: RedisServer
) -> None:
    form = form_of(operator, "of=users") | {"day": "4"}
    review = words(send(operator, form).text)
    assert (
        "It concerns 2 users without a limit of their own; 1 of them is already over it" in review
    )
    assert "(0 over the present one)" in review
    with connect(server.url) as client:
        copies = KeyCopies(client)
        assert copies.house_rules.load() is None
        form["reviewed"] = "day=4.00 month=inherit"
        assert send(operator, form).status_code == 303
        rules = copies.house_rules.load()
    assert rules is not None
    assert rules.limits[1] == Limit(LimitKind.AMOUNT, usd("4"))
    assert audited()[0].target_name == "default of users"


def test_the_page_says_which_budget_decides(operator: StaffApp) -> None:
    page = words(operator.client.get(f"{EDIT}?{OF_ANN}").text)
    assert "User, today: it has the least room now, $20.00." in page
    add_limit(Window.DAY, Limit(LimitKind.WARN, usd("1")), user_id=ANN)
    page = words(operator.client.get(f"{EDIT}?{OF_ANN}").text)
    assert "User, this month: it has the least room now, $460.00." in page
    assert "$5.00 of $1.00 (warn only)" in page


def test_limits_of_the_installation_and_of_a_key_have_a_form_each(operator: StaffApp) -> None:
    assert send(operator, form_of(operator, "of=installation") | {"month": "70"}).status_code == 303
    assert chosen(0) == {"month": ("amount", 70 * 10**9)}
    add_key(ANN)
    assert send(operator, form_of(operator, "key=k0000001") | {"day": "2"}).status_code == 303
    assert chosen(db.session.scalars(select(VirtualKey.id)).one()) == {"day": ("amount", 2 * 10**9)}
    assert audited()[-1].target_id == "k0000001"


def test_limits_of_nobody_lead_back(operator: StaffApp) -> None:
    for query in ("", "user=404", "user=x", "key=k0000404", "of=nobody"):
        for answer in (
            operator.client.get(f"{EDIT}?{query}"),
            send(operator, form_of(operator, "of=users") | {"of": ""}),
        ):
            assert (answer.status_code, answer.headers["Location"]) == (302, BUDGETS)


def test_the_tabs_show_what_holds_and_where_it_comes_from(operator: StaffApp) -> None:
    add_limit(Window.MONTH, amount(usd("80")))
    page = words(operator.client.get(BUDGETS).text)
    assert all(text in page for text in ("$80.00", "$60.00", "75 %", "Set by staff"))
    page = words(operator.client.get(f"{BUDGETS}defaults/").text)
    assert "the environment (AI_USER_DAILY_SPEND_LIMIT_USD)" in page
    assert "Users who inherit it 2" in page


def test_a_list_is_searched_paged_and_few_statements(operator: StaffApp) -> None:
    for number in range(55):
        user_id = number + 3
        db.session.add(
            User(id=user_id, username=f"user{number:02}", email=f"{number}@x.test", created_at=NOW)
        )
        db.session.add(
            VirtualKey(
                key_id=f"k{number:07}",
                digest="0" * 64,
                last4="wxyz",
                user_id=user_id,
                created_at=NOW,
            )
        )
    db.session.commit()
    for tab in ("users/", "keys/"):
        for query in ("?page=2", "?q=user07", "?own=1", "?page=x", "?page=999999999"):
            with counted_statements(operator.engine) as sent:
                assert operator.client.get(f"{BUDGETS}{tab}{query}").status_code == 200
            assert len(sent) <= 6, sent
        assert "user07" in operator.client.get(f"{BUDGETS}{tab}?q=user07").text
        assert "user54" in operator.client.get(f"{BUDGETS}{tab}?page=2").text
        assert "match" in operator.client.get(f"{BUDGETS}{tab}?q=nobody").text


def test_a_viewer_sees_limits_and_no_way_to_change_them(viewer: StaffApp) -> None:
    add_user("ann")
    for tab in ("", "defaults/", "users/", "keys/"):
        page = viewer.client.get(f"{BUDGETS}{tab}")
        assert page.status_code == 200
        assert EDIT not in page.text


def test_without_counters_the_amounts_are_those_of_the_database(staff_app: StaffApp) -> None:
    add_user("operator", role="operator")
    assert add_user("ann") == ANN
    add_account(DAY, usd("5"), user_id=ANN)
    log_in(staff_app.client, "operator")
    page = words(staff_app.client.get(f"{EDIT}?{OF_ANN}").text)
    assert "≈ $5.00 spent" in page
    answer = staff_app.client.post(
        EDIT, data=form_of(staff_app) | {"day": "30"}, follow_redirects=True
    )
    assert "not confirmed that they are in force" in answer.text
    assert chosen() == {"day": ("amount", 30 * 10**9)}

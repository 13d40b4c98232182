"""Giving users room again: what is asked before, and what is said and kept after."""

import re
from html import unescape

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.stores import redis_keys
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.tables import AccountTotal, AuditRow, LedgerEntry, db
from tests.money import UTC_ZONE, MoneyStore
from tests.redis_servers import RedisServer
from tests.seeding import NOW, add_account, add_usage, add_user, usd
from tests.sql_database import counted_statements
from tests.web.staff_app import StaffApp, log_in, publish_counters

USERS = "/admin/ai-analytics/users/"
RESET = f"{USERS}reset/"
DAY, MONTH = "2026-11-23", "2026-11"


@pytest.fixture
def operator(live: StaffApp, server: RedisServer) -> StaffApp:
    """Somebody who may reset; `ann` has spent 5 of today's and 40 of this month's USD."""
    add_user("operator", role="operator")
    _spender("ann", "5", "40")
    publish_counters(server.url, db.engine)
    log_in(live.client, "operator")
    return live


def _spender(name: str, today: str, month: str) -> int:
    user_id = add_user(name)
    add_usage(NOW, user_id, cost_nano_usd=usd(month))
    add_account(DAY, usd(today), user_id=user_id)
    add_account(MONTH, usd(month), user_id=user_id)
    return user_id


ANN = 2


def _spent(server: RedisServer, user_id: int) -> list[int]:
    accounts = [
        Account(Scope.USER, user_id, Window.DAY, DAY),
        Account(Scope.USER, user_id, Window.MONTH, MONTH),
    ]
    with connect(server.url) as client:
        return [counter.spent for counter in MoneyStore(client).meter.counters(accounts)]


def _form(staff_app: StaffApp, query: str = f"?selected={ANN}") -> dict[str, str]:
    """What the page would send, but for what a person puts in."""
    page = staff_app.client.get(f"{RESET}{query}").text
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


def _send(staff_app: StaffApp, form: dict[str, str], **fields: object) -> TestResponse:
    sent: dict[str, object] = {"windows": ["day", "month"], "reason": "quarter end"}
    return staff_app.client.post(RESET, data=form | sent | fields)


def _text(response: TestResponse) -> str:
    html = response.text.partition("<main")[2]
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", html).split()))


def _audited() -> list[AuditRow]:
    db.session.rollback()
    return list(db.session.scalars(select(AuditRow).where(AuditRow.action == "spend_reset")))


def test_the_dialog_names_the_user_the_amounts_and_the_effect(operator: StaffApp) -> None:
    text = _text(operator.client.get(f"{RESET}?selected={ANN}"))
    assert "Reset the spend of ann?" in text
    assert "ann $5.00 $40.00" in text
    assert "The enforcement counter returns to 0 now" in text
    assert "The ledger and the reports do not change : an adjustment is recorded" in text
    page = operator.client.get(f"{RESET}?selected={ANN}").text
    assert re.findall(r'name="windows" value="(\w+)" checked', page) == ["day", "month"]
    assert re.search(r'name="reason"[^>]* required', page)
    assert "data-dialog-body" in page


def test_the_dialog_says_what_running_calls_hold(operator: StaffApp, server: RedisServer) -> None:
    with connect(server.url) as client:
        account = Account(Scope.USER, ANN, Window.DAY, DAY)
        client.hset(redis_keys.account(account), "held", usd("0.25"))
    text = _text(operator.client.get(f"{RESET}?selected={ANN}"))
    assert "$5.00 $0.25 held by running calls" in text


def test_a_reset_brings_the_counters_to_nothing_and_says_so(
    operator: StaffApp, server: RedisServer
) -> None:
    target = f"{USERS}?filter=warning"
    response = _send(operator, _form(operator, f"?selected={ANN}&next={target}"))
    assert (response.status_code, response.headers["Location"]) == (303, target)
    assert _spent(server, ANN) == [0, 0]
    page = operator.client.get(USERS).text
    assert "ann reset: $5.00 of today and $40.00 of this month taken off." in page
    assert 'role="status"' in page
    (row,) = re.findall(rf'<tr data-user-id="{ANN}".*?</tr>', page, re.DOTALL)
    assert row.count('class="budget__text"><span class="number" title="$0.00"') == 2
    # What was done stays: it is cost, and no spend.
    assert row.count('data-nano-usd="40000000000"') == 2


def test_the_ledger_gets_adjustments_and_keeps_its_costs(
    operator: StaffApp, server: RedisServer
) -> None:
    _send(operator, _form(operator))
    db.session.rollback()
    ledger = Ledger(db.engine, UTC_ZONE)
    with connect(server.url) as client:
        batch = MoneyStore(client).outbox.read(ledger.position(), count=10)
    assert ledger.book(batch, after=ledger.position(), now=NOW) == 0
    entries = select(LedgerEntry.kind, LedgerEntry.cost_nano_usd)
    booked = sorted(tuple(row) for row in db.session.execute(entries))
    assert booked == [("adjustment", -usd("40")), ("adjustment", -usd("5"))]
    assert list(db.session.scalars(select(UsageHour.cost_nano_usd))) == [usd("40")]
    day = db.session.get_one(AccountTotal, ("user", ANN, DAY))
    assert (day.spent_nano_usd, day.cost_nano_usd, day.last_request_at) == (0, usd("40"), NOW)


def test_the_day_alone_leaves_the_month(operator: StaffApp, server: RedisServer) -> None:
    _send(operator, _form(operator), windows=["day"])
    assert _spent(server, ANN) == [0, usd("40")]


def test_a_form_that_is_sent_twice_acts_once(operator: StaffApp, server: RedisServer) -> None:
    form = _form(operator)
    for _ in range(2):
        assert _send(operator, form).status_code == 303
    with connect(server.url) as client:
        assert len(MoneyStore(client).entries()) == 2
    assert len(_audited()) == 1


def test_a_reset_leaves_a_line_with_who_whom_why_and_how_much(operator: StaffApp) -> None:
    _send(operator, _form(operator), reason="  quarter <end>  ")
    (row,) = _audited()
    assert (row.actor_name, row.actor_role, row.target_name) == ("operator", "operator", "ann")
    assert (row.reason, row.result) == ("quarter <end>", "ok")
    assert row.before == {"day_spend_usd": "5.00", "month_spend_usd": "40.00"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": "   "}, "Give a reason"),
        ({"reason": "x" * 501}, "Give a reason"),
        ({"windows": []}, "Choose the day, the month, or both."),
        ({"windows": ["year"]}, "Choose the day, the month, or both."),
        ({"selected": []}, "Choose 1 to 200 users."),
        ({"selected": ["0x2", "-1", "٣", "9" * 40]}, "Choose 1 to 200 users."),
        ({"selected": [str(number) for number in range(1, 202)]}, "Choose 1 to 200 users."),
    ],
)
def test_a_form_that_is_not_whole_comes_back_with_what_was_written(
    operator: StaffApp, server: RedisServer, fields: dict[str, object], words: str
) -> None:
    form = _form(operator)
    response = _send(operator, form, **fields)
    assert response.status_code == 400
    assert words in _text(response)
    # Sent again it is still the same form.
    assert f'name="idempotency_key" value="{form["idempotency_key"]}"' in response.text
    assert _spent(server, ANN) == [usd("5"), usd("40")]
    assert _audited() == []


def test_many_users_are_reset_in_one_dialog(operator: StaffApp, server: RedisServer) -> None:
    others = [_spender(f"user{number:02}", "1", "2") for number in range(11)]
    publish_counters(server.url, db.engine)
    query = "&".join(f"selected={user_id}" for user_id in (ANN, *others))
    text = _text(operator.client.get(f"{RESET}?{query}"))
    assert "Reset the spend of 12 users?" in text
    assert "user10 $1.00 $2.00" in text
    _send(operator, _form(operator, f"?{query}"), selected=[ANN, *others])
    assert {tuple(_spent(server, user_id)) for user_id in (ANN, *others)} == {(0, 0)}
    page = operator.client.get(USERS).text
    assert "12 users reset: $16.00 of today and $62.00 of this month taken off." in page
    assert "user08 and 2 more." in page
    assert len(_audited()) == 12


def test_a_page_of_many_users_needs_few_statements(operator: StaffApp) -> None:
    query = "&".join(f"selected={add_user(f'user{number}')}" for number in range(100))
    with counted_statements(operator.engine) as sent:
        operator.client.get(f"{RESET}?{query}")
    assert len(sent) <= 6, sent


def test_counters_that_are_not_restored_cannot_be_reset(
    operator: StaffApp, server: RedisServer
) -> None:
    form = _form(operator)
    with connect(server.url) as client:
        MoneyStore(client).published.forget_epoch()
    shown = operator.client.get(f"{RESET}?selected={ANN}")
    assert "Nothing can be reset now" in _text(shown)
    assert "≈ $5.00" in _text(shown)
    assert re.search(r'type="submit" disabled>Reset spend', shown.text)
    response = _send(operator, form)
    assert response.status_code == 503
    assert "nobody is reset twice" in _text(response)
    assert f'value="{form["idempotency_key"]}"' in response.text
    assert "quarter end" in response.text
    assert _audited() == []
    # Nothing was remembered: the same form acts when the counters are back.
    db.session.rollback()
    publish_counters(server.url, db.engine)
    assert _send(operator, form).status_code == 303
    assert _spent(server, ANN) == [0, 0]


def test_nobody_chosen_leads_back_to_the_list(operator: StaffApp) -> None:
    response = operator.client.get(RESET)
    assert (response.status_code, response.headers["Location"]) == (302, USERS)
    assert "Choose the users to reset first." in operator.client.get(USERS).text


def test_users_that_are_gone_are_said_to_be(operator: StaffApp) -> None:
    shown = operator.client.get(f"{RESET}?selected=999")
    assert "These users are not there any more." in _text(shown)
    _send(operator, _form(operator, "?selected=999"))
    assert "Nobody was reset" in operator.client.get(USERS).text


@pytest.mark.parametrize("target", ["//evil", "https://evil/", "/admin/", "javascript:1", "/v1/x"])
def test_it_leads_back_to_the_users_and_nowhere_else(operator: StaffApp, target: str) -> None:
    response = _send(operator, _form(operator), next=target)
    assert response.headers["Location"] == USERS


def test_a_name_is_text_in_the_dialog_and_in_the_message(operator: StaffApp) -> None:
    hostile = "<script>alert(1)</script>"
    user_id = add_user(hostile)
    shown = operator.client.get(f"{RESET}?selected={user_id}")
    _send(operator, _form(operator, f"?selected={user_id}"))
    for page in (shown.text, operator.client.get(USERS).text):
        assert "<script>alert" not in page


@pytest.mark.parametrize("role", ["viewer", "none"])
def test_others_may_not(operator: StaffApp, server: RedisServer, role: str) -> None:
    add_user(role, role=role)
    client = operator.app.test_client()
    log_in(client, role)
    page = client.get("/me/password/").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    form = {"csrf_token": token, "selected": str(ANN), "windows": "day", "reason": "x"}
    assert client.get(f"{RESET}?selected={ANN}").status_code == 403
    assert client.post(RESET, data=form).status_code == 403
    assert _spent(server, ANN) == [usd("5"), usd("40")]


def test_without_its_token_nothing_is_reset(operator: StaffApp, server: RedisServer) -> None:
    form = _form(operator)
    del form["csrf_token"]
    assert _send(operator, form).status_code == 400
    assert _spent(server, ANN) == [usd("5"), usd("40")]

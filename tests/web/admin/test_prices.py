"""The pages of prices: what they show, what they change, and who may."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.services.price_admin import PriceOrder
from ai_gateway.stores.price_tables import PriceEntryRow, PriceFetchRow
from ai_gateway.stores.tables import AuditRow, db
from tests.seeding import NOW, add_usage, add_user
from tests.web.staff_app import StaffApp, log_in

PRICES, CHANGE = "/admin/prices/", "/admin/prices/change/"
MINI = {"provider": "openai", "model": "gpt-4o-mini"}
AMOUNTS = {"input": "0", "output": "0"}


@pytest.fixture
def admin(staff_app: StaffApp) -> StaffApp:
    add_user("admin", role="admin")
    log_in(staff_app.client, "admin")
    return staff_app


def token(client: FlaskClient) -> str:
    page = client.get(CHANGE).text
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def send(app: StaffApp, address: str, **fields: str) -> tuple[int, str]:
    data = {"csrf_token": token(app.client), "idempotency_key": "form", **fields}
    answer = app.client.post(address, data=data, follow_redirects=True)
    return answer.status_code, answer.text


def enter(app: StaffApp, hours: int = 0) -> int:
    moment = NOW + timedelta(hours=hours) if hours else None
    order = PriceOrder("openai", "gpt-4o-mini", COMMAND_LINE, moment)
    with app.app.app_context():
        return app.services.prices.admin.enter(order, AMOUNTS).entry.entry_id


def count(table: type[PriceEntryRow | AuditRow]) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def row_of(page: str, model: str) -> str:
    """The part of a page that is one row of the table."""
    return page.partition(f'<tr data-model="{model}"')[2].partition("</tr>")[0]


def test_list_shows_price_source_and_aliases(viewer: StaffApp) -> None:
    page = viewer.client.get(f"{PRICES}?q=fast").text
    row = row_of(page, "openai/gpt-4o-mini")
    for shown in ("$0.15", "$0.075", "$0.60", "Price list", "genai-prices-", "fast", "Priced"):
        assert shown in row
    assert row_of(page, "openai/gpt-4o") == ""


def test_unpriced_models_stand_first_with_their_proposal(viewer: StaffApp) -> None:
    hour = NOW.replace(minute=0, second=0)
    add_usage(hour, add_user("zoe"), model="gpt-9-mini", unpriced=3, requests=3)
    page = viewer.client.get(PRICES).text
    assert page.index("gpt-9-mini") < page.index('data-model="') + 200
    row = row_of(page, "openai/gpt-9-mini")
    assert "3</span> requests" in row
    assert "an older version at openai: gpt-5.4-mini" in row
    assert ">$0.00<" not in row
    overview = viewer.client.get("/admin/ai-analytics/").text
    assert 'href="/admin/prices/?status=unpriced"' in overview
    assert "1 model without price" in overview


def test_price_of_nothing_is_shown_as_such(viewer: StaffApp) -> None:
    enter(viewer)
    row = row_of(viewer.client.get(PRICES + "?source=entered").text, "openai/gpt-4o-mini")
    assert row.count(">$0.00<") == 3
    assert "Entered here" in row


def test_viewer_is_offered_no_change(viewer: StaffApp) -> None:
    enter(viewer)
    for address in (PRICES, f"{PRICES}model/?provider=openai&model=gpt-4o-mini"):
        page = viewer.client.get(address).text
        assert "/prices/change/" not in page
    assert viewer.client.get(CHANGE).status_code == 403


def test_failed_refresh_is_told_on_the_page(viewer: StaffApp) -> None:
    assert "could not be refreshed" not in viewer.client.get(PRICES).text
    fault = PriceFetchRow(id=1, tried_at=NOW - timedelta(hours=2), fault="it is too large")
    db.session.add(fault)
    db.session.commit()
    page = viewer.client.get(PRICES).text
    assert "could not be refreshed 2 h ago: it is too large. The one of this release" in page


@pytest.mark.parametrize(
    "query",
    [
        "status=odd",
        "source=odd",
        "sort=odd",
        "page=0",
        "page=999999",
        "page=x",
        "size=7",
        "provider=no",
        "q=%00",
    ],
)
def test_address_that_makes_no_sense_is_answered(viewer: StaffApp, query: str) -> None:
    assert viewer.client.get(f"{PRICES}?{query}").status_code == 200


def test_price_is_set_once_and_told(admin: StaffApp) -> None:
    for _ in range(2):
        status, page = send(admin, CHANGE, **MINI, **AMOUNTS, reason="contract")
        assert status == 200
        # There is no Redis here.
        assert "openai/gpt-4o-mini has a new price: in force as soon as Redis answers" in page
    assert count(PriceEntryRow) == 1
    row = db.session.scalars(select(AuditRow).where(AuditRow.action == "price_change")).one()
    assert (row.actor_name, row.reason, row.after["input"]) == ("admin", "contract", "0.00")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"input": "0.15 USD"}, "such as 0.15"),
        ({"output": ""}, "an empty price is none"),
        ({"output": "1001"}, "mostly a slip"),
        ({"effective_from": "2020-01-01T00:00"}, "This moment is past"),
        ({"effective_from": "soon"}, "Write a day and a time"),
        ({"model": "m" * 129}, "at most 128 characters"),
        ({"provider": "nobody"}, "Choose a provider that is on"),
    ],
)
def test_wrong_form_comes_back_with_what_was_written(
    admin: StaffApp, fields: dict[str, str], words: str
) -> None:
    status, page = send(admin, CHANGE, **{**MINI, "input": "7.25", "output": "1", **fields})
    assert status == 400
    assert words in page
    assert ('value="7.25"' in page) is ("input" not in fields)
    assert count(PriceEntryRow) == 0


def test_overlap_is_refused(admin: StaffApp) -> None:
    order = {**MINI, **AMOUNTS, "effective_from": "2026-12-01T00:00"}
    assert send(admin, CHANGE, **order)[0] == 200
    status, page = send(admin, CHANGE, **order, idempotency_key="another")
    assert (status, count(PriceEntryRow)) == (400, 1)
    assert "has a price from this very moment on" in page


def test_proposal_is_asked_for_and_accepted(admin: StaffApp) -> None:
    model = {"provider": "openai", "model": "gpt-9-mini"}
    asked = admin.client.get(f"{CHANGE}accept/", query_string=model).text
    assert "Accept the proposed price of gpt-9-mini?" in asked
    assert "an older version at openai: gpt-5.4-mini" in asked
    status, page = send(admin, f"{CHANGE}accept/", **model)
    assert (status, count(PriceEntryRow)) == (200, 1)
    assert "gpt-9-mini has the proposed price" in page
    status, page = send(admin, f"{CHANGE}accept/", **MINI | {"model": "unheard-of"})
    assert status == 400
    assert "There is no proposal" in page


def test_withdrawal_is_asked_for_and_kept_in_the_history(admin: StaffApp) -> None:
    entry = {**MINI, "entry_id": str(enter(admin))}
    asked = admin.client.get(f"{CHANGE}withdraw/", query_string=entry).text
    assert "From now on the configuration file or the price list holds again" in asked
    admin.clock.now += timedelta(minutes=1)
    assert send(admin, f"{CHANGE}withdraw/", **entry)[0] == 200
    page = admin.client.get(f"{PRICES}model/", query_string=MINI).text
    assert "withdraws entry 1" in page
    assert "entered by hand" in page
    assert send(admin, f"{CHANGE}withdraw/", **entry, idempotency_key="b")[0] == 400


def test_page_leads_back_to_the_list_as_it_was_and_nowhere_else(admin: StaffApp) -> None:
    for target, expected in (
        (f"{PRICES}?q=mini", f"{PRICES}?q=mini"),
        ("//evil.test/", PRICES),
        ("/me/", PRICES),
    ):
        data = {**MINI, **AMOUNTS, "next": target, "csrf_token": token(admin.client)}
        answer = admin.client.post(CHANGE, data=data)
        admin.clock.now += timedelta(seconds=1)
        assert (answer.status_code, answer.headers["Location"]) == (303, expected)


def test_model_of_nobody_is_not_found(viewer: StaffApp) -> None:
    for query in ("", "?provider=openai", "?provider=nobody&model=m"):
        assert viewer.client.get(f"{PRICES}model/{query}").status_code == 404


def test_providers_are_shown_without_a_secret(viewer: StaffApp) -> None:
    page = viewer.client.get(f"{PRICES}providers/").text
    assert "http://127.0.0.1:1/vendors/groq/v1" in page
    assert "present" in page
    assert ">simulator<" not in page
    assert "600 s for an answer" in page


def test_calculator_shows_the_arithmetic(viewer: StaffApp) -> None:
    query = "model=fast&input_tokens=1,003&cached_input_tokens=1000&output_tokens=77"
    page = viewer.client.get(f"{PRICES}calculator/?{query}").text
    for shown in ("$0.00012165", "$0.000075", "$0.0000462", "$0.000121650", "16,384 tokens"):
        assert shown in page
    for wrong in (
        "input_tokens=x",
        "cached_input_tokens=1",
        "input_tokens=-1",
        f"output_tokens={10**10}",
    ):
        page = viewer.client.get(f"{PRICES}calculator/?model=fast&{wrong}").text
        assert 'aria-invalid="true"' in page
    assert "No provider that is on" in viewer.client.get(f"{PRICES}calculator/?model=none").text

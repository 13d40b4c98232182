"""The home page: the checklist in each of its states, and a test call from form to ledger."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from ai_gateway.domain.audit import Action
from ai_gateway.stores import redis_keys
from ai_gateway.stores.tables import AuditRow, LedgerEntry, User, VirtualKey, db
from simulator.testing import RunningSimulator
from tests.gateway_app import GatewayApp, opened_app
from tests.redis_servers import RedisServer, running_redis
from tests.web.staff_app import csrf_token, log_in

HOME, TEST_CALL = "/admin/", "/admin/test-call/"
MODEL = "openai/gpt-4o-mini"


@pytest.fixture
def gateway(server: RedisServer, simulator: RunningSimulator) -> Iterator[GatewayApp]:
    with opened_app(server, simulator) as opened:
        yield opened


def staff(gateway: GatewayApp, role: str = "operator") -> str:
    """Make one and log in; returns the name."""
    name = gateway.make_staff("--role", role)
    log_in(gateway.client, name)
    return name


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())


def tell_figures(gateway: GatewayApp) -> None:
    """A sign of life of the bookkeeper."""
    with gateway.app.app_context():
        gateway.bookkeeper().write_figures()


def lines_of(gateway: GatewayApp) -> dict[str, str]:
    """The state of each line of the checklist, as the home page has it."""
    page = gateway.client.get(HOME).text.partition('class="checklist"')[2]
    found = re.findall(r"<strong>([^<]+)</strong> <span class=\"muted\">(\w+)</span></p>", page)
    return dict(found)


def printed(told: Result) -> dict[str, str]:
    """The state of each line, as the doctor prints it."""
    heads = [line.split(maxsplit=1) for line in told.stdout.splitlines() if line[0] != " "]
    return {name: state for state, name in heads}


def send(gateway: GatewayApp, **fields: str) -> TestResponse:
    form = {"idempotency_key": "once", "model": MODEL, **fields}
    token = re.search(r'name="csrf_token" value="([^"]+)"', gateway.client.get(TEST_CALL).text)
    assert token is not None
    return gateway.client.post(TEST_CALL, data=form | {"csrf_token": token[1]})


def entries(gateway: GatewayApp) -> list[LedgerEntry]:
    with gateway.app.app_context():
        while gateway.bookkeeper().book(block_ms=None):
            pass
        with Session(db.engine) as session:
            return list(session.scalars(select(LedgerEntry)))


def test_a_test_call_is_one_row_of_the_ledger_and_closes_the_checklist(
    gateway: GatewayApp,
) -> None:
    name = staff(gateway)
    before = lines_of(gateway)
    page = gateway.client.get(TEST_CALL).text
    highest = re.search(rf'<option value="{MODEL}" data-nano-usd="(\d+)">', page)
    assert highest is not None
    answer = send(gateway)
    assert answer.status_code == 303
    (entry,) = entries(gateway)
    assert answer.headers["location"] == f"/admin/?sent={entry.request_id}"
    assert (entry.outcome, entry.model, entry.held_nano_usd) == (
        "success",
        "gpt-4o-mini",
        int(highest[1]),
    )
    with gateway.app.app_context(), Session(db.engine) as session:
        user = session.scalars(select(User).where(User.username == name)).one()
        key = session.scalars(select(VirtualKey).where(VirtualKey.user_id == user.id)).one()
    assert (entry.user_id, entry.key_id) == (user.id, key.key_id)
    assert (key.label, key.status) == ("test call", "revoked")
    shown = gateway.client.get(answer.headers["location"]).text
    told = f"{entry.input_tokens} tokens in, {entry.output_tokens} out, $0."
    assert re.search(
        rf"Success: {MODEL} answered in [\d.]+ m?s\. {re.escape(told)}", text_of(shown)
    )
    assert entry.request_id in shown
    assert f'href="/admin/ai-analytics/users/{user.id}/"' in shown
    after = lines_of(gateway)
    assert [(line, before[line]) for line in list(before)[-2:]] == [
        ("First call made", "open"),
        ("Dashboard shows it", "open"),
    ]
    assert {line: state for line, state in after.items() if state != before[line]} == {
        "First call made": "done",
        "Dashboard shows it": "done",
    }


def test_a_settled_call_that_is_not_booked_yet_is_made_but_not_shown(gateway: GatewayApp) -> None:
    staff(gateway)
    assert send(gateway).status_code == 303
    states = lines_of(gateway)
    assert (states["First call made"], states["Dashboard shows it"]) == ("done", "open")


def test_the_doctor_prints_the_lines_of_the_home_page(gateway: GatewayApp) -> None:
    staff(gateway)
    tell_figures(gateway)
    told = gateway.flask("doctor")
    assert told.exit_code == 0
    assert printed(told) == lines_of(gateway)
    assert printed(told) == {
        "Database reachable": "done",
        "Database migrated": "done",
        "Redis reachable": "done",
        "Redis keeps every counter": "done",
        "Bookkeeper alive": "done",
        "Counters trusted": "done",
        "Calls not paused": "done",
        "Provider configured": "done",
        "LangSmith key set": "optional",
        "Tracing on": "optional",
        "Staff account made": "done",
        "Virtual key made": "done",
        "First call made": "open",
        "Dashboard shows it": "open",
    }
    page = text_of(gateway.client.get(HOME).text)
    further = [line.strip() for line in told.stdout.splitlines() if line.startswith(" ")]
    assert any(words.startswith("The simulator stands in") for words in further)
    for words in further:
        assert words in page


def test_a_form_that_is_sent_twice_calls_once_and_leads_to_the_same_page(
    gateway: GatewayApp,
) -> None:
    staff(gateway)
    first, again = send(gateway), send(gateway)
    assert (first.status_code, again.status_code) == (303, 303)
    assert first.headers["location"] == again.headers["location"]
    assert "This test call was sent, once" in gateway.client.get(HOME).text
    assert send(gateway, idempotency_key="another").status_code == 303
    assert len(entries(gateway)) == 2


def test_who_sent_what_is_in_the_audit(gateway: GatewayApp) -> None:
    name = staff(gateway)
    send(gateway, model="anthropic/claude-haiku-4-5")
    with gateway.app.app_context(), Session(db.engine) as session:
        row = session.scalars(select(AuditRow).where(AuditRow.action == Action.TEST_CALL)).one()
    assert (row.actor_name, row.target_name) == (name, name)
    assert row.after["model"] == "anthropic/claude-haiku-4-5"
    assert str(row.after["request_id"]).startswith("req_")


def test_the_refusal_of_a_budget_is_told_in_words(gateway: GatewayApp) -> None:
    name = staff(gateway)
    assert gateway.flask("user", "limit", name, "--daily", "0").exit_code == 0
    answer = send(gateway)
    assert answer.status_code == 429
    assert "the user&#39;s daily budget has no room for this call. Limit $0.00" in answer.text
    assert entries(gateway) == []


def test_a_provider_that_fails_is_told_and_booked(
    gateway: GatewayApp, simulator: RunningSimulator
) -> None:
    staff(gateway)
    simulator.fault("[[status=500]]", {"model": "gpt-4o-mini"})
    try:
        answer = send(gateway)
    finally:
        simulator.clear()
    assert answer.status_code == 502
    assert "The provider did not give a usable answer." in answer.text
    assert [entry.outcome for entry in entries(gateway)] == ["upstream_error"]


def test_a_model_that_is_not_offered_is_told_and_not_called(gateway: GatewayApp) -> None:
    staff(gateway)
    answer = send(gateway, model="openai/none-of-that-name")
    assert answer.status_code == 404
    assert "not offered for a test call any more" in answer.text
    assert entries(gateway) == []


def test_a_form_without_its_key_is_refused(gateway: GatewayApp) -> None:
    staff(gateway)
    answer = send(gateway, idempotency_key="")
    assert answer.status_code == 403
    assert "once for each form" in answer.text
    assert entries(gateway) == []


def test_a_deployment_of_azure_is_called_by_its_name(
    server: RedisServer, simulator: RunningSimulator, tmp_path: Path
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('[azure.deployments]\neu-mini = "gpt-4o-mini"\n')
    with opened_app(server, simulator, {"AI_GATEWAY_CONFIG": str(config)}) as gateway:
        staff(gateway)
        assert send(gateway, model="azure/eu-mini").status_code == 303
        (entry,) = entries(gateway)
    assert (entry.provider, entry.model, entry.outcome) == ("azure", "gpt-4o-mini", "success")


def test_without_redis_the_page_says_why_nothing_can_be_sent(simulator: RunningSimulator) -> None:
    with running_redis() as own, opened_app(own, simulator) as gateway:
        name = gateway.make_staff("--role", "operator")
        own.stop()
        log_in(gateway.client, name)
        page = gateway.client.get(TEST_CALL)
        assert (page.status_code, "Redis does not answer" in page.text) == (200, True)
        assert re.search(
            r'<button class="button button--primary" type="submit" disabled>', page.text
        )
        assert send(gateway).status_code == 503
        home = gateway.client.get(HOME)
        assert lines_of(gateway)["Redis reachable"] == "missing"
        assert "<code>REDIS_URL</code>" in home.text
        doctor = gateway.flask("doctor")
        assert doctor.exit_code == 1
        assert printed(doctor) == lines_of(gateway)
        assert "missing   Redis reachable\n          Redis does not answer" in doctor.stdout
        own.start()


def test_a_redis_that_may_throw_counters_away_is_not_trusted(gateway: GatewayApp) -> None:
    gateway.store.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        told = gateway.flask("doctor")
    finally:
        gateway.store.client.config_set("maxmemory-policy", "noeviction")
    assert told.exit_code == 1
    assert printed(told)["Redis keeps every counter"] == "missing"
    assert "CONFIG SET maxmemory-policy noeviction" in told.stdout


def test_counters_that_are_not_published_are_not_trusted(gateway: GatewayApp) -> None:
    tell_figures(gateway)
    gateway.store.client.hdel(redis_keys.META, "epoch")
    told = gateway.flask("doctor")
    assert told.exit_code == 1
    assert printed(told)["Counters trusted"] == "missing"


def test_a_bookkeeper_that_never_told_anything_is_not_alive(gateway: GatewayApp) -> None:
    told = gateway.flask("doctor")
    assert told.exit_code == 1
    assert "missing   Bookkeeper alive\n          It runs with the gateway" in told.stdout


def test_a_database_without_tables_has_to_be_migrated_first(server: RedisServer) -> None:
    with opened_app(server, is_set_up=False) as gateway:
        told = gateway.flask("doctor")
    assert told.exit_code == 1
    assert printed(told)["Database reachable"] == "done"
    assert "missing   Database migrated\n" in told.stdout
    assert "flask setup" in told.stdout
    assert printed(told)["Staff account made"] == "unknown"


def test_a_database_that_is_away_is_told_in_words(server: RedisServer, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/no/such/folder/gateway.db"
    with opened_app(server, variables={"DATABASE_URL": url}, is_set_up=False) as gateway:
        told = gateway.flask("doctor")
    assert told.exit_code == 1
    assert told.stdout.startswith(
        "missing   Database reachable\n"
        "          The database does not answer; look at DATABASE_URL\n"
    )
    assert told.stderr == ""


def test_without_a_provider_nothing_can_be_sent(server: RedisServer) -> None:
    variables = {"AI_GATEWAY_SIMULATOR": "off"}
    with opened_app(server, variables=variables) as gateway:
        staff(gateway)
        assert (
            "No provider offers a model whose price is known" in gateway.client.get(TEST_CALL).text
        )
        assert lines_of(gateway)["Provider configured"] == "missing"
        assert gateway.flask("doctor").exit_code == 1


def test_a_viewer_is_offered_no_test_call(gateway: GatewayApp) -> None:
    staff(gateway, "viewer")
    home = gateway.client.get(HOME).text
    assert lines_of(gateway)["First call made"] == "open"
    assert TEST_CALL not in home
    assert "Send a test call" not in home
    assert "Send one with a key:" in home
    assert gateway.client.get(TEST_CALL).status_code == 403
    form = {"csrf_token": csrf_token(gateway.client), "idempotency_key": "x"}
    assert gateway.client.post(TEST_CALL, data=form).status_code in {400, 403}
    assert entries(gateway) == []


def test_what_is_no_request_id_is_not_shown_as_one(gateway: GatewayApp) -> None:
    staff(gateway)
    page = gateway.client.get(HOME, query_string={"sent": "<b>req_1</b>"}).text
    assert 'id="sent"' not in page

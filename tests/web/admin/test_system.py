"""The system page."""

import re
from datetime import datetime, timedelta
from pathlib import Path

from ai_gateway.domain.call import Outcome
from ai_gateway.domain.tasks import TASKS, FinishedRun, RunOutcome, TaskName
from ai_gateway.errors import CallerError
from ai_gateway.services.health import LiveState
from ai_gateway.services.outcomes import outcome_of
from ai_gateway.stores.refusal_tables import RefusalHour
from ai_gateway.stores.tables import db
from ai_gateway.stores.tasks import Claim, TaskTable
from ai_gateway.web.admin.wording import OUTCOME_WORDS, REFUSAL_WORDS
from tests.redis_servers import running_redis
from tests.seeding import NOW, add_user, seed_story
from tests.sql_database import counted_statements, opened, sqlite_url
from tests.web.staff_app import StaffApp, build, log_in

SYSTEM = "/admin/ai-analytics/system/"
HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)


def _text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())


def _state(page: str, part: str) -> str:
    found = re.search(rf'aria-label="{part}" data-state="(\w+)"', page)
    assert found, part
    return found.group(1)


def test_redis_that_is_away_is_down_since_then_and_the_rest_is_shown(viewer: StaffApp) -> None:
    seed_story()
    viewer.services.health.state = LiveState(redis_down_since=NOW)
    page = viewer.client.get(SYSTEM).text
    assert _state(page, "Redis") == "down"
    assert "new ones are refused (503)" in page
    assert _state(page, "Database") == "ok"
    assert "since 23 Nov 2026, 07:10:05 UTC" in _text(page)
    assert "Requests 154k" in _text(page).replace("? Admitted requests in this window. ", "")


def test_parts_tell_their_state(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    with opened(url), running_redis() as server:
        made = build(url, redis_url=server.url)
        add_user("viewer", role="viewer")
        log_in(made.client, "viewer")
        page = made.client.get(SYSTEM).text
        made.engine.dispose()
    assert "Valkey" in _text(page)
    assert "noeviction" in _text(page)
    # Nobody has restored its counters.
    assert _state(page, "Redis") == "degraded"
    assert _state(page, "LangSmith") == "off"
    assert _state(page, "Open holds") == "ok"


def test_every_chart_has_a_table_and_nothing_is_drawn_of_nothing(viewer: StaffApp) -> None:
    empty = viewer.client.get(SYSTEM).text
    assert "<canvas" not in empty
    assert empty.count("No data in this window.") == 8
    seed_story()
    full = viewer.client.get(SYSTEM).text
    assert full.count("<canvas") == full.count("Show as table") == 8


def test_refusals_are_said_in_words(viewer: StaffApp) -> None:
    db.session.add(
        RefusalHour(hour=HOUR - timedelta(hours=1), outcome="x", reason="user_day", count=12)
    )
    db.session.commit()
    assert "Daily budget of the user 12" in _text(viewer.client.get(SYSTEM).text)


def test_diagnostics_name_no_user_and_no_address(viewer: StaffApp) -> None:
    seed_story()
    page = viewer.client.get(SYSTEM).text
    text = page[page.index("diagnostics-text") :]
    assert "AI Gateway diagnostics" in text
    assert "Redis: down" in text
    assert "amelia" not in text
    assert "redis://" not in text
    assert "sqlite:" not in text


def test_the_page_keeps_to_its_number_of_statements(viewer: StaffApp) -> None:
    seed_story()
    for query in ("", "?range=24h", "?range=30d"):
        with counted_statements(viewer.engine) as sent:
            assert viewer.client.get(SYSTEM + query).status_code == 200
        assert len(sent) <= 12, sent


def test_closed_days_tell_when_they_were_read(viewer: StaffApp) -> None:
    seed_story()
    assert "closed days as of" not in _text(viewer.client.get(SYSTEM).text)
    viewer.clock.now += timedelta(seconds=95)
    said = _text(viewer.client.get(SYSTEM).text)
    assert "updated 07:11:40 UTC , closed days as of 07:10:05 UTC" in said


def _task(page: str, name: str) -> str:
    found = re.search(rf'<tr data-task="{name}">(.*?)</tr>', page, re.DOTALL)
    assert found, name
    return " ".join(re.sub(r"<[^>]+>", " ", found.group(1)).split())


def test_every_task_has_a_row_also_before_the_first_bookkeeper(viewer: StaffApp) -> None:
    page = viewer.client.get(SYSTEM).text
    for task in TASKS:
        row = _task(page, task.name)
        assert row.startswith(f"{task.words} {task.name} · {task.schedule}")
        assert row.endswith("Not yet run — — when a bookkeeper starts")


def test_a_task_tells_its_last_run_and_the_next(viewer: StaffApp) -> None:
    ran_at = NOW - timedelta(minutes=12)
    table = TaskTable(viewer.engine)
    soon = NOW + timedelta(minutes=31)
    due: dict[str, datetime] = dict.fromkeys(("staff_sessions", "key_orders", "refusals"), NOW)
    table.schedule(due | {"counters": NOW - timedelta(hours=2)})
    for name, outcome in (("staff_sessions", RunOutcome.OK), ("key_orders", RunOutcome.FAILED)):
        table.claim(name, Claim("one", ran_at, NOW), due_by=NOW)
        run = FinishedRun(outcome, timedelta(milliseconds=1234), "as was said", soon)
        table.finish(name, "one", run)
    table.claim(TaskName.REFUSALS, Claim("one", ran_at, NOW), due_by=NOW)
    page = viewer.client.get(SYSTEM).text
    last = "12 min ago 06:58:05 UTC 1.2 s in 31 min 23 Nov 2026, 07:41:05 UTC"
    assert _task(page, "staff_sessions").endswith(f"Done as was said {last}")
    assert _task(page, "key_orders").endswith(f"Failed as was said {last}")
    assert _task(page, "refusals").endswith("Running — — under way, begun 12 min ago")
    assert "Late — — now 23 Nov 2026, 05:10:05 UTC" in _task(page, "counters")


def test_every_outcome_of_an_admitted_call_has_words() -> None:
    refusals = {Outcome.CLIENT_ERROR, Outcome.AUTH_ERROR, Outcome.BUDGET_BLOCKED}
    assert set(OUTCOME_WORDS) == set(Outcome) - refusals


def test_every_reason_of_a_refusal_has_words() -> None:
    by_class = {
        kind.__name__
        for kind in _leaves(CallerError)
        if kind.__name__ not in {"InvalidKey", "ModelNotAllowed", "BudgetExhausted"}
    }
    budgets = {"installation_month", "user_day", "user_month", "key_day", "key_month"}
    keys = {"missing", "invalid", "revoked", "expired", "forbidden", "paused"}
    # Only the staff pages and their API raise these; nobody is refused a call by them.
    elsewhere = {
        "NotPermitted",
        "UserNotFound",
        "KeyNotFound",
        "RequestNotFound",
        "ChangedMeanwhile",
    }
    assert outcome_of(CallerError())[0] is Outcome.CLIENT_ERROR
    assert budgets | keys | by_class - elsewhere <= set(REFUSAL_WORDS)


def _leaves(kind: type[CallerError]) -> set[type[CallerError]]:
    below = kind.__subclasses__()
    return {leaf for one in below for leaf in _leaves(one)} if below else {kind}

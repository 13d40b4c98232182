"""The overview: where its parts lead, and whose day it is of."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.services.tracing_health import TRACING_OFF, TracingHealth
from tests.seeding import NOW, add_entry, add_usage, add_user, usd
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import StaffApp, build, log_in

OVERVIEW = "/admin/ai-analytics/"
HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)
KOLKATA = ZoneInfo("Asia/Kolkata")
CONNECTED = TracingHealth(
    enabled=True,
    project="tests",
    endpoint="https://traces.test",
    connected=True,
    error=None,
    since=NOW - timedelta(hours=2),
    project_link="https://traces.test/o/1/projects/p/2",
)


def _page(viewer: StaffApp) -> str:
    return viewer.client.get(OVERVIEW).text


def _part(page: str, element_id: str) -> str:
    """The HTML of one part of the page, as far as the next part."""
    return page[page.index(f'id="{element_id}"') :].partition("</section>")[0]


def _text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_cost_leads_to_the_providers_dearest_first(viewer: StaffApp) -> None:
    for provider, cost in (("anthropic", 5), ("openai", 9), ("groq", 7)):
        add_usage(HOUR, 1, provider, cost_nano_usd=cost)
    page = _page(viewer)
    assert '<a href="#providers">By provider</a>' in _part(page, "tiles")
    providers = _part(page, "providers")
    assert re.findall(r'data-provider="(\w+)"', providers) == ["openai", "groq", "anthropic"]
    assert re.findall(r'aria-sort="descending">\s*<a[^>]*>(\w+)', providers) == ["Cost"]


def test_who_spent_most_today_is_named_with_address_and_page(viewer: StaffApp) -> None:
    ids = [add_user(f"user{number:02}") for number in range(12)]
    for number, user_id in enumerate(ids):
        add_usage(HOUR, user_id, cost_nano_usd=usd(str(number + 1)))
    spenders = _part(_page(viewer), "spenders")
    assert "since 00:00 UTC" in _text(spenders)
    dearest = list(reversed(ids))[:10]
    assert [int(one) for one in re.findall(r'<tr data-user-id="(\d+)"', spenders)] == dearest
    for user_id in dearest:
        assert f'href="{OVERVIEW}users/{user_id}/"' in spenders
    assert "user11@example.com" in spenders


def test_who_may_edit_accounts_finds_the_way_beside_the_name(
    viewer: StaffApp,
) -> None:
    user_id = add_user("user01")
    add_usage(HOUR, user_id, cost_nano_usd=usd("1"))
    way = f'href="/admin/user/edit/?id={user_id}"'
    assert way not in _part(_page(viewer), "spenders")
    add_user("boss", role="admin")
    viewer.client.delete_cookie("ai_gateway")
    log_in(viewer.client, "boss")
    assert way in _part(_page(viewer), "spenders")


def test_a_rounded_amount_has_its_digits_at_hand(viewer: StaffApp) -> None:
    add_usage(HOUR, 1, cost_nano_usd=usd("1284370.000000001"))
    assert re.search(
        r'title="\$1,284,370\.000000001"[^>]*>\$1\.28M<', _part(_page(viewer), "tiles")
    )


def test_today_is_that_of_the_reporting_zone_which_is_named(tmp_path: Path) -> None:
    # In India it is today from 18:30 UTC of yesterday on.
    calls = ((HOUR.replace(day=22, hour=17), 4), (HOUR.replace(day=22, hour=19), 2), (HOUR, 1))
    shown = {}
    for zone in (ZoneInfo("UTC"), KOLKATA):
        folder = tmp_path / zone.key.replace("/", "-")
        folder.mkdir()
        url = sqlite_url(folder)
        with opened(url):
            made = build(url, zone)
            user_id = add_user("viewer", role="viewer")
            for hour, cost in calls:
                add_usage(hour, user_id, zone=zone, cost_nano_usd=usd(str(cost)))
            log_in(made.client, "viewer")
            today = f"{OVERVIEW}?range=custom&from=2026-11-23&to=2026-11-23"
            page = made.client.get(today).text
            made.engine.dispose()
        assert f"since 00:00 {zone.key}" in _text(page)
        assert re.search(rf"23 Nov 2026, \S*{zone.key}|23 Nov 2026, IST", _text(page))
        tile = page[page.index('data-tile="cost"') :]
        found = re.search(r'data-nano-usd="(\d+)"', tile)
        assert found
        shown[zone.key] = int(found[1])
    assert shown == {"UTC": usd("1"), "Asia/Kolkata": usd("3")}


@pytest.mark.parametrize(
    ("health", "word", "has_links"),
    [
        (TRACING_OFF, "Off", False),
        (CONNECTED, "Connected", True),
        (replace(CONNECTED, error="APITimeoutError"), "Degraded", True),
        (replace(CONNECTED, connected=False, error="AuthError (401)"), "Disconnected", False),
    ],
    ids=["off", "connected", "degraded", "disconnected"],
)
def test_the_state_of_langsmith_has_a_word_its_time_and_a_way_only_where_there_is_one(
    viewer: StaffApp, health: TracingHealth, word: str, *, has_links: bool
) -> None:
    viewer.services.tracing_health = lambda: health
    page = _page(viewer)
    card = _text(_part(page, "langsmith"))
    assert re.search(rf"LangSmith .*\b{word}\b", card)
    assert ("since 23 Nov 2026, 05:10:05 UTC" in card) is health.enabled
    assert (health.error or "") in card
    assert ("Open the project in LangSmith" in card) is has_links
    errors = 'href="/admin/ai-analytics/langsmith/errors/"'
    assert (errors in _part(page, "tiles")) is has_links
    left = viewer.client.get(f"{OVERVIEW}langsmith/errors/").location
    target = CONNECTED.project_link if has_links else f"{OVERVIEW}#langsmith"
    assert left.startswith(str(target))
    assert ("error" in left.partition("?")[2]) is has_links


def test_a_run_is_opened_beside_the_page_that_led_to_it(viewer: StaffApp) -> None:
    add_entry("r1")
    way = re.compile(rf'<a [^>]*href="{OVERVIEW}langsmith/calls/r1/[^>]*>')
    request_page = f"{OVERVIEW}requests/r1/"
    assert not way.search(viewer.client.get(request_page).text)
    viewer.services.tracing_health = lambda: CONNECTED
    (link,) = way.findall(viewer.client.get(request_page).text)
    assert 'target="_blank"' in link
    assert 'rel="noopener noreferrer"' in link

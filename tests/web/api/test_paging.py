"""Lists in pages: whole, without repeats, and steady while others come and go."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ai_gateway.domain.spend_list import SpendSort
from tests.postgresql import running_postgresql
from tests.redis_servers import RedisServer, running_redis
from tests.seeding import NOW, PEOPLE, add_entry, add_usage, add_user
from tests.web.api_app import Api, opened_api


@pytest.fixture(scope="module")
def api(server: RedisServer) -> Iterator[Api]:
    """One of its own, since users and calls are added."""
    with opened_api(server) as opened:
        yield opened


@pytest.fixture(scope="module")
def viewer(api: Api) -> str:
    return api.key("viewer")


def pages(
    api: Api, address: str, key: str, rows: str, **query: object
) -> Iterator[list[dict[str, Any]]]:
    cursor: str | None = ""
    while cursor is not None:
        more = {"cursor": cursor} if cursor else {}
        body = api.told(address, key, **query, **more)
        yield body[rows]
        cursor = body["next_cursor"]


def walked(api: Api, address: str, key: str, rows: str, **query: object) -> list[dict[str, Any]]:
    return [row for page in pages(api, address, key, rows, **query) for row in page]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", SpendSort)
def test_pages_of_users_are_the_list_cut_up(
    api: Api, viewer: str, sort: SpendSort, order: str
) -> None:
    whole = api.told("/users/", viewer, sort=sort, order=order, limit=200)
    assert whole["next_cursor"] is None
    assert len(whole["users"]) >= len(PEOPLE)
    assert (
        walked(api, "/users/", viewer, "users", sort=sort, order=order, limit=9) == (whole["users"])
    )


@pytest.mark.postgresql
def test_pages_on_postgresql_are_the_list_cut_up() -> None:
    with (
        running_postgresql() as url,
        running_redis() as server,
        opened_api(server, {"DATABASE_URL": url}, has_story=False) as api,
    ):
        viewer = api.key("viewer")
        with api.gateway.app.app_context():
            for number in range(6):
                user_id = add_user(f"user-{number}")
                for days in range(number):
                    hour = NOW.replace(minute=0, second=0) - timedelta(days=days)
                    add_usage(hour, user_id, cost_nano_usd=10**number // 3)
                add_entry(f"req_{number}", user_id=user_id)
        for sort in SpendSort:
            for order in ("asc", "desc"):
                whole = api.told("/users/", viewer, sort=sort, order=order)["users"]
                found = walked(api, "/users/", viewer, "users", sort=sort, order=order, limit=3)
                assert found == whole, (sort, order)
        assert (
            walked(api, "/activity/", viewer, "calls", limit=4)
            == (api.told("/activity/", viewer, limit=200)["calls"])
        )


def test_the_order_is_the_one_that_was_asked_for(api: Api, viewer: str) -> None:
    names = [row["username"] for row in walked(api, "/users/", viewer, "users", limit=7)]
    assert names == sorted(names)
    costs = [
        row["cost_this_month_usd"]
        for row in walked(api, "/users/", viewer, "users", sort="cost_month", order="desc")
    ]
    assert costs == sorted(costs, reverse=True)


def test_a_search_and_a_filter_go_through_all_pages(api: Api, viewer: str) -> None:
    found = walked(api, "/users/", viewer, "users", search="AN", limit=2)
    expected = {name for name in PEOPLE if "an" in name}
    assert {row["username"] for row in found} == expected
    assert len(found) == len(expected)
    unlimited = walked(api, "/users/", viewer, "users", filter="no_limit", limit=1)
    assert [row["username"] for row in unlimited] == ["daniel.kim"]
    assert unlimited[0]["daily"]["limit"] is unlimited[0]["monthly"]["percent_used"] is None


@pytest.mark.parametrize("search", ["%", "_", "\\", "'", "\U0001f600", "<script>"])
def test_a_search_is_no_pattern(api: Api, viewer: str, search: str) -> None:
    assert api.told("/users/", viewer, search=search)["users"] == []


def test_who_comes_between_two_pages_moves_nobody(api: Api, viewer: str) -> None:
    walk = pages(api, "/users/", viewer, "users", sort="user", limit=10)
    first = next(walk)
    before = {row["user_id"] for row in api.told("/users/", viewer, limit=200)["users"]}
    with api.gateway.app.app_context():
        add_user("aaron.first")
    rest = [row["user_id"] for page in walk for row in page]
    seen = [row["user_id"] for row in first] + rest
    assert len(seen) == len(set(seen))
    assert set(seen) == before


def test_pages_of_calls_are_all_calls_newest_first(api: Api, viewer: str) -> None:
    calls = walked(api, "/activity/", viewer, "calls", limit=5)
    assert len(calls) == len({call["request_id"] for call in calls}) >= 24
    moments = [call["admitted_at"] for call in calls]
    assert moments == sorted(moments, reverse=True)
    assert calls == api.told("/activity/", viewer, limit=200)["calls"]


def test_a_call_that_comes_in_between_two_pages_moves_none(api: Api, viewer: str) -> None:
    walk = pages(api, "/activity/", viewer, "calls", limit=10)
    first = next(walk)
    with api.gateway.app.app_context():
        add_entry("req_late", admitted_at=NOW + timedelta(seconds=1))
        add_entry(f"{first[-1]['request_id']}_twin", admitted_at=NOW - timedelta(days=1))
    rest = [call for page in walk for call in page]
    names = [call["request_id"] for call in (*first, *rest)]
    assert len(names) == len(set(names))
    assert "req_late" not in names
    assert {f"req_{number:04}" for number in range(24)} <= set(names)


def test_a_user_pages_through_their_own_calls_only(api: Api, viewer: str) -> None:
    key = api.gateway.make_key("amelia.stone")
    own = api.id_of(key)
    calls = walked(api, "/activity/", key, "calls", limit=1)
    assert calls
    assert {call["user_id"] for call in calls} == {own}
    assert calls == walked(api, "/activity/", viewer, "calls", user_id=own)


def test_a_cursor_of_staff_shows_a_user_nothing_else(api: Api, viewer: str) -> None:
    key = api.gateway.make_key("ben.okafor")
    cursor = api.told("/activity/", viewer, limit=1)["next_cursor"]
    calls = api.told("/activity/", key, cursor=cursor)["calls"]
    assert {call["username"] for call in calls} <= {"ben.okafor"}


class TestCursors:
    def test_one_that_was_altered_is_refused(self, api: Api, viewer: str) -> None:
        cursor = api.told("/activity/", viewer, limit=1)["next_cursor"]
        for wrong in ("x", cursor[:-1], cursor[1:], cursor.swapcase(), f"{cursor}a", "W10.x.y"):
            found = api.refused("/activity/", viewer, cursor=wrong)
            assert found == (400, "invalid_request", "cursor"), wrong

    def test_it_is_of_its_own_address_and_order(self, api: Api, viewer: str) -> None:
        calls = api.told("/activity/", viewer, limit=1)["next_cursor"]
        users = api.told("/users/", viewer, limit=1)["next_cursor"]
        wrong: list[tuple[str, dict[str, str]]] = [
            ("/users/", {"cursor": calls}),
            ("/activity/", {"cursor": users}),
            ("/users/", {"cursor": users, "sort": "email"}),
            ("/users/", {"cursor": users, "order": "desc"}),
            ("/users/", {"cursor": users, "search": "a"}),
            ("/users/", {"cursor": users, "filter": "warning"}),
        ]
        for address, query in wrong:
            assert api.refused(address, viewer, **query)[2] == "cursor", query
        assert api.ask("/users/", viewer, cursor=users, limit=7).status_code == 200

    def test_it_may_stand_in_an_address_as_it_is(self, api: Api, viewer: str) -> None:
        for address in ("/activity/", "/users/"):
            cursor = api.told(address, viewer, limit=1)["next_cursor"]
            assert set(cursor) <= set(
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
            )

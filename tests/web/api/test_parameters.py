"""What is asked is checked, and a refusal names the parameter."""

from decimal import Decimal

import pytest

from tests.gateway_app import credential
from tests.web.api_app import API, Api

TOMORROW = "2026-11-24"
WRONG = {
    "no days": ("/user/", {"days": "0"}, "days"),
    "too many days": ("/user/", {"days": "367"}, "days"),
    "days in words": ("/system/", {"days": "seven"}, "days"),
    "a part of a day": ("/system/", {"days": "7.0"}, "days"),
    "days in another script": ("/system/", {"days": "٧"}, "days"),
    "endless days": ("/system/", {"days": "9" * 5000}, "days"),
    "empty days": ("/system/", {"days": ""}, "days"),
    "an unknown parameter": ("/system/", {"day": "7"}, "day"),
    "a parameter where there is none": ("/langsmith/health/", {"days": "7"}, "days"),
    "an unknown range": ("/series/", {"range": "1y"}, "range"),
    "a range without days": ("/series/", {"range": "custom"}, "from"),
    "a range with one day": ("/models/", {"range": "custom", "from": "2026-11-01"}, "from"),
    "days without their range": ("/models/", {"from": "2026-11-01", "to": "2026-11-02"}, "range"),
    "the wrong order": (
        "/series/", {"range": "custom", "from": "2026-11-02", "to": "2026-11-01"}, "to",
    ),
    "more than a year": (
        "/series/", {"range": "custom", "from": "2025-11-22", "to": "2026-11-23"}, "to",
    ),
    "the future": ("/series/", {"range": "custom", "from": TOMORROW, "to": TOMORROW}, "from"),
    "no such day": ("/series/", {"range": "custom", "from": "2026-02-30", "to": TOMORROW}, "from"),
    "a moment": (
        "/series/", {"range": "custom", "from": "2026-11-01T00:00", "to": TOMORROW}, "from",
    ),
    "ancient times": (
        "/series/", {"range": "custom", "from": "0001-01-01", "to": TOMORROW}, "from",
    ),
    "an unknown split": ("/series/", {"by": "user"}, "by"),
    "an unknown step": ("/series/", {"step": "minute"}, "step"),
    "days of a day": ("/series/", {"range": "24h", "step": "day"}, "step"),
    "too many hours": (
        "/series/",
        {"range": "custom", "from": "2026-10-01", "to": "2026-11-01", "step": "hour"},
        "step",
    ),
    "nobody": ("/series/", {"user_id": "0"}, "user_id"),
    "a name": ("/activity/", {"user_id": "amelia.stone"}, "user_id"),
    "a number that is too large": ("/activity/", {"user_id": str(2**63)}, "user_id"),
    "no calls": ("/activity/", {"limit": "0"}, "limit"),
    "too many calls": ("/activity/", {"limit": "201"}, "limit"),
    "an unknown filter": ("/users/", {"filter": "rich"}, "filter"),
    "an unknown order": ("/users/", {"sort": "shoe_size"}, "sort"),
    "an unknown direction": ("/users/", {"order": "up"}, "order"),
    "a search with a NUL": ("/users/", {"search": "a\0b"}, "search"),
    "a long search": ("/users/", {"search": "a" * 101}, "search"),
}  # fmt: skip


@pytest.mark.parametrize(("address", "query", "param"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused_by_name(
    api: Api, viewer: str, address: str, query: dict[str, str], param: str
) -> None:
    answer = api.ask(address, viewer, **query)
    assert api.refused(address, viewer, **query) == (400, "invalid_request", param)
    assert len(answer.text) < 500


def test_an_unknown_parameter_is_told_which_ones_there_are(api: Api, viewer: str) -> None:
    message = api.ask("/series/", viewer, till="now").json["error"]["message"]  # type: ignore[index]
    assert message == ("'till' is not known here: there are range, from, to, user_id, by, step.")


def test_a_parameter_is_given_once(api: Api, viewer: str) -> None:
    answer = api.gateway.client.get(f"{API}/system/?days=7&days=7", headers=credential(viewer))
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["param"] == "days"


@pytest.mark.parametrize(
    ("query", "covered", "points"),
    [
        ({}, ("2026-11-17T00:00:00+00:00", "2026-11-23T07:10:05+00:00"), 7),
        ({"range": "24h"}, ("2026-11-22T08:00:00+00:00", "2026-11-23T07:10:05+00:00"), 24),
        ({"range": "month"}, ("2026-11-01T00:00:00+00:00", "2026-11-23T07:10:05+00:00"), 23),
        (
            {"range": "custom", "from_": "2026-11-01", "to": "2026-11-02"},
            ("2026-11-01T00:00:00+00:00", "2026-11-03T00:00:00+00:00"), 48,
        ),
        (
            {"range": "custom", "from_": "2026-11-01", "to": "2026-11-02", "step": "day"},
            ("2026-11-01T00:00:00+00:00", "2026-11-03T00:00:00+00:00"), 2,
        ),
        (
            {"range": "custom", "from_": "2026-11-20", "to": "2026-12-31"},
            ("2026-11-20T00:00:00+00:00", "2026-11-23T07:10:05+00:00"), 4,
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_span_says_what_it_covers(
    api: Api, viewer: str, query: dict[str, str], covered: tuple[str, str], points: int
) -> None:
    body = api.told("/series/", viewer, **query)
    assert (body["span"]["since"], body["span"]["until"]) == covered
    assert body["span"]["time_zone"] == "UTC"
    assert len(body["starts"]) == points
    assert all(len(line["points"]) == points for line in body["series"])


def test_a_year_is_the_longest_span(api: Api, viewer: str) -> None:
    body = api.told("/series/", viewer, range="custom", from_="2025-11-23", to="2026-11-23")
    assert len(body["starts"]) == 366
    assert (
        api.told("/system/", viewer, days=366)["total_cost_nano_usd"]
        == (body["total"]["cost_nano_usd"])
    )


def test_the_previous_span_is_the_present_one_of_then(api: Api, viewer: str) -> None:
    now = api.told("/models/", viewer, range="custom", from_="2026-11-18", to="2026-11-19")
    before = api.told("/models/", viewer, range="custom", from_="2026-11-16", to="2026-11-17")
    assert now["previous"] == before["total"]
    assert {row["provider"]: row["previous"] for row in now["providers"]} == {
        row["provider"]: row["total"] for row in before["providers"]
    }


def test_lines_and_rows_come_dearest_first(api: Api, viewer: str) -> None:
    series = api.told("/series/", viewer, by="model")["series"]
    costs = [line["total"]["cost_usd"] for line in series]
    assert costs == sorted(costs, reverse=True)
    assert {line["name"] for line in series} >= {"openai/gpt-4o-mini", "lab/our-model"}
    providers = api.told("/models/", viewer)["providers"]
    for rows in (providers, *(row["models"] for row in providers)):
        costs = [row["total"]["cost_usd"] for row in rows]
        assert costs == sorted(costs, reverse=True)


def test_amounts_are_written_exactly(api: Api, viewer: str) -> None:
    total = api.told("/models/", viewer)["total"]
    assert total["cost_usd"] * 10**9 == total["cost_nano_usd"]
    assert isinstance(total["cost_usd"], Decimal)
    assert "e" not in str(total["cost_usd"]).lower()

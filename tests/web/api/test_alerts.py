"""Alerts and rules for programs: the same as the page has."""

from tests.web.api_app import Api


def test_open_alerts_come_first_and_say_whether_people_were_told(api: Api, viewer: str) -> None:
    found = api.told("/alerts/", viewer)["alerts"]
    assert [(one["rule"], one["state"]) for one in found] == [
        ("budget_near", "open"),
        ("budget_reached", "open"),
        ("provider_errors", "closed"),
    ]
    assert found[1] == {
        "rule": "budget_reached",
        "state": "open",
        "subject": "user:2:day",
        "name": "user amelia.stone, day",
        "text": "$25.00 of $25.00 spent (100 %, last call refused); resets 2026-11-24 00:00 UTC",
        "window": "2026-11-23",
        "opened_at": "2026-11-23T07:01:05+00:00",
        "closed_at": None,
        "told": True,
    }
    assert found[2]["window"] is None
    assert found[2]["closed_at"] == "2026-11-23T05:52:05+00:00"
    assert api.told("/alerts/", viewer, limit=1)["alerts"] == found[:1]


def test_every_rule_is_told_with_its_unit(api: Api, viewer: str) -> None:
    rules = {one["rule"]: one for one in api.told("/alerts/rules/", viewer)["rules"]}
    assert len(rules) == 10
    assert rules["unpriced_model"]["cool_down_seconds"] == 7 * 24 * 3600
    assert rules["ledger_drift"]["unit"] == "US cents"

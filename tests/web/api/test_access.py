"""Who may ask what: staff everybody's figures, anybody else their own; only sessions write."""

import pytest

from tests.gateway_app import credential
from tests.web.api_app import API, Api

STAFF_ONLY = (
    "/system/",
    "/langsmith/health/",
    "/top/",
    "/users/",
    "/alerts/",
    "/alerts/rules/",
    "/audit/",
)
OWN = (
    "/user/",
    "/user/spend-limit/",
    "/series/",
    "/models/",
    "/activity/",
    "/requests/",
    "/refusals/",
)
STRANGERS = {
    "no key": {},
    "an unknown key": {"authorization": "Bearer agw_aaaaaaaa_bbbb"},
    "no key at all": {"authorization": "Basic YTpi"},
    "a forged session": {"cookie": "ai_gateway=forged"},
}


@pytest.mark.parametrize("headers", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("address", [*STAFF_ONLY, *OWN, "/users/1/"])
def test_strangers_are_told_how_to_come_in(api: Api, address: str, headers: dict[str, str]) -> None:
    client = api.gateway.app.test_client()
    # What they ask makes no difference, so that they learn nothing from it.
    for query in ("", "?days=wrong&nothing=1"):
        answer = client.get(API + address + query, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="ai-gateway"'
        assert answer.json is not None
        assert answer.json["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("address", STAFF_ONLY)
def test_the_staff_part_is_for_staff(api: Api, viewer: str, address: str) -> None:
    assert api.refused(address, api.key()) == (403, "not_permitted", "")
    assert api.session().get(API + address).status_code == 403
    assert api.ask(address, viewer).status_code == 200
    for role in ("viewer", "operator", "admin"):
        assert api.session(role).get(API + address).status_code == 200


@pytest.mark.parametrize("address", OWN)
def test_everybody_may_ask_about_themselves(api: Api, address: str) -> None:
    assert api.ask(address, api.key()).status_code == 200
    assert api.session().get(API + address).status_code == 200


@pytest.mark.parametrize("address", ["/series/", "/models/", "/activity/"])
def test_figures_of_another_are_refused_and_of_oneself_are_not(
    api: Api, viewer: str, address: str
) -> None:
    key = api.key()
    own = api.id_of(key)
    assert api.told(address, key, user_id=own) == api.told(address, key)
    # Whether there is such a user is not told.
    for other in (1, own + 1_000_000):
        assert api.refused(address, key, user_id=other) == (403, "not_permitted", "")
        assert api.ask(address, viewer, user_id=other).status_code == 200


def test_a_profile_is_for_its_owner_and_for_staff(api: Api, viewer: str) -> None:
    key = api.key()
    own = api.id_of(key)
    mine = api.told(f"/users/{own}/", key)
    assert mine == api.told(f"/users/{own}/", viewer)
    assert mine["user_id"] == own
    assert api.refused("/users/1/", key) == (403, "not_permitted", "")
    assert api.refused("/users/999999999/", key) == (403, "not_permitted", "")
    assert api.refused("/users/999999999/", viewer) == (404, "user_not_found", "")


@pytest.mark.parametrize("number", ["0", "999999999999999999999999", "9223372036854775808"])
def test_a_number_that_nobody_can_have_is_not_found(api: Api, viewer: str, number: str) -> None:
    assert api.ask(f"/users/{number}/", viewer).status_code == 404


def test_without_a_user_staff_see_all_and_users_themselves(api: Api, viewer: str) -> None:
    key = api.key()
    assert api.told("/series/", viewer)["user_id"] is None
    assert api.told("/series/", key)["user_id"] == api.id_of(key)
    names = {call["username"] for call in api.told("/activity/", viewer)["calls"]}
    assert len(names) > 1
    amelia = api.gateway.make_key("amelia.stone")
    assert {call["username"] for call in api.told("/activity/", amelia)["calls"]} == {
        "amelia.stone"
    }


def test_a_role_that_is_taken_away_ends_the_staff_part_at_once(api: Api) -> None:
    name = api.gateway.make_user("--role", "viewer")
    key = api.gateway.make_key(name)
    assert api.ask("/system/", key).status_code == 200
    demoted = api.gateway.flask("user", "promote", name, "--role", "none")
    assert demoted.exit_code == 0, demoted.output
    assert api.ask("/system/", key).status_code == 403


def test_a_key_counts_before_a_session(api: Api) -> None:
    staff = api.session("viewer")
    assert staff.get(API + "/system/").status_code == 200
    assert staff.get(API + "/system/", headers=credential(api.key())).status_code == 403
    assert staff.get(API + "/system/", headers={"x-api-key": "sk-1"}).status_code == 401


@pytest.mark.parametrize("address", [*STAFF_ONLY, *OWN, "/users/1/"])
def test_every_answer_may_be_kept_nowhere(api: Api, viewer: str, address: str) -> None:
    for key in (viewer, None):
        headers = api.ask(address, key).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("address", [*STAFF_ONLY, *OWN, "/users/1/"])
def test_the_head_is_that_of_the_answer(api: Api, viewer: str, address: str) -> None:
    head = api.gateway.client.head(API + address, headers=credential(viewer))
    full = api.ask(address, viewer)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["content-type"] == full.headers["content-type"]
    assert head.headers["content-length"] == full.headers["content-length"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("address", [*STAFF_ONLY, *OWN, "/users/1/"])
def test_nothing_that_is_read_can_be_written(
    api: Api, viewer: str, address: str, method: str
) -> None:
    answer = api.gateway.client.open(API + address, method=method, headers=credential(viewer))
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json is not None
    assert answer.json["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/api/v1/ai/analytics/nothing/", "/api/v1/nothing", "/api/x"])
def test_what_is_not_there_is_told_as_json(api: Api, viewer: str, path: str) -> None:
    answer = api.gateway.client.get(path, headers=credential(viewer))
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["error"]["code"] == "not_found"

"""The table of providers: one contract that every row keeps, and what becomes of the rows."""

import json
import re
from urllib.parse import urlsplit

import pytest
from genai_prices import data_snapshot

from ai_gateway.domain.call import Operation
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import CHAT_CAPS, Provider, ProviderRow
from ai_gateway.providers.registry import (
    OLD_CAP,
    PROVIDER_ROWS,
    ROWS_BY_NAME,
    SIMULATOR_KEY,
    Registry,
    provider,
    simulated,
    simulator_path,
)
from ai_gateway.settings import KNOWN_PROVIDERS, read_settings
from simulator.vendors import VENDORS

LAB = Provider("lab", "openai", "http://lab.test", "sk-lab-secret")
OTHER = Provider("other", "openai", "http://other.test", "sk-other-secret")
FAR = Provider("far", "anthropic", "http://far.test", "sk-far-secret")

DIALECT = OpenAIDialect()
each_row = pytest.mark.parametrize("row", PROVIDER_ROWS, ids=lambda row: row.name)
each_chat_row = pytest.mark.parametrize(
    "row", [row for row in PROVIDER_ROWS if row.dialect == "openai"], ids=lambda row: row.name
)


def on(row: ProviderRow, *, api_key: str | None = "sk-secret") -> Provider:
    """The row switched on, at an address of the operator's where it has none."""
    base_url = None if row.base_url else "http://here.test/v1"
    return provider(row.name, row.name, row.dialect, base_url=base_url, api_key=api_key)


def sent(to: Provider, *, cap: int | None = None, **fields: object) -> dict[str, object]:
    """The body that goes to a provider for a plain question with some fields more."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    asked = DIALECT.read_request(Operation.CHAT, json.dumps(body).encode())
    request = DIALECT.upstream_request(
        to, asked, model="m", output_cap=cap, client_headers={"openai-beta": "x"}
    )
    told: dict[str, object] = json.loads(request.body)
    return told


# The contract of a row


def test_settings_know_every_row_in_the_same_order() -> None:
    known = [(k.name, k.dialect, k.is_local, k.has_address) for k in KNOWN_PROVIDERS]
    assert known == [(r.name, r.dialect, r.is_local, bool(r.base_url)) for r in PROVIDER_ROWS]


def test_names_are_unique_labels_without_a_slash() -> None:
    names = [row.name for row in PROVIDER_ROWS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+", name) for name in names)


@each_row
def test_vendor_is_reached_over_tls_by_a_plain_address(row: ProviderRow) -> None:
    if not row.base_url:
        assert row.is_local or row.name == "azure"
        return
    url = urlsplit(row.base_url)
    assert url.scheme == "https"
    assert not row.base_url.endswith("/")
    assert not any((url.query, url.fragment, url.username))


@each_row
def test_price_ids_are_those_of_the_price_data(row: ProviderRow) -> None:
    known = {listed.id for listed in data_snapshot.get_snapshot().providers}
    assert set(row.price_ids) <= known
    if row.is_local:
        assert not row.price_ids
    else:
        # A vendor that nobody lists states what it charges.
        assert row.price_ids or row.quirks.usage.cost


@each_row
def test_vendors_address_is_one_that_the_price_data_means(row: ProviderRow) -> None:
    providers = {listed.id: listed for listed in data_snapshot.get_snapshot().providers}
    if row.base_url and row.price_ids:
        # Together's SDK calls its younger domain.
        address = row.base_url.replace("together.ai", "together.xyz")
        assert re.match(providers[row.price_ids[0]].api_pattern, address)


@each_row
def test_cap_goes_into_a_field_that_the_operation_has(row: ProviderRow) -> None:
    assert row.quirks.chat_caps
    assert set(row.quirks.chat_caps) <= set(CHAT_CAPS)
    assert row.quirks.caps(Operation.CHAT) == row.quirks.chat_caps
    assert row.quirks.caps(Operation.MESSAGES) == ("max_tokens",)
    assert row.quirks.caps(Operation.MODELS) == ()


@each_row
def test_row_is_switched_on_by_its_own_variables_alone(row: ProviderRow) -> None:
    known = next(k for k in KNOWN_PROVIDERS if k.name == row.name)
    env = {known.key_variable: "sk-secret", known.url_variable: "https://here.test/base/"}
    (chosen,) = read_settings(env).providers
    assert (chosen.name, chosen.preset, chosen.dialect) == (row.name, row.name, row.dialect)
    made = provider(
        chosen.name, chosen.preset, chosen.dialect, base_url=chosen.base_url, api_key="sk-secret"
    )
    assert made == Provider(
        row.name, row.dialect, "https://here.test/base", "sk-secret", row.quirks, row
    )


@each_row
def test_row_without_its_variables_is_off(row: ProviderRow) -> None:
    known = next(k for k in KNOWN_PROVIDERS if k.name == row.name)
    needless = known.key_variable if row.is_local else known.url_variable
    assert read_settings({needless: "https://here.test"}).providers == ()


@each_chat_row
def test_our_cap_is_sent_where_the_vendor_heeds_it(row: ProviderRow) -> None:
    body = sent(on(row), cap=7)
    assert {name: body[name] for name in CHAT_CAPS if name in body} == {row.quirks.chat_caps[0]: 7}


@each_chat_row
@pytest.mark.parametrize("name", CHAT_CAPS)
def test_clients_cap_is_heeded_whatever_it_is_called(row: ProviderRow, name: str) -> None:
    body = sent(on(row), **{name: 5})
    (found,) = [name for name in CHAT_CAPS if name in body]
    assert body[found] == 5
    assert found == (name if name in row.quirks.chat_caps else row.quirks.chat_caps[0])


@each_chat_row
def test_of_two_caps_none_is_larger_than_what_is_held_for(row: ProviderRow) -> None:
    body = sent(on(row), max_tokens=50, max_completion_tokens=5)
    caps = {name: body[name] for name in CHAT_CAPS if name in body}
    if row.quirks.chat_caps == CHAT_CAPS:
        assert caps == {"max_tokens": 50, "max_completion_tokens": 5}
    else:
        assert caps.keys() <= set(row.quirks.chat_caps)
        assert max(int(str(cap)) for cap in caps.values()) == 50


@each_chat_row
def test_usage_of_a_stream_is_asked_for_where_the_vendor_takes_it(row: ProviderRow) -> None:
    asks = sent(on(row), stream=True).get("stream_options")
    assert asks == ({"include_usage": True} if row.quirks.takes_include_usage else None)
    assert "stream_options" not in sent(on(row))


@each_chat_row
def test_key_is_sent_as_a_bearer_token_if_there_is_one(row: ProviderRow) -> None:
    asked = DIALECT.read_request(
        Operation.CHAT, b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    )
    for api_key, told in (("sk-secret", {"authorization": "Bearer sk-secret"}), (None, {})):
        request = DIALECT.upstream_request(
            on(row, api_key=api_key), asked, model="m", output_cap=None, client_headers={}
        )
        assert request.headers == told
        assert request.url == f"{on(row).base_url}/chat/completions"


# The operator's own


def test_server_of_ones_own_has_no_vendor_and_the_older_cap() -> None:
    lab = provider("lab", None, "openai", base_url="http://lab.test/v1/", api_key=None)
    assert lab == Provider("lab", "openai", "http://lab.test/v1", None, OLD_CAP, None)


def test_second_account_at_a_vendor_has_the_vendors_prices() -> None:
    made = provider("groq-eu", "groq", "openai", base_url=None, api_key="sk-secret")
    assert made.vendor is not None
    assert (made.base_url, made.vendor.name) == ("https://api.groq.com/openai/v1", "groq")


def test_preset_at_another_address_has_the_quirks_but_not_the_prices() -> None:
    made = provider("lab", "deepseek", "openai", base_url="http://lab.test", api_key="sk-secret")
    assert (made.quirks, made.vendor) == (ROWS_BY_NAME["deepseek"].quirks, None)


# The registry


def test_providers_keep_their_order() -> None:
    registry = Registry([OTHER, FAR, LAB])
    assert registry.names == ("other", "far", "lab")
    assert registry.speaking("openai") == [OTHER, LAB]
    assert registry.speaking("anthropic") == [FAR]


def test_provider_is_found_by_its_exact_name() -> None:
    registry = Registry([LAB])
    assert registry.get("lab") is LAB
    assert registry.get("LAB") is None
    assert registry.get("") is None


def test_vendors_are_told_of_those_that_have_one() -> None:
    row = PROVIDER_ROWS[0]
    assert Registry([LAB, on(row)]).vendors == {row.name: row}


@each_row
def test_simulator_plays_every_row_and_gets_no_real_key(row: ProviderRow) -> None:
    played = simulated("http://127.0.0.1:9", [LAB]).get(row.name)
    assert played is not None
    assert (played.api_key, played.quirks, played.vendor) == (SIMULATOR_KEY, row.quirks, row)
    assert played.base_url == "http://127.0.0.1:9" + simulator_path(row)


def test_simulator_knows_every_vendor_of_a_row() -> None:
    paths = {simulator_path(row) for row in PROVIDER_ROWS}
    assert paths - {f"/vendors/{name}/v1" for name in VENDORS} == {"/v1", ""}


def test_simulator_plays_the_operators_own_providers_after_the_rows() -> None:
    registry = simulated("http://127.0.0.1:9", [LAB, on(PROVIDER_ROWS[0])])
    assert registry.names == (*(row.name for row in PROVIDER_ROWS), "lab")
    played = [registry.get("lab"), registry.get(PROVIDER_ROWS[0].name)]
    assert [p.api_key for p in played if p] == [SIMULATOR_KEY] * 2
    assert [p.base_url for p in played if p] == ["http://127.0.0.1:9/v1"] * 2


def test_key_of_a_provider_is_not_printed() -> None:
    assert "secret" not in repr(LAB)

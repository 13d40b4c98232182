"""Providers by their variables alone, and when the simulator plays them."""

import pytest

from ai_gateway.settings import (
    KNOWN_PROVIDERS,
    KnownProvider,
    ProviderSettings,
    Secret,
    SettingsError,
    read_settings,
)


def names(env: dict[str, str]) -> list[str]:
    return [provider.name for provider in read_settings(env).providers]


def test_no_variable_is_no_provider() -> None:
    assert read_settings({}).providers == ()


def test_providers_are_in_the_order_of_the_table() -> None:
    env = {known.key_variable: "sk-key" for known in reversed(KNOWN_PROVIDERS)}
    env |= {known.url_variable: "https://here.test" for known in KNOWN_PROVIDERS}
    assert names(env) == [known.name for known in KNOWN_PROVIDERS]


def test_address_without_a_key_switches_no_vendor_on() -> None:
    assert names({"GROQ_BASE_URL": "https://here.test"}) == []


def test_local_server_is_switched_on_by_its_address_and_may_have_a_key() -> None:
    env = {"VLLM_BASE_URL": "http://here.test/v1"}
    bare = ProviderSettings("vllm", "vllm", "openai", "http://here.test/v1", None)
    assert read_settings(env).providers == (bare,)
    (with_key,) = read_settings({**env, "VLLM_API_KEY": "sk-key"}).providers
    assert with_key.api_key == Secret("sk-key")
    assert names({"VLLM_API_KEY": "sk-key"}) == []


def test_azure_needs_its_endpoint_with_the_key() -> None:
    with pytest.raises(SettingsError, match=r"^AZURE_OPENAI_ENDPOINT is needed with AZURE_OPENAI"):
        read_settings({"AZURE_OPENAI_API_KEY": "sk-key"})
    env = {"AZURE_OPENAI_API_KEY": "sk-key", "AZURE_OPENAI_ENDPOINT": "https://eu.test"}
    assert names(env) == ["azure"]


def test_address_has_to_be_one() -> None:
    with pytest.raises(SettingsError, match=r"^MISTRAL_BASE_URL is wrong"):
        read_settings({"MISTRAL_API_KEY": "sk-key", "MISTRAL_BASE_URL": "here.test"})


@pytest.mark.parametrize("known", KNOWN_PROVIDERS, ids=lambda known: known.name)
def test_any_provider_switches_the_automatic_simulator_off(known: KnownProvider) -> None:
    env = {known.key_variable: "sk-key", known.url_variable: "https://here.test"}
    assert not read_settings(env).simulator_active
    assert read_settings({**env, "AI_GATEWAY_SIMULATOR": "on"}).simulator_active
    assert read_settings({}).simulator_active


def test_key_is_never_printed() -> None:
    assert "sk-key" not in repr(read_settings({"GROQ_API_KEY": "sk-key"}))

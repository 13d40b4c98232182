"""Providers by their variables alone, and when the simulator plays them."""

from pathlib import Path

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


class TestKeyInAFile:
    """`OPENAI_API_KEY_FILE`, as secrets of Docker and Kubernetes are handed over."""

    def test_switches_the_provider_on(self, tmp_path: Path) -> None:
        file = tmp_path / "key"
        file.write_text(" sk-key\n")
        (found,) = read_settings({"GROQ_API_KEY_FILE": str(file)}).providers
        assert (found.api_key, found.api_key_file) == (Secret("sk-key"), file)

    def test_the_place_of_the_link_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "now").write_text("sk-key")
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "now")
        (found,) = read_settings({"GROQ_API_KEY_FILE": str(link)}).providers
        assert found.api_key_file == link

    @pytest.mark.parametrize(
        ("content", "fault"), [(None, "cannot be read: No such"), ("\n", "is empty")]
    )
    def test_has_to_be_there(self, tmp_path: Path, content: str | None, fault: str) -> None:
        file = tmp_path / "key"
        if content is not None:
            file.write_text(content)
        with pytest.raises(SettingsError, match=rf"^GROQ_API_KEY_FILE: .*{fault}"):
            read_settings({"GROQ_API_KEY_FILE": str(file)})

    def test_is_not_beside_another_key(self, tmp_path: Path) -> None:
        env = {"GROQ_API_KEY": "sk-key", "GROQ_API_KEY_FILE": str(tmp_path)}
        with pytest.raises(SettingsError, match="are both set: keep one"):
            read_settings(env)

    def test_a_variable_of_the_operators_file_has_one_too(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("sk-lab")
        config = tmp_path / "gateway.toml"
        config.write_text('[providers.lab]\npreset = "groq"\napi_key_env = "LAB_KEY"\n')
        env = {"AI_GATEWAY_CONFIG": str(config), "LAB_KEY_FILE": str(tmp_path / "key")}
        (found,) = read_settings(env).providers
        assert (found.name, found.api_key) == ("lab", Secret("sk-lab"))

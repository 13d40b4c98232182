"""Which provider a name means, and which names there are."""

from dataclasses import replace

import pytest

from ai_gateway.domain.call import DialectName, Operation
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.errors import ModelNotAllowed, ModelNotFound
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import PROVIDER_ROWS, Registry, simulated
from ai_gateway.services.models import ListedModel, ModelDirectory
from ai_gateway.stores.catalog import Catalog, KnownLimits, Source
from tests.domain.test_call import key_record
from tests.services.workbench import FAR, LAB, NOW, PRICES, priced

SECOND = Provider("second", "openai", "http://second.test", "sk")
ROWS = (*PRICES, priced("second", "plain", 9, 9), priced("second", "own", 9, 9))
KEY = key_record()


def directory(aliases: dict[str, str] | None = None) -> ModelDirectory:
    return ModelDirectory(Registry([LAB, SECOND, FAR]), Catalog({}, ROWS), aliases or {})


def only(*allowed: str) -> KeyRecord:
    return replace(KEY, allowed_models=allowed)


@pytest.mark.parametrize(
    ("name", "dialect", "provider", "model"),
    [
        pytest.param("plain", "openai", LAB, "plain", id="bare name, first provider that has it"),
        pytest.param("own", "openai", SECOND, "own", id="bare name of the second"),
        pytest.param("second/plain", "openai", SECOND, "plain", id="with its provider"),
        pytest.param("lab/unknown", "openai", LAB, "unknown", id="unpriced, with its provider"),
        pytest.param("lab/a/b", "openai", LAB, "a/b", id="split at the first slash"),
        pytest.param("claude", "anthropic", FAR, "claude", id="of the other dialect"),
        pytest.param("plain-2026-11-25", "openai", LAB, "plain-2026-11-25", id="with a date"),
    ],
)
def test_name_leads_to_a_provider_and_its_own_name(
    name: str, dialect: DialectName, provider: Provider, model: str
) -> None:
    target = directory().resolve(name, dialect, KEY)
    assert (target.provider, target.model) == (provider, model)


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        pytest.param("unknown", "openai", id="nobody has it"),
        pytest.param("claude", "openai", id="of the other dialect"),
        pytest.param("far/claude", "openai", id="of a provider of the other dialect"),
        pytest.param("lab/", "openai", id="provider alone"),
        pytest.param("/plain", "openai", id="no provider"),
        pytest.param("third/plain", "openai", id="provider that is off"),
        pytest.param("PLAIN", "openai", id="another case"),
        pytest.param("", "openai", id="nothing"),
    ],
)
def test_name_that_leads_nowhere_is_not_found(name: str, dialect: DialectName) -> None:
    with pytest.raises(ModelNotFound):
        directory().resolve(name, dialect, KEY)


def test_near_names_are_told_as_far_as_the_key_may_use_them() -> None:
    with pytest.raises(ModelNotFound) as caught:
        directory().resolve("plainn", "openai", KEY)
    assert "plain" in caught.value.near
    with pytest.raises(ModelNotFound) as caught:
        directory().resolve("plainn", "openai", only("dear"))
    assert caught.value.near == ()


@pytest.mark.parametrize("allowed", ["plain", "lab/plain"])
def test_allowed_model_may_be_called_by_either_name(allowed: str) -> None:
    models = directory()
    assert models.resolve("plain", "openai", only(allowed)).model == "plain"
    assert models.resolve("lab/plain", "openai", only(allowed)).model == "plain"


def test_model_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(ModelNotAllowed):
        directory().resolve("plain", "openai", only("second/plain"))
    with pytest.raises(ModelNotAllowed):
        directory().resolve("lab/unknown", "openai", only("plain"))


def test_model_that_is_not_there_is_not_found_whatever_is_allowed() -> None:
    with pytest.raises(ModelNotFound):
        directory().resolve("unknown", "openai", only("plain"))


def test_alias_stands_for_a_name() -> None:
    models = directory({"quick": "second/plain", "far-one": "claude"})
    assert models.resolve("quick", "openai", KEY).provider == SECOND
    assert models.resolve("far-one", "anthropic", KEY).model == "claude"


def test_alias_of_an_alias_is_not_followed() -> None:
    with pytest.raises(ModelNotFound):
        directory({"a": "b", "b": "plain"}).resolve("a", "openai", KEY)


def test_key_has_to_be_allowed_what_an_alias_stands_for() -> None:
    models = directory({"quick": "plain"})
    assert models.resolve("quick", "openai", only("plain")).model == "plain"
    with pytest.raises(ModelNotAllowed):
        models.resolve("quick", "openai", only("quick"))


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_every_listed_name_leads_to_its_provider(dialect: DialectName) -> None:
    models = directory({"quick": "plain"})
    listed = models.listing(dialect, KEY)
    assert listed
    for row in listed:
        assert models.resolve(row.model, dialect, KEY).provider.name == row.provider


def test_listing_has_what_the_key_may_call_in_the_dialect_and_no_more() -> None:
    models = directory()
    assert {row.model for row in models.listing("anthropic", KEY)} == {"claude"}
    assert {row.model for row in models.listing("openai", only("dear"))} == {"dear"}
    assert models.listing("anthropic", only("dear")) == []


def test_name_that_two_providers_have_is_listed_once_bare_and_once_with_its_provider() -> None:
    listed = directory().listing("openai", KEY)
    assert [row for row in listed if "plain" in row.model] == [
        ListedModel("lab", "plain"),
        ListedModel("second", "second/plain"),
    ]
    assert ListedModel("second", "own") in listed


def test_name_that_begins_like_another_provider_is_listed_with_its_own() -> None:
    rows = (*ROWS, priced("second", "lab/odd", 1, 1))
    models = ModelDirectory(Registry([LAB, SECOND]), Catalog({}, rows))
    assert ListedModel("second", "second/lab/odd") in models.listing("openai", KEY)
    assert models.resolve("second/lab/odd", "openai", KEY).model == "lab/odd"


def test_aliases_are_listed_first_as_far_as_they_lead_somewhere_allowed() -> None:
    models = directory({"quick": "second/plain", "dead": "unknown", "far-one": "claude"})
    assert models.listing("openai", KEY)[0] == ListedModel("second", "quick")
    listed = {dialect: models.listing(dialect, KEY) for dialect in ("openai", "anthropic")}
    assert not any(row.model in {"dead", "far-one"} for row in listed["openai"])
    assert ListedModel("far", "far-one") in listed["anthropic"]
    assert models.listing("openai", only("plain")) == [
        ListedModel("second", "quick"),
        ListedModel("lab", "plain"),
        ListedModel("second", "second/plain"),
    ]


def test_alias_takes_the_bare_name_of_a_model() -> None:
    models = directory({"plain": "second/plain"})
    assert models.resolve("plain", "openai", KEY).provider == SECOND
    assert models.resolve("lab/plain", "openai", KEY).provider == LAB
    assert [row for row in models.listing("openai", KEY) if row.provider == "lab"][-1] == (
        ListedModel("lab", "lab/plain")
    )


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_every_name_of_the_whole_book_is_listed_once_and_leads_to_its_provider(
    dialect: DialectName,
) -> None:
    sources = {row.name: Source(row.price_ids, row.name, row.model_names) for row in PROVIDER_ROWS}
    models = ModelDirectory(simulated("http://127.0.0.1:9"), Catalog(sources))
    listed = models.listing(dialect, KEY)
    assert len({row.model for row in listed}) == len(listed) > 20
    for row in listed:
        target = models.resolve(row.model, dialect, KEY)
        assert target.provider.name == row.provider
        operation = Operation.EMBEDDINGS if "embed" in row.model else Operation.CHAT
        assert models.price(target, None, NOW, operation) is not None


def test_row_without_a_price_for_output_holds_for_embeddings_alone() -> None:
    sources = {row.name: Source(row.price_ids, row.name, row.model_names) for row in PROVIDER_ROWS}
    models = ModelDirectory(simulated("http://127.0.0.1:9"), Catalog(sources))
    target = models.resolve("text-embedding-3-small", "openai", KEY)
    priced = {one for one in Operation if models.price(target, None, NOW, one) is not None}
    assert priced == {Operation.EMBEDDINGS}


def test_vendors_are_asked_before_hosts_of_their_models() -> None:
    sources = {row.name: Source(row.price_ids, row.name, row.model_names) for row in PROVIDER_ROWS}
    models = ModelDirectory(simulated("http://127.0.0.1:9"), Catalog(sources))
    for name, vendor in (
        ("gpt-4o-mini", "openai"),
        ("deepseek-v4-pro", "deepseek"),
        ("kimi-k3", "moonshot"),
        ("gemini-2.5-flash", "gemini"),
        ("openai/gpt-4o-mini", "openai"),
    ):
        assert models.resolve(name, "openai", KEY).provider.name == vendor


def test_price_is_that_of_the_provider() -> None:
    models = directory()
    for name, provider in (("plain", "lab"), ("second/plain", "second")):
        price = models.price(models.resolve(name, "openai", KEY), None, NOW)
        assert price is not None
        assert price.row_id == f"test/{provider}/plain"


def test_price_of_a_model_that_nobody_priced_is_unknown() -> None:
    models = directory()
    assert models.price(models.resolve("lab/unknown", "openai", KEY), None, NOW) is None


# Azure


AZURE = Provider("azure", "azure", "http://azure.test", "sk")
DEPLOYMENTS = {"eu-mini": "gpt-4o-mini", "eu-odd": "gpt-nobody"}


def azure_directory(*providers: Provider) -> ModelDirectory:
    rows = (*ROWS, priced("azure", "gpt-4o-mini", 150, 600))
    limits = {("azure", "gpt-4o-mini"): KnownLimits(context_tokens=4_321)}
    registry = Registry([LAB, FAR, *providers])
    return ModelDirectory(registry, Catalog({}, rows, limits), {"fast": "eu-mini"}, DEPLOYMENTS)


@pytest.mark.parametrize(
    ("name", "model"),
    [("eu-mini", "eu-mini"), ("azure/eu-mini", "eu-mini"), ("fast", "eu-mini"), ("new", "new")],
)
def test_every_name_at_azure_is_a_deployment(name: str, model: str) -> None:
    target = azure_directory(AZURE).resolve(name, "azure", KEY)
    assert (target.provider, target.model) == (AZURE, model)


def test_deployment_has_the_price_and_the_limits_of_its_model() -> None:
    models = azure_directory(AZURE)
    target = models.resolve("eu-mini", "azure", KEY)
    price = models.price(target, None, NOW)
    assert price is not None
    assert price.model == "gpt-4o-mini"
    assert models.limits(target).context_tokens == 4_321


@pytest.mark.parametrize(
    ("name", "told", "is_deployment"),
    [("new", "new", True), ("gpt-4o-mini", "gpt-4o-mini", True), ("eu-odd", "gpt-nobody", False)],
)
def test_deployment_without_a_model_or_a_price_is_unpriced(
    name: str, told: str, *, is_deployment: bool
) -> None:
    models = azure_directory(AZURE)
    target = models.resolve(name, "azure", KEY)
    assert models.price(target, None, NOW) is None
    error = models.unpriced(target)
    assert (error.provider, error.model, error.is_deployment) == ("azure", told, is_deployment)


def test_deployments_are_what_azure_lists() -> None:
    listed = [row.model for row in azure_directory(AZURE).listing("azure", KEY)]
    assert listed == ["fast", "eu-mini", "eu-odd"]


def test_deployments_lead_to_azure_alone() -> None:
    other = Provider("other", "azure", "http://other.test", "sk")
    with pytest.raises(ModelNotFound):
        azure_directory(other).resolve("eu-mini", "azure", KEY)
    with pytest.raises(ModelNotFound):
        azure_directory(AZURE).resolve("eu-mini", "openai", KEY)

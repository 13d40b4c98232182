"""Which provider a model name means, and which names there are (architecture.md 8.12)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import get_args

from ai_gateway.domain.call import DialectName, Operation
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.pricing import PriceRow
from ai_gateway.domain.virtual_key import is_model_allowed
from ai_gateway.errors import ModelNotAllowed, ModelNotFound, ModelUnpriced
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import Registry
from ai_gateway.stores.catalog import Catalog, ModelLimits

NEAR_NAMES = 3
AZURE: DialectName = "azure"
"""The wire format, and the one provider that bare names lead to in it."""

DIALECTS: tuple[DialectName, ...] = get_args(DialectName)

NO_ALIASES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Target:
    """The provider and the provider's own model name that a client's name stands for."""

    provider: Provider
    model: str


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that a key may call; `model` is the name to ask for it by."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class PriceBook:
    """What everything costs, as one whole that a call keeps from its hold to its settlement.

    At Azure a name is that of a deployment; which model it is, and so what it costs, the operator
    says, or else a price that staff entered for the deployment itself.
    """

    catalog: Catalog
    deployments: Mapping[str, str] = field(default_factory=dict)

    @property
    def book_id(self) -> str:
        return self.catalog.book_id

    def price(
        self,
        target: Target,
        service_tier: str | None,
        moment: datetime,
        operation: Operation = Operation.CHAT,
    ) -> PriceRow | None:
        """The price in force; None where nobody knows one for what the operation uses."""
        model = self.model_of(target)
        if model is None:
            return None
        row = self.catalog.row(target.provider.name, model, service_tier, moment)
        if row is None or row.has_output or operation is Operation.EMBEDDINGS:
            return row
        return None

    def model_of(self, target: Target) -> str | None:
        """The name in the book; None for a deployment of which nobody knows it."""
        if target.provider.dialect != AZURE:
            return target.model
        known = self.deployments.get(target.model)
        is_entered = self.catalog.has_entry(target.provider.name, target.model)
        return target.model if known is None and is_entered else known


class ModelDirectory:
    """Aliases, price book x providers that are on.

    An alias stands for `provider/model` or for a bare name, never for another alias. The book may
    be replaced while calls run: each keeps the one that it was admitted with.
    """

    def __init__(
        self,
        registry: Registry,
        catalog: Catalog,
        aliases: Mapping[str, str] = NO_ALIASES,
        deployments: Mapping[str, str] = NO_ALIASES,
    ) -> None:
        self._registry = registry
        self._aliases = aliases
        self._deployments = deployments
        self.reprice(catalog)

    def reprice(self, catalog: Catalog) -> None:
        """Let new calls be priced by another catalog."""
        self.book = PriceBook(catalog, self._deployments)
        self._offers: dict[DialectName, list[tuple[ListedModel, Target]]] = {}

    def priced_by(self, catalog: Catalog) -> "ModelDirectory":
        """The same models by another catalog."""
        return ModelDirectory(self._registry, catalog, self._aliases, self._deployments)

    @property
    def providers(self) -> tuple[Provider, ...]:
        return self._registry.providers

    def resolve(self, name: str, dialect: DialectName, key: KeyRecord) -> Target:
        """Find the provider of a name; raises `ModelNotFound` or `ModelNotAllowed`.

        `provider/model` always resolves, priced or not; a bare name has to be in the price book.
        """
        target = self._find(name, dialect)
        if target is None:
            raise ModelNotFound(name, self._near(name, dialect, key))
        if not _is_allowed(target, key):
            raise ModelNotAllowed(name)
        return target

    def price(
        self,
        target: Target,
        service_tier: str | None,
        moment: datetime,
        operation: Operation = Operation.CHAT,
    ) -> PriceRow | None:
        """The price in force in the book of new calls."""
        return self.book.price(target, service_tier, moment, operation)

    def limits(self, target: Target) -> ModelLimits:
        model = self.book.model_of(target) or target.model
        return self.book.catalog.limits(target.provider.name, model)

    def unpriced(self, target: Target) -> ModelUnpriced:
        """What is to be said where a price is missing."""
        model = self.book.model_of(target)
        name = target.model if model is None else model
        return ModelUnpriced(target.provider.name, name, is_deployment=model is None)

    @property
    def price_book(self) -> str:
        return self.book.book_id

    @property
    def aliases(self) -> Mapping[str, str]:
        return self._aliases

    def find(self, name: str) -> Target | None:
        """What a name leads to in the first wire format that knows it, whoever asks."""
        for dialect in DIALECTS:
            target = self._find(name, dialect)
            if target is not None and self.book.model_of(target) is not None:
                return target
        return None

    def priced(self, moment: datetime) -> Iterator[tuple[Target, PriceRow]]:
        """Every offered model that answers for a known price, in the order of the providers."""
        for provider in self._registry.providers:
            for model in self._names_at(provider):
                target = Target(provider, model)
                row = self.price(target, None, moment)
                if row is not None:
                    yield target, row

    def listing(self, dialect: DialectName, key: KeyRecord) -> list[ListedModel]:
        """The aliases and models of the providers that speak `dialect`, as the key allows them."""
        # Nothing of it changes as long as the book does not.
        offers = self._offers
        if dialect not in offers:
            offers[dialect] = self._all_offers(dialect)
        return [listed for listed, target in offers[dialect] if _is_allowed(target, key)]

    def _all_offers(self, dialect: DialectName) -> list[tuple[ListedModel, Target]]:
        offers = []
        for alias in sorted(self._aliases):
            target = self._find(alias, dialect)
            if target is not None:
                offers.append((ListedModel(target.provider.name, alias), target))
        for provider in self._registry.speaking(dialect):
            for model in self._names_at(provider):
                target = Target(provider, model)
                # What is found elsewhere by its bare name has to be asked for with the provider's.
                is_bare = self._find(model, dialect) == target
                name = model if is_bare else f"{provider.name}/{model}"
                offers.append((ListedModel(provider.name, name), target))
        return offers

    def _find(self, name: str, dialect: DialectName) -> Target | None:
        name = self._aliases.get(name, name)
        prefix, slash, model = name.partition("/")
        named = self._registry.get(prefix) if slash else None
        if named is not None:
            return Target(named, model) if model and named.dialect == dialect else None
        azure = self._registry.get(AZURE) if dialect == AZURE else None
        if azure is not None:
            return Target(azure, name)
        for provider in self._registry.speaking(dialect):
            if self.book.catalog.knows(provider.name, name):
                return Target(provider, name)
        return None

    def _names_at(self, provider: Provider) -> Iterable[str]:
        is_azure = provider.dialect == AZURE
        return sorted(self._deployments) if is_azure else self.book.catalog.models(provider.name)

    def _near(self, name: str, dialect: DialectName, key: KeyRecord) -> tuple[str, ...]:
        names = [listed.model for listed in self.listing(dialect, key)]
        return tuple(get_close_matches(name, names, n=NEAR_NAMES))


def _is_allowed(target: Target, key: KeyRecord) -> bool:
    return is_model_allowed(key.allowed_models, target.provider.name, target.model)

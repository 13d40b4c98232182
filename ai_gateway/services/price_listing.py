"""The lines of the list of prices: every price that there is, whether or not it is in force."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from ai_gateway.domain.price_entries import EntryState, ModelKey, Timeline
from ai_gateway.domain.price_lines import LineStatus, PriceLine, PriceSource
from ai_gateway.domain.pricing import PriceRow
from ai_gateway.services.models import ModelDirectory
from ai_gateway.stores.catalog import Catalog
from ai_gateway.stores.price_use import ModelUse

_STATUS = {
    EntryState.IN_FORCE: LineStatus.PRICED,
    EntryState.SCHEDULED: LineStatus.SCHEDULED,
    EntryState.SUPERSEDED: LineStatus.SUPERSEDED,
    EntryState.CANCELLED: LineStatus.SUPERSEDED,
}


class PriceLines:
    """The lines of one catalog at one moment."""

    def __init__(
        self, directory: ModelDirectory, used: Mapping[ModelKey, ModelUse], now: datetime
    ) -> None:
        self._catalog: Catalog = directory.book.catalog
        self._directory = directory
        self._used = used
        self._now = now
        self._aliases = self._aliases_by_model()

    def all(self) -> Iterator[PriceLine]:
        for key, timeline in self._catalog.entered.items():
            yield from self._entered(key, timeline)
        for key, row in self._catalog.operator_rows.items():
            yield self._operators(key, row)
        for provider in self._directory.providers:
            for model, names in self._catalog.listed_models(provider.name).items():
                yield from self._listed((provider.name, model), tuple(names))

    def _entered(self, key: ModelKey, timeline: Timeline) -> Iterator[PriceLine]:
        for entry in timeline.all:
            if entry.row is not None:
                yield PriceLine(
                    *key,
                    _STATUS[timeline.state(entry, self._now)],
                    entry.row,
                    PriceSource.ENTERED,
                    names=self._aliases.get(key, ()),
                    effective_from=entry.effective_from,
                    last_used=self._last_used(key),
                    entry_id=entry.entry_id,
                    note=entry.origin,
                )

    def _operators(self, key: ModelKey, row: PriceRow) -> PriceLine:
        return PriceLine(
            *key,
            LineStatus.SUPERSEDED if self._is_entered(key) else LineStatus.PRICED,
            row,
            PriceSource.OPERATOR,
            names=self._aliases.get(key, ()),
            last_used=self._last_used(key),
        )

    def _listed(self, key: ModelKey, names: tuple[str, ...]) -> Iterator[PriceLine]:
        provider, model = key
        # Some ids are names of rows only, which the provider does not know.
        row = self._catalog.listed_row(provider, names[0], self._now)
        if row is not None:
            is_behind = self._is_entered(key) or key in self._catalog.operator_rows
            others = tuple(name for name in names if name != model)
            yield PriceLine(
                provider,
                model,
                LineStatus.SUPERSEDED if is_behind else LineStatus.PRICED,
                row,
                PriceSource.LIST,
                names=(*self._aliases.get(key, ()), *others),
                effective_from=self._catalog.listed_since(provider, names[0], self._now),
                last_used=self._last_used(key),
            )

    def _last_used(self, key: ModelKey) -> datetime | None:
        use = self._used.get(key)
        return use.last_day if use else None

    def _is_entered(self, key: ModelKey) -> bool:
        timeline = self._catalog.entered.get(key)
        return timeline is not None and timeline.row(self._now) is not None

    def _aliases_by_model(self) -> dict[ModelKey, tuple[str, ...]]:
        found: dict[ModelKey, tuple[str, ...]] = {}
        for alias in sorted(self._directory.aliases):
            target = self._directory.find(alias)
            if target is not None:
                key = target.provider.name, target.model
                found[key] = (*found.get(key, ()), alias)
        return found

"""The order of a table of providers, as the address asks for it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from ai_gateway.services.usage_report import ProviderUsage
from ai_gateway.web.admin.links import here, read_word


class ProviderSort(StrEnum):
    """The columns that the providers can be sorted by; the largest comes first."""

    COST = "cost"
    PROVIDER = "provider"
    REQUESTS = "requests"
    TOKENS = "tokens"
    ERRORS = "errors"


_KEYS: Mapping[ProviderSort, Callable[[ProviderUsage], Any]] = MappingProxyType(
    {
        ProviderSort.COST: lambda row: (-row.sums.cost, row.provider),
        ProviderSort.PROVIDER: lambda row: row.provider,
        ProviderSort.REQUESTS: lambda row: (-row.sums.requests, row.provider),
        ProviderSort.TOKENS: lambda row: (-row.sums.tokens, row.provider),
        ProviderSort.ERRORS: lambda row: (-(row.sums.error_rate or 0), row.provider),
    }
)


@dataclass(frozen=True, slots=True)
class ProviderChoices:
    """The present order, with the addresses of the others."""

    sort: ProviderSort

    @classmethod
    def asked(cls) -> "ProviderChoices":
        return cls(read_word("sort", ProviderSort.COST))

    def sorted(self, column: str) -> str:
        return here(sort=None if column == ProviderSort.COST else column)

    def aria_sort(self, column: str) -> str:
        if column != self.sort:
            return "none"
        return "ascending" if self.sort is ProviderSort.PROVIDER else "descending"


def sorted_providers(
    providers: Iterable[ProviderUsage], choices: ProviderChoices
) -> list[ProviderUsage]:
    return sorted(providers, key=_KEYS[choices.sort])

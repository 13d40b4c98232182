"""Whose address a path is: OpenAI's, Anthropic's, Azure's, or another vendor's.

==============================================  ================================================
path                                            place
==============================================  ================================================
``/v1/messages...``, or ``anthropic-version``   Anthropic
``/v1/...``                                     OpenAI
``/vendors/NAME/v1/...``                        a row of ``vendors.py``
``/openai/v1/...``                              Azure, without an api-version
``/openai/deployments/NAME/...``                Azure, the deployment stands for the model
``/openai/...``                                 Azure, the model is in the body
==============================================  ================================================
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from simulator.anthropic_dialect import AnthropicDialect
from simulator.azure_dialect import AzureDialect
from simulator.dialect import Dialect
from simulator.openai_dialect import OpenAIDialect
from simulator.response_store import ResponseStore
from simulator.vendors import OPENAI, VENDORS

_VENDOR_PATH: Final = re.compile(r"/vendors/([^/]+)(/.*)")
_AZURE_PATH: Final = re.compile(r"/openai(?:/(v1)|/deployments/([^/]+))?/(.*)")
_ANTHROPIC_PATH: Final = "/v1/messages"


@dataclass(frozen=True, slots=True)
class Place:
    """Who answers, the path as OpenAI or Anthropic has it, and the model if the path names it."""

    dialect: Dialect
    path: str
    model: str | None = None


class Directory:
    """All dialects, by the paths that they answer at."""

    def __init__(self) -> None:
        self._store = ResponseStore()
        self._anthropic = AnthropicDialect()
        self._vendors = {
            name: OpenAIDialect(vendor, self._store) for name, vendor in VENDORS.items()
        }

    def find(self, path: str, query: str, headers: Mapping[str, str]) -> Place:
        """Find out whom a request is for; an unknown vendor is a wrong path of OpenAI's."""
        of_vendor = _VENDOR_PATH.fullmatch(path)
        if of_vendor and of_vendor[1] in self._vendors:
            return Place(self._vendors[of_vendor[1]], of_vendor[2])
        of_azure = _AZURE_PATH.fullmatch(path)
        if of_azure:
            return self._azure_place(of_azure, query)
        if path.startswith(_ANTHROPIC_PATH) or "anthropic-version" in headers:
            return Place(self._anthropic, path)
        return Place(self._vendors[OPENAI.name], path)

    def _azure_place(self, found: re.Match[str], query: str) -> Place:
        is_versioned, deployment, rest = found.groups()
        version = None if is_versioned else parse_qs(query).get("api-version", [""])[-1]
        dialect = AzureDialect(self._store, version, of_deployment=deployment is not None)
        return Place(dialect, f"/v1/{rest}", deployment)

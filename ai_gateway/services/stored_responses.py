"""Lets a user see and go on from their own stored responses, and from nobody else's."""

import logging
import re

from ai_gateway.domain.call import AskedCall, DialectName
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.errors import BudgetUnavailable, ResponseNotFound
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import Registry
from ai_gateway.services.admission import Admitted
from ai_gateway.services.models import ModelDirectory
from ai_gateway.stores.response_owners import Owner, ResponseOwners

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.ASCII)
"""A name is one segment of a path at the provider."""


class StoredResponses:
    """Whose response it is; what is not remembered is nobody's."""

    def __init__(
        self, owners: ResponseOwners, registry: Registry, directory: ModelDirectory
    ) -> None:
        self._owners = owners
        self._registry = registry
        self._directory = directory

    def remember(self, admitted: Admitted, response_id: str | None) -> None:
        """Keep who got a response. While Redis is away it is lost: then nobody sees it again."""
        if response_id is None or not _NAME.fullmatch(response_id):
            return
        call = admitted.call
        try:
            self._owners.remember(response_id, Owner(call.user_id, call.provider))
        except BudgetUnavailable:
            logger.warning("response_owner_lost", extra={"request_id": call.request_id})

    def check_previous(self, asked: AskedCall, dialect: DialectName, key: KeyRecord) -> None:
        """Raise `ResponseNotFound` where a call goes on from what its user did not get there."""
        previous = asked.previous_response_id
        if previous is None:
            return
        provider = self._directory.resolve(asked.model, dialect, key).provider
        if self._find(previous) != Owner(key.user_id, provider.name):
            raise ResponseNotFound(previous)

    def provider_of(self, user_id: int, response_id: str, dialect: DialectName) -> Provider:
        """The provider that keeps a response; raises `ResponseNotFound` to all but its owner."""
        owner = self._find(response_id)
        provider = self._registry.get(owner.provider) if owner else None
        is_theirs = owner is not None and owner.user_id == user_id
        if provider is None or provider.dialect != dialect or not is_theirs:
            raise ResponseNotFound(response_id)
        return provider

    def _find(self, response_id: str) -> Owner | None:
        return self._owners.find(response_id) if _NAME.fullmatch(response_id) else None

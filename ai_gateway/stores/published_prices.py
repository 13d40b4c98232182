"""Prices in Redis: the copy by which workers price calls. SQL has the truth.

Each published state has a name made of its content. Workers ask for the name, and read a state
only when its name is new to them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import orjson
import redis

from ai_gateway.domain.price_entries import PriceEntry
from ai_gateway.stores import redis_keys
from ai_gateway.stores.operator_prices import entered_row
from ai_gateway.stores.price_entries import price_facts, read_price
from ai_gateway.stores.price_lists import KeptList
from ai_gateway.stores.redis_client import translated_errors

VERSION_CHARACTERS = 16
OLD_STATES_SECONDS = 3600
TRIES = 10


class UnreadablePrices(Exception):
    """What is published cannot be read, as where a newer version of the gateway wrote it."""


@dataclass(frozen=True, slots=True)
class PriceState:
    """What staff entered, and the list that was fetched, if one was."""

    entries: tuple[PriceEntry, ...]
    fetched: KeptList | None = None


class PublishedPrices:
    """Writes and reads the copy."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def version(self) -> str | None:
        """The name of what is in force; None where nothing is published."""
        with translated_errors():
            return cast(str | None, self._client.get(redis_keys.CONFIG_VERSION))

    def load(self, version: str) -> PriceState | None:
        """None where it is gone, since another is in force; raises `UnreadablePrices`."""
        with translated_errors():
            found = cast(dict[str, str], self._client.hgetall(redis_keys.config(version)))
        try:
            return _read(found) if found else None
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadablePrices(type(error).__name__) from error

    def publish(self, read: Callable[[], PriceState]) -> bool:
        """Let what `read` gives be in force; False where it is so already.

        It is read while the version is watched, so that an older reading never replaces a newer.
        """
        with translated_errors(), self._client.pipeline() as pipeline:
            for _ in range(TRIES):
                pipeline.watch(redis_keys.CONFIG_VERSION)  # type: ignore[no-untyped-call]  # the library's gap
                before = cast(str | None, pipeline.get(redis_keys.CONFIG_VERSION))
                fields = _fields(read())
                version = _name(fields)
                if version == before and pipeline.exists(redis_keys.config(version)):
                    return False
                pipeline.multi()
                pipeline.hset(redis_keys.config(version), mapping=cast(Any, fields))
                pipeline.persist(redis_keys.config(version))
                pipeline.set(redis_keys.CONFIG_VERSION, version)
                if before not in {None, version}:
                    # For workers that were told its name just now.
                    pipeline.expire(redis_keys.config(str(before)), OLD_STATES_SECONDS)
                try:
                    pipeline.execute()
                except redis.exceptions.WatchError:
                    continue
                return True
        return False


def _name(fields: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for text in fields.values():
        digest.update(text.encode())
    return digest.hexdigest()[:VERSION_CHARACTERS]


def _fields(state: PriceState) -> dict[str, str]:
    fields = {"entries": orjson.dumps([_facts(entry) for entry in state.entries]).decode()}
    if state.fetched is not None:
        fields["list_digest"] = state.fetched.digest
        fields["list_fetched_at"] = state.fetched.fetched_at.isoformat()
        fields["list"] = state.fetched.body.decode()
    return fields


def _read(fields: Mapping[str, str]) -> PriceState:
    entries = tuple(_entry(one) for one in orjson.loads(fields["entries"]))
    if "list" not in fields:
        return PriceState(entries)
    fetched_at = datetime.fromisoformat(fields["list_fetched_at"])
    return PriceState(entries, KeptList(fields["list_digest"], fields["list"].encode(), fetched_at))


def _facts(entry: PriceEntry) -> dict[str, Any]:
    return {
        "id": entry.entry_id,
        "provider": entry.provider,
        "model": entry.model,
        "effective_from": entry.effective_from.isoformat(),
        "price": price_facts(entry.row) if entry.row else None,
    }


def _entry(facts: dict[str, Any]) -> PriceEntry:
    entry_id, provider, model = facts["id"], facts["provider"], facts["model"]
    price = facts["price"]
    return PriceEntry(
        entry_id,
        provider,
        model,
        datetime.fromisoformat(facts["effective_from"]),
        entered_row(entry_id, provider, model, read_price(price)) if price else None,
    )

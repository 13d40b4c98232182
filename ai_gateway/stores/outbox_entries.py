"""Entries of the outbox as text: what a lapsed lease becomes, and what the bookkeeper reads."""

from collections.abc import Mapping
from datetime import datetime
from types import UnionType
from typing import Any

import orjson

from ai_gateway.domain.call import TALLY_FIELDS
from ai_gateway.domain.limits import account_from_name
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry, UnreadableEntry
from ai_gateway.stores.workings import floor_facts, working_text

_Kinds = type | UnionType
_WORDS: dict[str, _Kinds] = {
    "user_id": int,
    "key_id": str,
    "provider": str,
    "model_requested": str,
    "model": str,
    "operation": str,
    "stream": bool,
    "price_book": str,
}
_RESULT_WORDS: dict[str, _Kinds] = {
    "outcome": str,
    "usage_status": str,
    "confidence": str,
    "price_status": str,
    "price_row": str,
    "served_model": str,
    "raw_usage": str | None,
    "ttft_ms": int | None,
}
_LATER_WORDS: dict[str, _Kinds] = {"provider_id": str | None}
"""Entries of an earlier version do not have them."""


def lapsed_result(facts: str | bytes, floor_tally: str, settled_at: datetime) -> dict[str, object]:
    """What is known of a call that nobody ended: its admission, and the counts so far."""
    admitted = orjson.loads(facts)
    counts = dict(zip(TALLY_FIELDS, map(int, floor_tally.split(",")), strict=True))
    return {
        "outcome": "gateway_error",
        "usage_status": "missing",
        "confidence": "estimated",
        "price_status": "priced" if admitted["price_row"] else "unpriced",
        "price_row": admitted["price_row"],
        "served_model": admitted["model"],
        "raw_usage": None,
        "ttft_ms": None,
        "settled_at": settled_at.isoformat(),
        "working": floor_facts(admitted, counts),
    }


def read_entry(stream_id: str, row: Mapping[str, str]) -> OutboxEntry | UnreadableEntry:
    try:
        return _parse_entry(stream_id, row)
    except (KeyError, ValueError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        return UnreadableEntry(stream_id, reason, orjson.dumps(dict(row)).decode())


def _parse_entry(stream_id: str, row: Mapping[str, str]) -> OutboxEntry:
    facts, result = orjson.loads(row["facts"]), orjson.loads(row["result"])
    numbers = [int(part) for part in row["tally"].split(",")]
    words = _words(facts, _WORDS) | _words(result, _RESULT_WORDS)
    # The facts know what was wanted; an uncapped call may have got less.
    words["held_nano_usd"] = int(row["held"])
    words |= _words(dict.fromkeys(_LATER_WORDS) | result, _LATER_WORDS)
    words["working"] = working_text(facts, result)
    return OutboxEntry(
        stream_id=stream_id,
        kind=row["kind"],
        request_id=row["request_id"],
        entry_no=int(row["entry_no"]),
        seq=int(row["seq"]),
        cost=Money(int(row["cost"])),
        total=Money(int(row["total"])),
        tally=dict(zip(TALLY_FIELDS, numbers, strict=True)),
        accounts=tuple(map(account_from_name, facts["accounts"])),
        words=words,
        admitted_at=datetime.fromisoformat(facts["admitted_at"]),
        settled_at=datetime.fromisoformat(result["settled_at"]),
        # Entries of an earlier version have none.
        overhead_us=result.get("overhead_us"),
    )


def _words(found: Mapping[str, Any], kinds: Mapping[str, _Kinds]) -> dict[str, Any]:
    """Only what a column can take: a wrong kind would look like a fault of the database."""
    for name, kind in kinds.items():
        if not isinstance(found[name], kind):
            raise TypeError(f"{name} is {found[name]!r}")
    return {name: found[name] for name in kinds}

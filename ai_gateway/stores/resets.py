"""Resets: an account starts afresh, and the ledger says so by an adjustment (money.md 1.5)."""

from datetime import datetime
from pathlib import Path

import orjson
import redis

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money
from ai_gateway.stores import redis_keys
from ai_gateway.stores.meter import NO_TALLY
from ai_gateway.stores.redis_client import translated_errors

MARK_SECONDS = 24 * 3600
"""How long a repeat of the same reset is known for one."""

_SCRIPT = Path(__file__).parent / "scripts" / "reset.lua"


class SpendResets:
    """Takes the spend off an account, once for each reset id."""

    def __init__(self, client: redis.Redis) -> None:
        self._reset = client.register_script(_SCRIPT.read_text())

    def reset(self, reset_id: str, account: Account, now: datetime) -> Money:
        """Set a counter to 0; returns what was taken off. Holds of running calls stay."""
        keys = [
            redis_keys.META,
            redis_keys.reset_mark(reset_id),
            redis_keys.OUTBOX,
            redis_keys.account(account),
            redis_keys.REFUSED,
        ]
        facts, result = _words(account, now)
        arguments: list[str | int] = [reset_id, facts, result, NO_TALLY, MARK_SECONDS]
        with translated_errors():
            _, amount = self._reset(keys, arguments)
        return Money(int(amount))


def _words(account: Account, now: datetime) -> tuple[str, str]:
    """What the ledger says of an adjustment, in the form of a call's facts and result."""
    facts = {
        "user_id": account.subject_id,
        "key_id": "",
        "provider": "",
        "model_requested": "",
        "model": "",
        "operation": "",
        "stream": False,
        "price_row": "",
        "price_book": "",
        "held": 0,
        "admitted_at": now.isoformat(),
        "accounts": [account.name],
    }
    result = {
        "outcome": "reset",
        "usage_status": "not_billed",
        "confidence": "reported",
        "price_status": "priced",
        "price_row": "",
        "served_model": "",
        "raw_usage": None,
        "ttft_ms": None,
        "settled_at": now.isoformat(),
    }
    return orjson.dumps(facts).decode(), orjson.dumps(result).decode()

"""Resets: an account starts afresh, and the ledger says so by an adjustment (money.md 1.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson
import redis

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores import redis_keys
from ai_gateway.stores.call_texts import NO_TALLY
from ai_gateway.stores.redis_client import translated_errors

MARK_SECONDS = 24 * 3600
"""How long Redis knows a repeat of the same reset for one; the ledger knows it for good."""

_SCRIPT = Path(__file__).parent / "scripts" / "reset.lua"


@dataclass(frozen=True, slots=True)
class AccountReset:
    """One account that has to start afresh; the same `reset_id` acts once."""

    reset_id: str
    account: Account


class SpendResets:
    """Takes the spend off accounts, once for each reset id."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._reset = client.register_script(_SCRIPT.read_text())

    def reset(self, resets: Sequence[AccountReset], now: datetime) -> list[Money]:
        """Set counters to 0; returns what was taken off each. Holds of running calls stay.

        Raises `BudgetUnavailable`; what was done by then is known for a repeat when it is tried
        again.
        """
        with translated_errors():
            pipeline = self._client.pipeline(transaction=False)
            for reset in resets:
                self._add(pipeline, reset, now)
            replies = pipeline.execute()
        if any(reply[0] == "COLD" for reply in replies):
            raise BudgetUnavailable("cold")
        return [Money(int(amount)) for _, amount in replies]

    def _add(self, pipeline: redis.client.Pipeline, reset: AccountReset, now: datetime) -> None:
        keys = [
            redis_keys.META,
            redis_keys.reset_mark(reset.reset_id),
            redis_keys.OUTBOX,
            redis_keys.account(reset.account),
            redis_keys.REFUSED,
        ]
        facts, result = _words(reset.account, now)
        arguments: list[str | int] = [reset.reset_id, facts, result, NO_TALLY, MARK_SECONDS]
        self._reset(keys, arguments, client=pipeline)


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

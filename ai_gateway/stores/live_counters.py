"""Reads many enforcement counters at once, and only where they can be trusted."""

from collections.abc import Mapping, Sequence

import redis

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores import redis_keys
from ai_gateway.stores.meter import Counters
from ai_gateway.stores.redis_client import translated_errors


class LiveCounters:
    """For pages and exports; a call has its own way to the counters."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def read(self, accounts: Sequence[Account]) -> Mapping[Account, Counters]:
        """The counters of accounts in one round trip; raises `BudgetUnavailable`.

        Also where nobody has restored them yet: they would look as if nothing had been spent.
        """
        with translated_errors():
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hexists(redis_keys.META, "epoch")
            for account in accounts:
                pipeline.hmget(redis_keys.account(account), "spent", "held", "refused")
            is_trusted, *found = pipeline.execute()
        if not is_trusted:
            raise BudgetUnavailable("cold")
        return {
            account: Counters(Money(int(spent or 0)), Money(int(held or 0)), refused == "1")
            for account, (spent, held, refused) in zip(accounts, found, strict=True)
        }

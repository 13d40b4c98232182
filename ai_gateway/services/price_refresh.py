"""Brings a newer list of prices, where the operator named an address: fetched, checked, kept.

What cannot be believed changes nothing: the last good list stays in force, and the fault is shown.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.price_jumps import doubts
from ai_gateway.providers.price_feed import FeedFault
from ai_gateway.services.price_book import PriceRecords
from ai_gateway.stores.price_list import UnreadableList, read_list
from ai_gateway.stores.price_lists import KeptList

logger = logging.getLogger(__name__)

SHOWN_DOUBTS = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """A list that was fetched: how it differs, or the fault for which it is not taken."""

    found: KeptList | None = None
    models: int = 0
    changed: int = 0
    fault: str | None = None


class PriceRefresh:
    """`fetch` asks the operator's address; it raises `FeedFault`."""

    def __init__(self, fetch: Callable[[], bytes], records: PriceRecords, clock: Clock) -> None:
        self._fetch = fetch
        self._records = records
        self._clock = clock

    def try_out(self) -> Fetched:
        """Fetch and check, and keep nothing; raises `GatewayUnavailable`."""
        now = self._clock()
        try:
            body = self._fetch()
            newer = read_list(body, now)
            listed = newer.listed(now)
        except (FeedFault, UnreadableList) as error:
            return Fetched(fault=str(error))
        except (ValueError, ArithmeticError) as error:
            return Fetched(fault=f"its prices cannot be computed with: {type(error).__name__}")
        known = self._records.price_list(self._records.lists.newest()).listed(now)
        faults = list(doubts(known, listed))
        if faults:
            more = len(faults) - SHOWN_DOUBTS
            words = "; ".join(faults[:SHOWN_DOUBTS])
            return Fetched(fault=words + (f"; and {more} more" if more > 0 else ""))
        changed = sum(known[key].row != listed[key].row for key in known.keys() & listed.keys())
        return Fetched(KeptList(newer.digest, body, now), len(listed), changed)

    def run(self) -> Fetched:
        """The same, and take it where it can be believed; raises `GatewayUnavailable`."""
        fetched = self.try_out()
        if fetched.found is None:
            logger.error("price_list_refused", extra={"cause": fetched.fault})
            self._records.lists.note_fault(fetched.fault or "", self._clock())
            return fetched
        self._records.lists.keep(fetched.found)
        self._records.publish_soon()
        logger.info("price_list_taken", extra={"models": fetched.models})
        return fetched

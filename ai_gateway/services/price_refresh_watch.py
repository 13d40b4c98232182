"""Has the list of prices refreshed as often as the operator wants; nothing waits for it."""

import logging
from datetime import timedelta
from threading import Lock, Thread

from ai_gateway.domain.clock import Clock
from ai_gateway.errors import GatewayError
from ai_gateway.services.price_refresh import PriceRefresh
from ai_gateway.stores.price_lists import PriceListTable

logger = logging.getLogger(__name__)


class PriceRefreshWatch:
    """One refresh at a time, in a thread of its own: the ledger must not wait for a slow server.

    The last attempt is in SQL, so that neither a restart nor a second bookkeeper asks again.
    """

    def __init__(
        self, refresh: PriceRefresh, lists: PriceListTable, every: timedelta, clock: Clock
    ) -> None:
        self._refresh = refresh
        self._lists = lists
        self._every = every
        self._clock = clock
        self._is_busy = Lock()

    def start_when_due(self) -> Thread | None:
        """Return at once, with the thread where one is started; raises `GatewayUnavailable`."""
        tried_at = self._lists.state().tried_at
        if tried_at is not None and self._clock() - tried_at < self._every:
            return None
        if not self._is_busy.acquire(blocking=False):
            return None
        thread = Thread(target=self._run_and_release, name="price-refresh", daemon=True)
        thread.start()
        return thread

    def _run_and_release(self) -> None:
        try:
            self._refresh.run()
        except GatewayError as error:
            logger.warning("price_refresh_waits", extra={"cause": type(error).__name__})
        finally:
            self._is_busy.release()

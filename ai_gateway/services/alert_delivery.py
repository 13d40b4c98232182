"""Sends the messages that are due, each channel its own in order, and keeps what became of them.

At most one bookkeeper sends a message: it is claimed in SQL first. A receiver that took it although
its answer was lost gets it again, under the same id: over SMTP and HTTP there is no better promise.
"""

import logging
from collections.abc import Callable, Sequence
from threading import main_thread

from ai_gateway.domain.alerts import Notice
from ai_gateway.domain.clock import Clock
from ai_gateway.notify.channel import Channel, NotSent
from ai_gateway.stores.alert_deliveries import AlertDeliveries, Claim

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 20
"""So many of one channel in one go; the next go is half a minute later."""


class AlertDelivery:
    """Between two messages it asks whether it may go on: a process that ends must not wait long."""

    def __init__(
        self,
        deliveries: AlertDeliveries,
        channels: Sequence[Channel],
        clock: Clock,
        *,
        may_go_on: Callable[[], bool] = lambda: main_thread().is_alive(),
    ) -> None:
        self._deliveries = deliveries
        self._channels = channels
        self._clock = clock
        self._may_go_on = may_go_on
        self._arrived: dict[int, str] = {}

    def send_due(self) -> None:
        """Raises `GatewayUnavailable`; then what was claimed is sent again when its claim lapses.

        But not what arrived, as long as this process lives to remember it.
        """
        for channel in self._channels:
            for _ in range(MOST_AT_ONCE):
                claim = self._deliveries.claim(channel.name, self._clock())
                if claim is None or not self._send(channel, claim) or not self._may_go_on():
                    break

    def _send(self, channel: Channel, claim: Claim) -> bool:
        known = self._arrived.get(claim.delivery_id)
        failure, note = (
            (None, known) if known is not None else attempt(channel, claim.notice, claim.number)
        )
        if failure is None:
            self._arrived[claim.delivery_id] = note
        self._deliveries.finish(claim, failure, self._clock(), note)
        self._arrived.pop(claim.delivery_id, None)
        return failure is None


def attempt(channel: Channel, notice: Notice, number: int) -> tuple[str | None, str]:
    """Send once; gives why it failed, or None, and what is to be noted."""
    try:
        return None, channel.send(notice)
    except NotSent as error:
        logger.warning(
            "alert_not_sent",
            extra={"channel": channel.name, "attempt": number, "cause": str(error)},
        )
        return str(error), ""

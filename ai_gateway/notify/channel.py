"""What every way to people can do."""

from dataclasses import dataclass
from typing import Protocol

from ai_gateway.domain.alerts import Notice


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds. A server that answers no sooner counts as one that hangs.

    `total` is for a whole delivery, however many answers there are in it; it is well below the time
    that a delivery is claimed for.
    """

    connect: float = 5.0
    answer: float = 10.0
    total: float = 30.0


TIME_LIMITS = TimeLimits()


class NotSent(Exception):
    """The message did not arrive, as far as is known; the text says why and holds no secret."""


class Channel(Protocol):
    """Mail, or a webhook."""

    @property
    def name(self) -> str:
        """`email` or `webhook`."""

    @property
    def target(self) -> str:
        """Where messages go, in words without a secret."""

    def send(self, notice: Notice) -> str:
        """Send one message; gives what is to be noted, mostly nothing. Raises `NotSent`.

        Takes no longer than its limits of time. The same message may come again; its id tells.
        """

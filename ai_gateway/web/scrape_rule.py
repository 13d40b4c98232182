"""Who may read `/metrics`: loopback, the operator's networks, or whoever has the token."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest

from flask import Request

FORWARDED_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip", "via")

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ScrapeRule:
    """Who may scrape: these networks, or whoever has the token."""

    networks: Sequence[IpNetwork]
    token: str | None

    def allows(self, incoming: Request) -> bool:
        """The peer's address counts only where no proxy stands between; then the token must."""
        if self.token is not None:
            sent = incoming.headers.get("authorization", "").encode()
            if compare_digest(sent, f"Bearer {self.token}".encode()):
                return True
        if any(name in incoming.headers for name in FORWARDED_HEADERS):
            return False
        try:
            peer = ipaddress.ip_address(incoming.remote_addr or "")
        except ValueError:
            return False
        return any(peer in network for network in self.networks)

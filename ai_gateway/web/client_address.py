"""From which address a request came. What a header says counts only if a known proxy wrote it."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Request

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class ClientAddresses:
    """Reads addresses; `proxies` are those of the operator, whose `X-Forwarded-For` is believed."""

    proxies: Sequence[IpNetwork] = ()

    def of(self, incoming: Request) -> str:
        """The nearest address that is no proxy of ours; empty where none is known."""
        nearest = ""
        for word in reversed((*_forwarded(incoming), incoming.remote_addr or "")):
            address = _read(word)
            if address is None:
                break
            nearest = str(address)
            if not any(address in network for network in self.proxies):
                break
        return nearest


def _forwarded(incoming: Request) -> list[str]:
    # Each proxy appends who called it, so that the last address is the one that we know best.
    return ",".join(incoming.headers.getlist("X-Forwarded-For")).split(",")


def _read(word: str) -> IpAddress | None:
    try:
        address = ipaddress.ip_address(word.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address

"""From which address a request came, with and without proxies that are known."""

import ipaddress
from collections.abc import Sequence

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from ai_gateway.web.client_address import ClientAddresses

PROXIES = ("10.0.0.0/8", "2001:db8:1::/48")


def address(peer: str, *forwarded: str, proxies: Sequence[str] = PROXIES) -> str:
    builder = EnvironBuilder(environ_base={"REMOTE_ADDR": peer})
    for value in forwarded:
        builder.headers.add("X-Forwarded-For", value)
    known = ClientAddresses([ipaddress.ip_network(text) for text in proxies])
    return known.of(Request(builder.get_environ()))


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("198.51.100.7",), "192.0.2.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("198.51.100.7, 10.0.0.2",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9", "198.51.100.7"), "198.51.100.7"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("198.51.100.7, nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("nonsense, 10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.7:4711",), "10.0.0.1"),
        ("2001:db8:1::5", ("2001:db8:2::7",), "2001:db8:2::7"),
        ("::ffff:10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("", ("198.51.100.7",), ""),
    ],
)
def test_a_header_counts_only_as_far_as_known_proxies_wrote_it(
    peer: str, forwarded: tuple[str, ...], seen: str
) -> None:
    assert address(peer, *forwarded) == seen


def test_without_proxies_nobody_is_believed() -> None:
    assert address("127.0.0.1", "198.51.100.7", proxies=()) == "127.0.0.1"

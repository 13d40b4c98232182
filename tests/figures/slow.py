"""Clients that send a byte of a header now and then, and never an end."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.security.front import NAME

OF_ONE_ADDRESS = 100
"""The shipped nginx takes 200 connections from one address."""
BYTE_SECONDS = 1.0
BEGINNING = f"GET /health/live HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: ".encode()


@contextmanager
def slow_connections(port: int, count: int) -> Iterator[Callable[[], int]]:
    """Keep so many open, each anew once it was hung up on; gives how many are open."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connections: list[ssl.SSLSocket | None] = [
        _open(context, port, number) for number in range(count)
    ]
    has_ended = threading.Event()

    def go_on() -> None:
        while not has_ended.wait(BYTE_SECONDS / count):
            for number in range(count):
                if has_ended.wait(BYTE_SECONDS / count):
                    return
                connections[number] = _sent(connections[number]) or _open(context, port, number)

    sender = threading.Thread(target=go_on)
    sender.start()
    try:
        yield lambda: sum(one is not None for one in connections)
    finally:
        has_ended.set()
        sender.join()
        for one in connections:
            if one is not None:
                one.close()


def _open(context: ssl.SSLContext, port: int, number: int) -> ssl.SSLSocket | None:
    """From one of several addresses of this machine, as if from several clients."""
    address = f"127.0.0.{2 + number // OF_ONE_ADDRESS}"
    try:
        plain = socket.create_connection(("127.0.0.1", port), 10, source_address=(address, 0))
        connection = context.wrap_socket(plain, server_hostname=NAME)
        connection.sendall(BEGINNING)
    except OSError:
        return None
    return connection


def _sent(connection: ssl.SSLSocket | None) -> ssl.SSLSocket | None:
    """The connection, where it still takes a byte."""
    if connection is None:
        return None
    try:
        connection.sendall(b"x")
    except OSError:
        connection.close()
        return None
    return connection

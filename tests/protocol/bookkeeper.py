"""A bookkeeper that makes its rounds without pause, and may die at the worst moments.

It is our own; only its pace is another one, and its death just before and just after a commit.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from random import Random
from threading import Event
from time import monotonic

import redis
from sqlalchemy import event

from ai_gateway.errors import GatewayError
from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.sql import BOOKKEEPER_BUSY_MS
from tests.money import UTC_ZONE
from tests.protocol.site import Site, clock, connected, key_admin, log_to, make_engine

WAIT_MS = 20
CLAIM_SECONDS = 1
"""Of who restores the counters: here they die of it far more often than anywhere else."""


class Death:
    """Comes by chance until the run ends, by `kill -9` for oneself."""

    def __init__(self, site: Site, random: Random) -> None:
        self._site = site
        self._random = random

    def may_come(self) -> None:
        is_due = self._random.random() < self._site.plan.commit_deaths
        if is_due and monotonic() < self._site.ends_at:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalOutbox(Outbox):
    """Trims what is committed, if its bookkeeper lives to do so."""

    def __init__(self, client: "redis.Redis", death: Death) -> None:
        super().__init__(client)
        self._death = death

    def trim(self, position: str) -> None:
        self._death.may_come()
        super().trim(position)


def run_bookkeeper(site: Site, name: str) -> None:
    """A process of its own; SIGTERM ends it."""
    log_to(site.log)
    stopped = Event()
    random = Random(f"{site.plan.seed}:{name}")
    death = Death(site, random)
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    engine = make_engine(site.database_url, busy_ms=BOOKKEEPER_BUSY_MS)
    with connected(site) as client:
        event.listen(engine, "commit", lambda _connection: death.may_come())
        keys = key_admin(client, engine)
        stores = BookkeeperStores(
            MortalOutbox(client, death),
            PublishedState(client, claim_seconds=CLAIM_SECONDS),
            Ledger(engine, UTC_ZONE),
        )
        bookkeeper = Bookkeeper(stores, keys, clock=clock, zone=UTC_ZONE)
        _make_rounds(bookkeeper, keys, stopped, random)
    engine.dispose()


def _make_rounds(bookkeeper: Bookkeeper, keys: KeyAdmin, stopped: Event, random: Random) -> None:
    always: tuple[Callable[[], object], ...] = (
        bookkeeper.restore,
        bookkeeper.reap,
        lambda: bookkeeper.book(block_ms=WAIT_MS),
    )
    at_times: tuple[Callable[[], object], ...] = (
        bookkeeper.watch_sequence,
        keys.publish_all,
        bookkeeper.mirror_refusals,
        bookkeeper.write_figures,
    )
    while not stopped.is_set():
        for step in (*always, random.choice(at_times)):
            with suppress(GatewayError):
                step()

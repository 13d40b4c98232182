"""One installation of a run: where its parts are, and our objects put together as the factory does.

Prices are 1 nano-USD for a token of input and 10 for one of output.
"""

import ctypes
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import redis
from sqlalchemy import Engine, create_engine

from ai_gateway.domain.limits import BUDGETS, Limit, LimitKind
from ai_gateway.domain.money import Money
from ai_gateway.domain.pricing import PriceRow, Tier
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import Registry
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.models import ModelDirectory
from ai_gateway.stores.catalog import Catalog, KnownLimits
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.sql import configure, driver_url, engine_options
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from tests.domain.facts import flat_rates
from tests.protocol.plan import Plan

PEPPER = b"pepper-of-the-protocol"
LAB = Provider("lab", "openai", "http://lab.test/v1", "sk-lab-secret")
MODEL = "plain"
UNCAPPED_TOKENS = 2_000
LEASE_MS = 400
REDIS_SECONDS = 2.0
"""Longer than a worker of the product waits: what is tested is not how fast this machine is."""

INSTALLATION_LIMIT = {BUDGETS[0]: Limit(LimitKind.AMOUNT, Money(10**9))}


@dataclass(frozen=True, slots=True)
class Site:
    """Handed to every process of a run."""

    folder: Path
    plan: Plan
    database_url: str
    credentials: tuple[str, ...]
    end: "ctypes.c_double"
    """Shared by all processes; see `ends_at`."""

    @property
    def ends_at(self) -> float:
        """When no more calls begin, by the monotonic clock, which a machine has but one of."""
        return self.end.value

    @property
    def history(self) -> Path:
        return self.folder / "history"

    @property
    def line(self) -> Path:
        """The socket of the lossy line."""
        return self.folder / "line.sock"

    @property
    def log(self) -> Path:
        """Where the processes write what they would tell an operator."""
        return self.folder / "log.txt"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.line}"


def log_to(path: Path) -> None:
    """Log to a file, with the traces of threads that failed."""
    logging.basicConfig(filename=path, level=logging.WARNING, force=True)
    threading.excepthook = _thread_failed


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    logging.getLogger(__name__).error("a thread failed", exc_info=failure.exc_value)


def clock() -> datetime:
    return datetime.now(UTC)


@contextmanager
def connected(site: Site) -> Iterator["redis.Redis"]:
    with connect(site.redis_url, timeout_seconds=REDIS_SECONDS) as client:
        yield client


def make_engine(url: str, *, busy_ms: int) -> Engine:
    engine = create_engine(driver_url(url), **engine_options(url))
    configure(engine, busy_ms=busy_ms)
    return engine


def key_admin(client: "redis.Redis", engine: Engine) -> KeyAdmin:
    return KeyAdmin(
        KeyTable(engine, INSTALLATION_LIMIT),
        KeyCopies(client),
        pepper=PEPPER,
        clock=clock,
        random_bytes=Random(0).randbytes,
    )


def models() -> ModelDirectory:
    row = PriceRow("lab/plain", LAB.name, MODEL, (Tier(-1, flat_rates(1_000, 10_000)),))
    known = {(LAB.name, MODEL): KnownLimits(max_output_tokens=10 * UNCAPPED_TOKENS)}
    return ModelDirectory(Registry([LAB]), Catalog({}, [row], known))

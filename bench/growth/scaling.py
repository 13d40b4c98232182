"""What the measured figures mean for hosts, memory and disk: arithmetic, nothing else."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BUSY = 0.6
"""How far a core may be busy on purpose: above it, calls wait for one another."""

CORES_OF_A_HOST = 8
SPARE_HOSTS = 1
SECONDS_OF_A_YEAR = 365 * 24 * 3600
BUSY_OF_A_YEAR = 0.25
"""A year's mean over the busiest second: nights and weekends."""

TEXTS_OF_A_ROW = 450
"""The usage as the provider sent it and the working of the charge, which the seeds leave out."""

ACCOUNTS_OF_ONE = 4
MICRO = 1_000_000
GIGA = 1e9


@dataclass(frozen=True, slots=True)
class Carried:
    """How many calls a second one of a kind carries, all of its core and as far as is planned."""

    what: str
    cost_us: float
    from_where: str

    @property
    def most(self) -> float:
        return MICRO / self.cost_us

    @property
    def planned(self) -> float:
        return self.most * BUSY


@dataclass(frozen=True, slots=True)
class Hosts:
    """What so many calls a second need."""

    calls: int
    workers: int
    worker_hosts: int
    redis_busy: float
    bookkeeper_busy: float
    installations: int
    database_gigabytes: float


def carried(known: Mapping[str, Any]) -> list[Carried]:
    """A worker, a Redis and a bookkeeper; each works on one core."""
    call = known["call"]["figures"]
    booked = known["ledger"]["figures"]["PostgreSQL"]["booked_a_cpu_second"]
    return [
        Carried("a worker", call["worker"], "`make bench`, 32 connections"),
        Carried("a Redis", call["redis"], "`make bench`, 32 connections"),
        Carried(
            "a bookkeeper with its PostgreSQL",
            MICRO / booked,
            "`make growth`, a ledger of 10 million rows",
        ),
    ]


def hosts(
    known: Mapping[str, Any], loads: tuple[int, ...] = (100, 1_000, 10_000)
) -> Iterator[Hosts]:
    """For each of the loads."""
    worker, redis, bookkeeper = carried(known)
    row = known["ledger"]["figures"]["PostgreSQL"]["bytes_of_a_row"] + TEXTS_OF_A_ROW
    for calls in loads:
        workers = math.ceil(calls / worker.planned)
        a_year = calls * SECONDS_OF_A_YEAR * BUSY_OF_A_YEAR
        yield Hosts(
            calls,
            workers,
            math.ceil(workers / CORES_OF_A_HOST) + SPARE_HOSTS,
            calls / redis.most,
            calls / bookkeeper.most,
            math.ceil(calls / min(redis.planned, bookkeeper.planned)),
            a_year * row / GIGA,
        )


def redis_gigabytes(known: Mapping[str, Any], users: int) -> float:
    """Accounts and keys of so many users who all call on one day, one key each."""
    largest = known["accounts"]["figures"][-1]
    of_one: float = ACCOUNTS_OF_ONE * largest["account_bytes"] + largest["key_bytes"]
    return users * of_one / GIGA


def keys_in_time(known: Mapping[str, Any], seconds: float = 30) -> int:
    """How many keys a bookkeeper publishes in half of the time until it does so again."""
    of_a_key = known["ledger"]["figures"]["PostgreSQL"]["publish_key_us"]
    return int(seconds * MICRO / 2 / of_a_key)

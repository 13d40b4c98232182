"""What a scenario is: a named function that hurts a started rig and says what was seen."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.faults.checker import come_to_rest, lasting_complaints
from tests.faults.client import Client
from tests.faults.clock import COMPILER
from tests.faults.databases import PostgreSQL, Sqlite
from tests.faults.matrix import fault_of
from tests.faults.memory import can_be_limited
from tests.faults.rig import Choice, Rig

Need = Literal["sqlite", "postgresql", "cluster"]


class Run:
    """One run of a scenario: its rig, and the clients that it made."""

    def __init__(self, rig: Rig, name: str) -> None:
        self.rig = rig
        self.name = name
        self.clients: list[Client] = []
        rig.history.scenario = name

    def client(self, *key_options: str, daily: str | None = None) -> Client:
        client = self.rig.client(*key_options, daily=daily)
        self.clients.append(client)
        return client

    @property
    def postgresql(self) -> PostgreSQL:
        assert isinstance(self.rig.sql, PostgreSQL)
        return self.rig.sql

    @property
    def sqlite(self) -> Sqlite:
        assert isinstance(self.rig.sql, Sqlite)
        return self.rig.sql


@dataclass(frozen=True, slots=True)
class Scenario:
    """`play` asserts what its row of the matrix demands; the checker looks at the rest.

    Some need one of the databases or a cluster; `mounts` tells of those that mount a file system
    or make a network, `turns_clocks` of those that turn clocks, in a rig of their own.
    """

    row: str
    play: Callable[[Run], str]
    needs: Need | None = None
    mounts: bool = False
    turns_clocks: bool = False
    limits_memory: bool = False

    @property
    def name(self) -> str:
        return self.play.__name__

    def lacks(self, choice: Choice) -> str | None:
        """Why it cannot run on such a rig; None where it can."""
        if self.needs == "cluster":
            return None if choice.store == "cluster" else "needs --store cluster"
        lacks = {
            "needs a Redis of one server": choice.store == "cluster",
            f"needs --sql {self.needs}": self.needs not in (None, choice.sql),
            "needs to be root": self.mounts and os.geteuid() != 0,
            "needs a C compiler (cc)": self.turns_clocks and COMPILER is None,
            "needs to write control groups of the first version": self.limits_memory
            and not can_be_limited(),
        }
        return next((what for what, is_lacking in lacks.items() if is_lacking), None)

    def run(self, rig: Rig) -> str:
        """Play it, let everything come to rest, and judge; returns what was seen.

        Raises `AssertionError` with all that is wrong.
        """
        run = Run(rig, self.name)
        counters = fault_of(self.row).counters()
        before = [rig.metric(one.name, **one.labels) for one in counters]
        seen = self.play(run)
        come_to_rest(rig, run.clients)
        wrong = lasting_complaints(rig, self.name, run.clients)
        assert not wrong, "; ".join(wrong)
        rig.gateway.flask("ledger", "verify")
        for one, count in zip(counters, before, strict=True):
            rig.wait_for_rise(one.name, count, **one.labels)
        return seen

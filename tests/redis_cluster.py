"""A real cluster on loopback: Valkey's own nodes, of which one primary has the gateway's keys.

What may go wrong with it is what an operator or a network may do to it; `DEBUG` stands in for the
network, since taking packets away would need rights on the whole machine.
"""

import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from ai_gateway.stores import embedded, redis_keys
from tests.redis_servers import Kind
from tests.tools import program

SLOTS = 16384
SLOT = key_slot(redis_keys.META.encode())
NODE_TIMEOUT_MS = 5000
SOON = ("--cluster-node-timeout", "2000")
"""For who waits for an election; others let nodes be slow on a machine that has much to do."""

WAIT_SECONDS = 30.0
REPLICATOR, REPLICATOR_PASSWORD = "replicator", "of-tests-only"
BUS_OFFSET = 10_000
PORTS = range(12_000, 22_000)
EVERY_PACKET, NO_PACKET = "-2", "-1"


class Node:
    """One server of the cluster, with a folder of its own that outlives it."""

    def __init__(self, folder: Path, kind: Kind, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = port_with_bus()
        self.admin = redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)
        self._kind: Kind = kind
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, *command: str | int) -> Any:
        """What it answers to its operator."""
        return self.admin.execute_command(*command)  # type: ignore[no-untyped-call]  # its gap

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self._process = subprocess.Popen([*self._command(), *self._options])
        _wait_for(self.answers, "a node answers")
        # Nodes come to one another as a user of their own, so that they alone can be kept out.
        self.ask("ACL SETUSER", REPLICATOR, "on", f">{REPLICATOR_PASSWORD}", "~*", "+@all")

    def answers(self) -> bool:
        with suppress(redis.ConnectionError):
            return bool(self.admin.ping())
        return False

    def kill(self) -> None:
        """As if its machine had gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(WAIT_SECONDS)
        self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        self.admin.close()
        if self._process is not None:
            self.kill()

    @property
    def id(self) -> str:
        return str(self.ask("CLUSTER MYID"))

    def is_primary(self) -> bool:
        return bool(self.admin.info("replication")["role"] == "master")

    def has_slot(self) -> bool:
        """Whether it takes itself for the primary of the gateway's slot."""
        for first, last, primary, *_ in self.ask("CLUSTER SLOTS"):
            if first <= SLOT <= last:
                return bool(primary[1] == self.port)
        return False

    def is_in_touch(self) -> bool:
        return self.state("state") == "ok"

    def state(self, name: str) -> str:
        """A line of what it thinks of the cluster."""
        return str(self.ask("CLUSTER INFO")[f"cluster_{name}"])

    def is_in_step(self) -> bool:
        """Whether it is a replica that has all that its primary has."""
        state = self.admin.info("replication")
        return (state["role"], state.get("master_link_status")) == ("slave", "up")

    def keep_replicas_out(self) -> None:
        """What it takes from now on, its replicas do not hear of."""
        self.ask("ACL SETUSER", REPLICATOR, "off")
        self.ask("CLIENT KILL TYPE replica")

    def let_replicas_in(self) -> None:
        self.ask("ACL SETUSER", REPLICATOR, "on")

    def hear_nobody(self, *, is_so: bool) -> None:
        """Lose every packet of the other nodes, as behind a network that is cut."""
        which = EVERY_PACKET if is_so else NO_PACKET
        self.ask("DEBUG DROP-CLUSTER-PACKET-FILTER", which)

    def _command(self) -> list[str]:
        binary = embedded.valkey_command(self.folder)[0]
        if self._kind == "redis":
            binary = program("redis-server") or ""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "logfile": str(self.folder / "log"),
            "loglevel": "notice",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "cluster-enabled": "yes",
            "cluster-config-file": str(self.folder / "nodes.conf"),
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            "repl-diskless-sync-delay": "0",
            "masteruser": REPLICATOR,
            "masterauth": REPLICATOR_PASSWORD,
            "enable-debug-command": "local",
        }
        return [binary, *(part for name, value in options.items() for part in (f"--{name}", value))]


class Cluster:
    """Primaries that share the slots, each with a replica where there are to be any."""

    def __init__(self, nodes: Sequence[Node], primaries: int) -> None:
        self.nodes = nodes
        self._primaries = primaries

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(node.address for node in self.nodes)}"

    def form(self) -> None:
        """Start all nodes and let them be a cluster."""
        for node in self.nodes:
            node.start()
        first, *others = self.nodes
        for node in others:
            first.ask("CLUSTER MEET 127.0.0.1", node.port)
        bounds = [SLOTS * number // self._primaries for number in range(self._primaries + 1)]
        for node, begin, end in zip(self.nodes, bounds, bounds[1:], strict=False):
            node.ask("CLUSTER ADDSLOTSRANGE", begin, end - 1)
        _wait_for(lambda: all(map(self._knows_all, self.nodes)), "all nodes know one another")
        _wait_for(lambda: all(node.is_in_touch() for node in self.nodes), "the cluster serves")
        owner = self.nodes.index(self.primary())
        for number, node in enumerate(self.nodes[self._primaries :], owner):
            primary = self.nodes[number % self._primaries]
            node.ask("CLUSTER REPLICATE", primary.id)
        self.settle()

    def settle(self) -> None:
        """Wait until every node is in touch and every replica in step."""
        _wait_for(lambda: all(node.is_in_touch() for node in self.nodes), "the cluster serves")
        replicas = len(self.nodes) - self._primaries
        _wait_for(lambda: sum(n.is_in_step() for n in self.nodes) == replicas, "replicas follow")

    def primary(self) -> Node:
        """The node that has the gateway's keys, as those see it that are in touch."""
        found: Node = _wait_for(self._owner, "a node has the keys")
        return found

    def replica(self) -> Node:
        """The node that would take over from it, once the others have heard of it."""
        found: Node = _wait_for(self._follower, "the primary has a replica")
        return found

    def _follower(self) -> Node | None:
        primary = self.primary()
        known = primary.ask("CLUSTER NODES")
        followers = (
            node
            for node in self.nodes
            if known.get(node.address, {}).get("master_id") == primary.id
        )
        return next(followers, None)

    def wait_for_another(self, before: Node) -> Node:
        """Wait until another node has the gateway's keys."""

        def another() -> Node | None:
            found = self._owner()
            return found if found is not before else None

        found: Node = _wait_for(another, "another node takes over")
        return found

    def move_at_once(self, target: Node) -> None:
        """Let a node have the gateway's slot, by a migration that the servers do by themselves."""
        source = self.primary()
        source.ask("CLUSTER MIGRATESLOTS", "SLOTSRANGE", SLOT, SLOT, "NODE", target.id)
        _wait_for(target.has_slot, "the slot has moved")

    def move_by_keys(self, target: Node, keys_at_once: int = 1) -> int:
        """The same as `redis-cli --cluster reshard` does it; returns how many keys were moved."""
        source, moved = self.primary(), 0
        target.ask("CLUSTER SETSLOT", SLOT, "IMPORTING", source.id)
        source.ask("CLUSTER SETSLOT", SLOT, "MIGRATING", target.id)
        while keys := source.ask("CLUSTER GETKEYSINSLOT", SLOT, keys_at_once):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            moved += len(keys)
        for node in (target, source):
            node.ask("CLUSTER SETSLOT", SLOT, "NODE", target.id)
        _wait_for(lambda: all(map(self._is_told, self.nodes)), "all nodes know where the slot is")
        return moved

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def _owner(self) -> Node | None:
        with suppress(redis.RedisError):
            for node in self.nodes:
                if node.answers() and node.is_in_touch() and node.has_slot():
                    return node
        return None

    def _is_told(self, node: Node) -> bool:
        return node.is_in_touch() and node.has_slot() == (node is self.primary())

    def _knows_all(self, node: Node) -> bool:
        return node.state("known_nodes") == str(len(self.nodes))


@contextmanager
def running_cluster(
    primaries: int = 3, replicas: int = 0, kind: Kind = "valkey", options: Sequence[str] = ()
) -> Iterator[Cluster]:
    """Form a cluster for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="agwc"))
    nodes = [Node(folder / str(number), kind, options) for number in range(primaries + replicas)]
    cluster = Cluster(nodes, primaries)
    try:
        cluster.form()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def port_with_bus() -> int:
    """One that no outgoing connection gets by chance, with its neighbour for the talk of nodes."""
    while True:
        port = secrets.choice(PORTS)
        if _is_free(port) and _is_free(port + BUS_OFFSET):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_for(look: Callable[[], Any], what: str) -> Any:
    give_up_at = time.monotonic() + WAIT_SECONDS
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"in vain waited until {what}"
        time.sleep(0.02)
    return found

"""The client reaches every kind of Redis that an address may name, and follows its primary."""

import inspect
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.crc import key_slot

from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import connect, translated_errors
from tests.money import MoneyStore, admitted_call, finished_call
from tests.redis_cluster import SLOT, Cluster, Node, port_with_bus, running_cluster
from tests.redis_servers import RedisServer
from tests.running import wait_for

COUNT = redis_keys.once("count")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two primaries, of which one has all that is ours, and its replica."""
    with running_cluster(primaries=2, replicas=1) as running:
        yield running


@pytest.fixture
def client(cluster: Cluster) -> Iterator["redis.Redis"]:
    cluster.settle()
    with connect(cluster.url, timeout_seconds=5) as opened:
        opened.flushall()
        yield opened


def kind_of_failure(client: "redis.Redis") -> str:
    with pytest.raises(BudgetUnavailable) as caught, translated_errors():
        client.incr(COUNT)
    return caught.value.kind


def test_every_key_is_in_the_slot_that_the_client_follows() -> None:
    account = Account(Scope.USER, 7, Window.DAY, "2026-11-25")
    names = [value for name, value in vars(redis_keys).items() if name.isupper()]
    for name, made in inspect.getmembers(redis_keys, inspect.isfunction):
        if made.__module__ == redis_keys.__name__ and name != "account_of":
            names.append(made(account if name == "account" else "any{other}"))
    assert len(names) > 20
    assert {key_slot(str(name).encode()) for name in names} == {SLOT}


def test_a_cluster_is_one_plain_server_to_the_client(client: "redis.Redis") -> None:
    store = MoneyStore(client)
    store.open()
    call = admitted_call("req_1", held=100)
    store.reserve(call)
    assert store.meter.settle(call, finished_call(40))
    assert len(store.outbox.read("0-0", count=5)) == 1
    assert store.counters(call)[0] == (40, 0)


def test_a_new_primary_is_found_by_what_the_old_one_says(
    client: "redis.Redis", cluster: Cluster
) -> None:
    assert client.incr(COUNT) == 1
    before = cluster.primary()
    cluster.replica().ask("CLUSTER FAILOVER")
    cluster.wait_for_another(before)
    assert client.incr(COUNT) == 2
    with client.pipeline(transaction=False) as pipeline:
        pipeline.incr(COUNT)
        pipeline.get(COUNT)
        assert pipeline.execute() == [3, "3"]


def test_connections_that_know_the_old_primary_each_find_the_new_one(
    client: "redis.Redis", cluster: Cluster
) -> None:
    """In a transaction, which begins anew where a watched key could have changed."""
    pipelines = [client.pipeline() for _ in range(3)]
    for pipeline in pipelines:
        pipeline.watch(COUNT)  # type: ignore[no-untyped-call]  # the library's gap
    before = cluster.primary()
    cluster.replica().ask("CLUSTER FAILOVER")
    cluster.wait_for_another(before)
    for pipeline in pipelines:
        pipeline.multi()
        pipeline.incr(COUNT)
        with pytest.raises(redis.RedisError):
            pipeline.execute()
    assert client.get(COUNT) is None
    assert client.incr(COUNT) == 1


def test_the_primary_is_found_anew_after_the_old_one_died(cluster: Cluster) -> None:
    with connect(cluster.url, timeout_seconds=5) as client:
        client.flushall()
        client.incr(COUNT)
        victim, heir = cluster.primary(), cluster.replica()
        victim.kill()
        assert kind_of_failure(client) in {"connection", "cluster"}
        # Of two primaries one is not the most, so that nobody is voted for.
        heir.ask("CLUSTER FAILOVER TAKEOVER")
        wait_for(heir.is_in_touch, "the heir serves")
        assert client.incr(COUNT) == 2
        victim.start()
        wait_for(victim.is_in_step, "the old primary follows")


def test_a_node_that_lost_the_others_is_not_asked_where_the_primary_is(
    client: "redis.Redis", cluster: Cluster
) -> None:
    primary = cluster.primary()
    primary.ask("CLUSTER DELSLOTS", SLOT)
    try:
        assert kind_of_failure(client) == "cluster"
    finally:
        primary.ask("CLUSTER ADDSLOTS", SLOT)
    wait_for(primary.is_in_touch, "the cluster serves")
    assert client.incr(COUNT) == 1


def test_what_two_nodes_send_to_one_another_counts_as_settled_by_neither(
    client: "redis.Redis", cluster: Cluster
) -> None:
    """Each says that the other has the slot."""
    call = admitted_call("req_1", held=100)
    primary = cluster.primary()
    other = next(node for node in cluster.nodes if node.is_primary() and node is not primary)
    primary.ask("CLUSTER SETSLOT", SLOT, "NODE", other.id)
    try:
        with pytest.raises(BudgetUnavailable) as caught:
            MoneyStore(client).meter.settle(call, finished_call(40))
        assert caught.value.kind == "cluster"
    finally:
        primary.ask("CLUSTER SETSLOT", SLOT, "NODE", primary.id)


def test_too_few_replicas_are_told_as_such(client: "redis.Redis", cluster: Cluster) -> None:
    primary = cluster.primary()
    primary.admin.config_set("min-replicas-to-write", 2)
    try:
        assert kind_of_failure(client) == "noreplicas"
    finally:
        primary.admin.config_set("min-replicas-to-write", 0)


def test_a_server_that_became_a_replica_is_left_for_whom_the_address_leads_to_now(
    valkey_server: RedisServer, cluster: Cluster
) -> None:
    """As behind a name that follows the primary of a plain pair."""
    with connect(valkey_server.url, timeout_seconds=5) as client:
        client.flushall()
        connection = client.connection_pool.get_connection()
        client.connection_pool.release(connection)
        client.replicaof("127.0.0.1", "1")
        try:
            assert kind_of_failure(client) == "readonly"
            # Opened anew once, in the hope of another server, and closed again.
            assert connection._sock is None
        finally:
            client.replicaof("NO", "ONE")
        assert client.incr(COUNT) == 1


@pytest.fixture(scope="module")
def tls_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, str, Path]]:
    """A cluster of one node that speaks TLS too; gives its TLS address and certificate."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", "/CN=lab", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    # The nodes of a cluster that speak TLS speak it 10,000 ports above that one.
    port = port_with_bus()
    options = ["--tls-port", str(port), "--tls-cert-file", str(certificate)]
    options += ["--tls-key-file", str(key), "--tls-auth-clients", "no"]
    options += ["--tls-ca-cert-file", str(certificate), "--tls-cluster", "yes"]
    with running_cluster(primaries=1, kind="redis", options=options) as cluster:
        (node,) = cluster.nodes
        node.ask("ACL SETUSER", "gateway", "on", ">p@ss word", "~*", "+@all")
        yield node, f"127.0.0.1:{port}", certificate


@pytest.mark.redis
@pytest.mark.openssl
@pytest.mark.parametrize("scheme", ["rediss", "rediss+cluster"])
def test_tls_is_verified_by_the_certificate_that_the_address_names(
    tls_node: tuple[Node, str, Path], scheme: str
) -> None:
    _, address, certificate = tls_node
    user = "gateway:p%40ss%20word"
    for given, works in {
        f"{user}@{address}?ssl_ca_certs={certificate}": True,
        f"{user}@{address}?ssl_cert_reqs=none": True,
        f"{user}@{address}": False,
        f"{user}@{address.replace('127.0.0.1', 'localhost')}?ssl_ca_certs={certificate}": False,
        f"gateway:wrong@{address}?ssl_ca_certs={certificate}": False,
    }.items():
        with connect(f"{scheme}://{given}", timeout_seconds=5) as client:
            if works:
                assert client.set(COUNT, "1")
            else:
                assert kind_of_failure(client) == "connection", given

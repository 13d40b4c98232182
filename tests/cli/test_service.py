"""`flask bookkeeper`: what it refuses to work on."""

from tests.gateway_app import opened_app
from tests.redis_servers import running_redis


def test_the_bookkeeper_refuses_to_start_on_a_redis_that_throws_keys_away() -> None:
    with running_redis() as server, opened_app(server) as gateway:
        gateway.store.client.config_set("maxmemory-policy", "volatile-ttl")
        told = gateway.flask("bookkeeper")
    assert told.exit_code == 1
    assert told.stdout == ""
    (line,) = [line for line in told.stderr.splitlines() if line.startswith("Error: ")]
    assert "maxmemory-policy of Redis is volatile-ttl" in line
    assert line.endswith("set it to noeviction")

"""Addresses of the stores: the good ones as they are, of the others one line without a secret."""

from pathlib import Path

import pytest

from ai_gateway.settings import SettingsError, read_settings

GOOD_REDIS = (
    "redis://host",
    "redis://host:6380/3",
    "redis://:hunter2@[::1]:6379/0",
    "rediss://gateway:hunt%40er2@host:6380/0",
    "rediss://host/?ssl_cert_reqs=none",
    "unix:///run/valkey.sock",
    "unix://gateway:hunter2@/run/valkey.sock?db=2",
    "redis+cluster://one:6379,two:6379,three:6379",
    "rediss+cluster://gateway:hunter2@one,two:7000/0",
)
GOOD_DATABASES = (
    "postgresql://user:hunter2@host/name",
    "postgres://host:5433/name",
    "postgresql+psycopg://user@/name?host=/run/postgresql",
    "postgresql://user@host/name?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "sqlite:////data/gateway.sqlite3",
)
BAD_REDIS = {
    "another scheme": ("http://:hunter2@host", "redis+cluster://"),
    "sentinel": ("redis+sentinel://:hunter2@host", "redis+cluster://"),
    "no scheme": ("host:6379", "redis+cluster://"),
    "no host": ("redis://:hunter2@", "no host"),
    "no port": ("redis://:hunter2@host:port", "host:port"),
    "high port": ("redis://:hunter2@host:99999", "host:port"),
    "a sign that cuts": ("redis://user:hunt#er2@host", "%40"),
    "a slash in a password": ("redis://user:hunter2/x@host", "%40"),
    "a question in a password": ("redis://user:hunter2?x@host", "%40"),
    "two hosts of one server": ("redis://:hunter2@one,two", "host:port"),
    "a user alone": ("redis://gateway@host", "without a password"),
    "a name for a number": ("redis://:hunter2@host/name", "number of a database"),
    "a cluster's second database": ("redis+cluster://:hunter2@one,two/1", "database 0"),
    "a gap in a cluster": ("redis+cluster://:hunter2@one,,two", "no host"),
    "TLS without TLS": ("redis://host?ssl_cert_reqs=none", "after the ?"),
    "unknown option": ("rediss://host?hunter2=1", "ssl_ca_certs"),
    "half a check": ("rediss://host?ssl_cert_reqs=hunter2", "required or none"),
    "a file that is not there": ("rediss://host?ssl_ca_certs=/hunter2.pem", "ssl_ca_certs"),
    "a socket without a path": ("unix://run", "unix:///path"),
    "half an address": ("redis://[::1", "redis://"),
}
BAD_DATABASES = {
    "another database": ("mysql://u:hunter2@host/name", "postgresql://"),
    "another driver": ("postgresql+psycopg2://u:hunter2@host/name", "postgresql://"),
    "asynchronous": ("postgresql+asyncpg://u:hunter2@host/name", "postgresql://"),
    "no scheme": ("host/name", "postgresql://"),
    "no port": ("postgresql://u:hunter2@host:port/name", "host:port"),
    "a sign that cuts": ("postgresql://u:hunt#er2@host/name", "%40"),
    "a slash in a password": ("postgresql://u:hunter2/x@host/name", "%40"),
    "a file on a host": ("sqlite://hunter2/name", "sqlite:////path"),
}


def refusal(name: str, url: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings({name: url})
    told = str(caught.value)
    assert told.startswith(f"{name} is wrong")
    assert "\n" not in told
    assert len(told) < 250
    assert "hunt" not in told
    return told


@pytest.mark.parametrize("url", GOOD_REDIS)
def test_a_redis_is_taken_as_it_stands(url: str) -> None:
    assert read_settings({"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize("url", GOOD_DATABASES)
def test_a_database_is_taken_as_it_stands(url: str) -> None:
    assert read_settings({"DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(("url", "word"), BAD_REDIS.values(), ids=BAD_REDIS)
def test_a_wrong_redis_is_refused(url: str, word: str) -> None:
    assert word in refusal("REDIS_URL", url)


@pytest.mark.parametrize(("url", "word"), BAD_DATABASES.values(), ids=BAD_DATABASES)
def test_a_wrong_database_is_refused(url: str, word: str) -> None:
    assert word in refusal("DATABASE_URL", url)


def test_files_of_tls_that_are_there_are_taken(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("")
    url = f"rediss+cluster://one,two?ssl_ca_certs={certificate}"
    assert read_settings({"REDIS_URL": url}).redis_url == url

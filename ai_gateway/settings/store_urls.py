"""Addresses of the two stores: which forms there are, and what is wrong with one.

An address may hold a password, so that no message repeats any part of it.
"""

from collections.abc import Collection
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from ai_gateway.settings.environment import Environment
from ai_gateway.settings.values import SettingsError

CLUSTER = "+cluster"
REDIS_FORMS = (
    "redis://, rediss://, redis+cluster://, rediss+cluster://, then user:password@host:port, "
    "or unix:///path"
)
DATABASE_FORMS = "postgresql://user:password@host:port/name or sqlite:////path"

_SQL_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg", "sqlite"})
_REDIS_SCHEMES = frozenset({"redis", "rediss", "unix", f"redis{CLUSTER}", f"rediss{CLUSTER}"})
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OPTIONS = {"rediss": (*_TLS_FILES, "ssl_cert_reqs"), "unix": ("db",)}
_ENCODE = "special characters of a user and a password are written as %40 for @ and so on"


def read_database_url(read: Environment) -> str | None:
    """The database; None for a file of our own. Raises `SettingsError`."""
    name = "DATABASE_URL"
    url = read.text(name)
    if url is None:
        return None
    parts = _split(name, url, _SQL_SCHEMES, DATABASE_FORMS)
    if parts.scheme == "sqlite":
        if parts.netloc:
            raise SettingsError(f"{name} is wrong: a file has no host, write sqlite:////path")
        return url
    _check_host(name, parts)
    return url


def read_redis_url(read: Environment) -> str | None:
    """Redis or Valkey; None for an embedded one. Raises `SettingsError`."""
    name = "REDIS_URL"
    url = read.text(name)
    if url is None:
        return None
    parts = _split(name, url, _REDIS_SCHEMES, REDIS_FORMS)
    if parts.scheme == "unix":
        _check_options(name, parts)
        _check_user(name, parts)
        if parts.hostname or not parts.path.strip("/"):
            raise SettingsError(f"{name} is wrong: a socket is written unix:///path")
        return url
    for one in _nodes(parts):
        _check_host(name, one)
        _check_user(name, one)
        if not one.hostname:
            raise SettingsError(f"{name} is wrong: it names no host")
    _check_database(name, parts)
    _check_options(name, parts)
    return url


def _split(name: str, url: str, schemes: Collection[str], forms: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError(f"{name} is wrong: it has to be {forms}; {_ENCODE}") from None
    if parts.scheme not in schemes:
        raise SettingsError(f"{name} is wrong: it has to be {forms}")
    if parts.fragment or "://" not in url:
        raise SettingsError(f"{name} is wrong: it has to be {forms}; {_ENCODE}")
    return parts


def _nodes(parts: SplitResult) -> list[SplitResult]:
    """One for each host; only a cluster has several, with commas between."""
    if not parts.scheme.endswith(CLUSTER):
        return [parts]
    user, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=f"{user}{at}{host.strip()}") for host in hosts.split(",")]


def _check_host(name: str, parts: SplitResult) -> None:
    try:
        is_good = parts.port is None or parts.port > 0
        is_good = is_good and "," not in parts.netloc.rpartition("@")[2]
    except ValueError:
        is_good = False
    if not is_good:
        raise SettingsError(f"{name} is wrong after the //: host or host:port; {_ENCODE}")


def _check_user(name: str, parts: SplitResult) -> None:
    if parts.username and not parts.password:
        raise SettingsError(f"{name} is wrong: a user without a password")


def _check_database(name: str, parts: SplitResult) -> None:
    number = parts.path.strip("/")
    if number and not (number.isascii() and number.isdigit()):
        raise SettingsError(f"{name} is wrong after the host: the number of a database, as in /0")
    if parts.scheme.endswith(CLUSTER) and int(number or 0):
        raise SettingsError(f"{name} is wrong: a cluster has database 0 alone")


def _check_options(name: str, parts: SplitResult) -> None:
    known = _OPTIONS.get(parts.scheme.removesuffix(CLUSTER), ())
    options = parse_qs(parts.query, keep_blank_values=True)
    if not options.keys() <= set(known):
        raise SettingsError(
            f"{name} is wrong after the ?: "
            f"{', '.join(known) or 'such an address has no options'}; {_ENCODE}"
        )
    if not set(options.get("ssl_cert_reqs", ["required"])) <= {"required", "none"}:
        raise SettingsError(f"{name} is wrong: ssl_cert_reqs is required or none")
    for option in _TLS_FILES:
        if option in options and not Path(options[option][0]).is_file():
            raise SettingsError(f"{name} is wrong: the file of {option} is not there")

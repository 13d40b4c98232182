"""The operator's TOML file (`AI_GATEWAY_CONFIG`): what does not fit into environment variables.

A wrong file raises `SettingsError` with one line that names the file and the line in it.
`docs/configuration.md` describes every table; a test holds the example there to this reader.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from ai_gateway.settings.known_providers import KNOWN_BY_NAME, KnownProvider
from ai_gateway.settings.operator_prices import (
    ListedLimits,
    ListedPrice,
    read_limits,
    read_prices,
)
from ai_gateway.settings.provider_keys import ProviderKey, parts_of, read_provider_key
from ai_gateway.settings.toml_table import Table, near, parse, shown
from ai_gateway.settings.values import DialectWord, ProviderSettings, SettingsError

TABLES = ("providers", "azure", "aliases", "prices", "models")
MOST_MODEL_CHARACTERS = 128

_DIALECTS: tuple[DialectWord, ...] = get_args(DialectWord)
_PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class OperatorFile:
    """All that the file says; empty where there is none."""

    providers: tuple[ProviderSettings, ...] = ()
    azure_deployments: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    prices: tuple[ListedPrice, ...] = ()
    limits: tuple[ListedLimits, ...] = ()


def read_operator_file(path: Path, env: Mapping[str, str]) -> OperatorFile:
    """Read and check the file; `env` has the variables that it names."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise SettingsError(
            f"AI_GATEWAY_CONFIG: {path} cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path.name}, line {line}: this is no text in UTF-8") from error
    top = parse(path.name, text)
    top.refuse_unknown(TABLES)
    azure = top.table("azure")
    azure.refuse_unknown(("deployments",))
    tables = top.table("providers")
    providers = tuple(_provider(tables.table(name), env) for name in tables)
    known = [*KNOWN_BY_NAME, *(provider.name for provider in providers)]
    return OperatorFile(
        providers=providers,
        azure_deployments=_deployments(azure.table("deployments")),
        aliases=_aliases(top.table("aliases"), known),
        prices=read_prices(top.array("prices"), known),
        limits=read_limits(top.table("models"), known),
    )


def _provider(table: Table, env: Mapping[str, str]) -> ProviderSettings:
    name = table.name
    if not _PROVIDER_NAME.fullmatch(name):
        raise table.fault(
            "a provider's name has at most 32 lower-case letters, digits, - and _, a letter first"
        )
    table.refuse_unknown(("preset", "dialect", "base_url", "api_key_env"))
    preset, dialect = _kind(table)
    row = KNOWN_BY_NAME.get(preset or "")
    base_url = _base_url(table)
    if base_url is None and (row is None or not row.has_address):
        raise table.fault("base_url is missing")
    key = _api_key(table, env, KNOWN_BY_NAME.get(name))
    if key is None and base_url is None and row is not None:
        raise table.fault(f"api_key_env is missing: {row.name} needs a key")
    return ProviderSettings(name, preset, dialect, base_url, *parts_of(key))


def _kind(table: Table) -> tuple[str | None, DialectWord]:
    """The row to start from, if any, and the wire format."""
    preset, dialect = table.text("preset"), table.text("dialect")
    if (preset is None) == (dialect is None):
        raise table.fault("give either preset or dialect", "dialect" if preset else None)
    namesake = KNOWN_BY_NAME.get(table.name)
    if preset is not None:
        if preset not in KNOWN_BY_NAME:
            raise table.fault(
                f"preset {shown(preset)} is unknown; {near(preset, KNOWN_BY_NAME)}", "preset"
            )
        if namesake and preset != namesake.name:
            raise table.fault(
                f"the name belongs to a built-in provider: its preset is {namesake.name}", "preset"
            )
        return preset, KNOWN_BY_NAME[preset].dialect
    for word in _DIALECTS:
        if word == dialect:
            if namesake and namesake.dialect != word:
                raise table.fault(
                    f"the name belongs to a built-in provider: its dialect is {namesake.dialect}",
                    "dialect",
                )
            return (namesake.name if namesake else None), word
    raise table.fault(
        f"dialect {shown(dialect or '')} is unknown: use one of {', '.join(_DIALECTS)}", "dialect"
    )


def _base_url(table: Table) -> str | None:
    value = table.text("base_url")
    if value is None:
        return None
    try:
        url = urlsplit(value)
        is_good = url.scheme in {"http", "https"} and bool(url.hostname)
        holds_more = bool(url.username or url.password or url.query or url.fragment)
    except ValueError:
        is_good = holds_more = False
    # The value may hold a password, so it is not repeated.
    if not is_good:
        raise table.fault(
            "base_url has to be an address that starts with http:// or https://", "base_url"
        )
    if holds_more:
        raise table.fault("base_url has no place for a credential or a query", "base_url")
    return value


def _api_key(
    table: Table, env: Mapping[str, str], namesake: KnownProvider | None
) -> ProviderKey | None:
    variable = table.text("api_key_env")
    if variable is None:
        return read_provider_key(env, namesake.key_variable) if namesake else None
    if not _VARIABLE.fullmatch(variable):
        # Whoever writes the key itself here must not find it in a log.
        raise table.fault(
            "api_key_env has to be the name of a variable, in capital letters", "api_key_env"
        )
    key = read_provider_key(env, variable)
    if key is None:
        raise table.fault(
            f"api_key_env: the variable {variable} is not set or empty", "api_key_env"
        )
    return key


def _deployments(table: Table) -> dict[str, str]:
    deployments = {}
    for name in table:
        if not _is_model_name(name) or "/" in name:
            raise table.fault(f"{shown(name)} is no name of a deployment", name)
        deployments[name] = _model_named(table, name)
    return deployments


def _aliases(table: Table, known: Collection[str]) -> dict[str, str]:
    aliases = {}
    for name in table:
        if not _is_model_name(name):
            raise table.fault(f"{shown(name)} is no name that a client could ask for", name)
        prefix, slash, _ = name.partition("/")
        if slash and prefix in known:
            raise table.fault(f"{shown(name)} names a model of {prefix} already", name)
        aliases[name] = _model_named(table, name)
    for name, model in aliases.items():
        if model in aliases:
            raise table.fault(
                f"{shown(name)} leads to {shown(model)}, which is an alias itself; "
                "an alias leads to a model",
                name,
            )
    return aliases


def _model_named(table: Table, key: str) -> str:
    model = table.required_text(key)
    if not _is_model_name(model):
        raise table.fault(
            f"{shown(model)} is no model: write provider/model or the name of a model", key
        )
    return model


def _is_model_name(name: str) -> bool:
    is_whole = bool(name) and name.strip() == name and name.isprintable()
    return is_whole and len(name) <= MOST_MODEL_CHARACTERS and all(name.split("/"))

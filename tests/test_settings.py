"""What the environment may say: each wrong value stops the start with exactly one clear line."""

from collections.abc import Mapping
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from ai_gateway.settings import OWN_VARIABLES, Secret, Settings, SettingsError, read_settings

STRONG = "3f9c0a7d5be1428896d2c4f0a1b7e35d"


def refusal(env: Mapping[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings(env)
    return str(caught.value)


def test_everything_has_a_default() -> None:
    settings = read_settings({})
    assert (settings.host, settings.port, settings.web_concurrency) == ("127.0.0.1", 8000, None)
    assert settings.data_dir == Path("var").resolve()
    assert (settings.database_url, settings.redis_url) == (None, None)
    assert (settings.secret_key, settings.key_pepper) == (None, None)
    assert (settings.simulator, settings.log_level, settings.log_format) == ("auto", "info", "auto")
    assert str(settings.timezone) == "UTC"
    assert settings.cost_tracking_enabled
    assert settings.installation_monthly_limit == Decimal(1000)
    assert settings.user_daily_limit == Decimal(5)
    assert settings.user_monthly_limit == Decimal(1000)
    assert settings.uncapped_output_tokens == 32768
    assert settings.on_disconnect == "drain"
    assert settings.metrics_allow == (ip_network("127.0.0.0/8"), ip_network("::1/128"))


GOOD: dict[str, tuple[str, str, str, Any]] = {
    "host": ("HOST", "0.0.0.0", "host", "0.0.0.0"),  # noqa: S104  # read, not listened on
    "lowest port": ("PORT", "1", "port", 1),
    "highest port": ("PORT", "65535", "port", 65535),
    "blanks around": ("PORT", " 80 ", "port", 80),
    "empty is absent": ("PORT", "", "port", 8000),
    "blank is absent": ("PORT", "  ", "port", 8000),
    "workers": ("WEB_CONCURRENCY", "4", "web_concurrency", 4),
    "another case": ("AI_GATEWAY_SIMULATOR", "ON", "simulator", "on"),
    "level": ("AI_GATEWAY_LOG_LEVEL", "debug", "log_level", "debug"),
    "yes": ("AI_COST_TRACKING_ENABLED", "Yes", "cost_tracking_enabled", True),
    "off": ("AI_COST_TRACKING_ENABLED", "off", "cost_tracking_enabled", False),
    "zero": ("AI_COST_TRACKING_ENABLED", "0", "cost_tracking_enabled", False),
    "nothing to spend": ("AI_USER_DAILY_SPEND_LIMIT_USD", "0", "user_daily_limit", Decimal(0)),
    "nine decimals": (
        "AI_USER_DAILY_SPEND_LIMIT_USD",
        "0.000000001",
        "user_daily_limit",
        Decimal("1e-9"),
    ),
    "most": (
        "AI_MONTHLY_SPEND_LIMIT_USD",
        "9000000",
        "installation_monthly_limit",
        Decimal(9_000_000),
    ),
    "month follows the installation": (
        "AI_MONTHLY_SPEND_LIMIT_USD",
        "70",
        "user_monthly_limit",
        Decimal(70),
    ),
    "driver": (
        "DATABASE_URL",
        "postgresql+psycopg://h/db",
        "database_url",
        "postgresql+psycopg://h/db",
    ),
    "socket": ("REDIS_URL", "unix:///run/a.sock", "redis_url", "unix:///run/a.sock"),
    "networks": (
        "AI_GATEWAY_METRICS_ALLOW",
        "10.0.0.0/8, ::1",
        "metrics_allow",
        (ip_network("10.0.0.0/8"), ip_network("::1")),
    ),
    "origins": (
        "AI_GATEWAY_CORS_ORIGINS",
        "https://pages.example.com, http://localhost:3000,http://[::1]:8080",
        "cors_origins",
        ("https://pages.example.com", "http://localhost:3000", "http://[::1]:8080"),
    ),
    "no origin": ("AI_GATEWAY_CORS_ORIGINS", " ", "cors_origins", ()),
    "slot": ("AI_GATEWAY_WORKER_SLOT", "0", "worker_slot", 0),
    "disconnect": ("AI_GATEWAY_ON_DISCONNECT", "cancel", "on_disconnect", "cancel"),
    "tokens": ("AI_GATEWAY_UNCAPPED_OUTPUT_TOKENS", "1", "uncapped_output_tokens", 1),
}


@pytest.mark.parametrize(("variable", "text", "name", "value"), GOOD.values(), ids=GOOD)
def test_good_value_is_read(variable: str, text: str, name: str, value: object) -> None:
    assert getattr(read_settings({variable: text}), name) == value


def test_zone_is_read() -> None:
    zone = read_settings({"AI_GATEWAY_TIMEZONE": "Asia/Kathmandu"}).timezone
    assert zone.key == "Asia/Kathmandu"


BAD = {
    "prices of no server": ("AI_GATEWAY_PRICES_REFRESH_URL", "file:///etc/prices.json"),
    "prices every now": ("AI_GATEWAY_PRICES_REFRESH_HOURS", "0"),
    "prices once a year": ("AI_GATEWAY_PRICES_REFRESH_HOURS", "8760"),
    "every origin": ("AI_GATEWAY_CORS_ORIGINS", "*"),
    "origin of a file": ("AI_GATEWAY_CORS_ORIGINS", "null"),
    "origin with a path": ("AI_GATEWAY_CORS_ORIGINS", "https://pages.example.com/"),
    "origin with a star": ("AI_GATEWAY_CORS_ORIGINS", "https://*.example.com"),
    "origin in capitals": ("AI_GATEWAY_CORS_ORIGINS", "https://Pages.example.com"),
    "origin without a scheme": ("AI_GATEWAY_CORS_ORIGINS", "pages.example.com"),
    "origin with a user": ("AI_GATEWAY_CORS_ORIGINS", "https://u@pages.example.com"),
    "an origin too few": ("AI_GATEWAY_CORS_ORIGINS", "https://pages.example.com,"),
    "port of letters": ("PORT", "http"),
    "port of nothing": ("PORT", "0"),
    "port too high": ("PORT", "65536"),
    "negative port": ("PORT", "-1"),
    "port with a fraction": ("PORT", "80.0"),
    "digits of another script": ("PORT", "\u0661\u0662"),
    "no workers": ("WEB_CONCURRENCY", "0"),
    "too many workers": ("WEB_CONCURRENCY", "257"),
    "unknown word": ("AI_GATEWAY_SIMULATOR", "maybe"),
    "level of another program": ("AI_GATEWAY_LOG_LEVEL", "trace"),
    "unknown format": ("AI_GATEWAY_LOG_FORMAT", "xml"),
    "unknown end": ("AI_GATEWAY_ON_DISCONNECT", "stop"),
    "neither true nor false": ("AI_COST_TRACKING_ENABLED", "maybe"),
    "negative amount": ("AI_USER_DAILY_SPEND_LIMIT_USD", "-1"),
    "amount with a sign": ("AI_USER_DAILY_SPEND_LIMIT_USD", "$5"),
    "amount with a comma": ("AI_USER_DAILY_SPEND_LIMIT_USD", "1,50"),
    "ten decimals": ("AI_USER_DAILY_SPEND_LIMIT_USD", "0.0000000001"),
    "too much": ("AI_MONTHLY_SPEND_LIMIT_USD", "9000000.01"),
    "no number": ("AI_MONTHLY_SPEND_LIMIT_USD", "NaN"),
    "signalling no number": ("AI_MONTHLY_SPEND_LIMIT_USD", "sNaN"),
    "no end": ("AI_MONTHLY_SPEND_LIMIT_USD", "Infinity"),
    "absurd exponent": ("AI_MONTHLY_SPEND_LIMIT_USD", "1e999999"),
    "zone outside": ("AI_GATEWAY_TIMEZONE", "../../etc/passwd"),
    "folder of zones": ("AI_GATEWAY_TIMEZONE", "Europe"),
    "nul in the zone": ("AI_GATEWAY_TIMEZONE", "UTC\0"),
    "another database": ("DATABASE_URL", "mysql://h/db"),
    "no database": ("DATABASE_URL", "h/db"),
    "another store": ("REDIS_URL", "http://h"),
    "address of a provider": ("OPENAI_BASE_URL", "ftp://h"),
    "no network": ("AI_GATEWAY_METRICS_ALLOW", "localhost"),
    "bits of a host": ("AI_GATEWAY_METRICS_ALLOW", "10.0.0.1/8"),
    "comma too many": ("AI_GATEWAY_METRICS_ALLOW", "10.0.0.0/8,"),
    "short secret": ("SECRET_KEY", "abc123"),
    "empty secret": ("SECRET_KEY", ""),
    "blank secret": ("AI_GATEWAY_KEY_PEPPER", "  "),
    "known secret": ("SECRET_KEY", "changeme-changeme-changeme"),
    "repeated secret": ("AI_GATEWAY_METRICS_TOKEN", "a" * 64),
    "no tokens": ("AI_GATEWAY_UNCAPPED_OUTPUT_TOKENS", "0"),
    "line end in a value": ("AI_GATEWAY_SIMULATOR", "on\nforged line"),
}


@pytest.mark.parametrize(("variable", "text"), BAD.values(), ids=BAD)
def test_wrong_value_is_refused_with_one_line_that_names_the_variable(
    variable: str, text: str
) -> None:
    line = refusal({variable: text})
    assert len(line.splitlines()) == 1
    assert line.startswith(variable)
    assert len(line) < 250


UNREADABLE = {
    "zone that nobody knows": ("AI_GATEWAY_TIMEZONE", "Europe/Nowhere"),
    "half an address": ("DATABASE_URL", "postgresql://[::1/db"),
    "absurd number": ("PORT", "9" * 5_000),
}


@pytest.mark.parametrize(("variable", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_wrong_value_never_ends_in_a_traceback(variable: str, text: str) -> None:
    assert refusal({variable: text}).startswith(variable)


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "OPENAI_BASE_URL"])
def test_password_in_a_wrong_address_is_not_repeated(name: str) -> None:
    assert "hunter2" not in refusal({name: "wrong://user:hunter2@host"})


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "AI_GATEWAY_KEY_PEPPER", "AI_GATEWAY_METRICS_TOKEN"]
)
def test_weak_secret_is_not_repeated(name: str) -> None:
    assert "hunter2" not in refusal({name: "hunter2"})


# Names


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("AI_GATEWAY_SIMULATER", "AI_GATEWAY_SIMULATOR"),
        ("AI_GATEWAY_LOGLEVEL", "AI_GATEWAY_LOG_LEVEL"),
        ("AI_GATEWAY_PEPPER", "AI_GATEWAY_KEY_PEPPER"),
        ("AI_GATEWAY_METRIC_TOKEN", "AI_GATEWAY_METRICS_TOKEN"),
    ],
)
def test_near_name_is_suggested_for_an_unknown_variable(typed: str, meant: str) -> None:
    line = refusal({typed: "x"})
    assert line == f"{typed} is not a setting of the gateway; did you mean {meant}?"


def test_list_of_settings_is_named_where_no_name_is_near() -> None:
    assert refusal({"AI_GATEWAY_": "x"}).endswith(("docs/settings.md", "?"))
    assert "docs/settings.md" in refusal({"AI_GATEWAY_QQQQQQQQQQQQQQQQQQQQQQQQQQQ": "x"})


def test_unknown_variable_is_told_before_a_wrong_value() -> None:
    assert refusal({"PORT": "x", "AI_GATEWAY_X": "y"}).startswith("AI_GATEWAY_X")


@pytest.mark.parametrize("name", ["PATH", "AI_SOMETHING", "ai_gateway_x", "OPENAI_ORG"])
def test_variables_of_others_are_left_alone(name: str) -> None:
    assert read_settings({name: "whatever"}) == read_settings({})


@pytest.mark.parametrize("name", sorted(OWN_VARIABLES))
def test_each_variable_of_ours_may_be_empty_unless_it_is_a_secret(name: str) -> None:
    secrets = ("KEY_PEPPER", "METRICS_TOKEN", "SECRET_KEY_BEFORE")
    if name.removeprefix("AI_GATEWAY_") in secrets:
        assert "empty" in refusal({name: ""})
    else:
        assert read_settings({name: ""}) == read_settings({})


# Secrets


def with_secrets() -> Settings:
    return read_settings(
        {
            "SECRET_KEY": STRONG,
            "AI_GATEWAY_KEY_PEPPER": STRONG,
            "AI_GATEWAY_METRICS_TOKEN": STRONG,
            "OPENAI_API_KEY": STRONG,
        }
    )


def test_secret_is_read() -> None:
    settings = with_secrets()
    assert settings.secret_key == settings.key_pepper == settings.metrics_token == Secret(STRONG)


def test_secrets_are_masked_wherever_they_are_printed() -> None:
    settings = with_secrets()
    for shown in (repr(settings), str(settings), f"{settings.secret_key}", f"{[Secret(STRONG)]}"):
        assert STRONG not in shown
    assert str(Secret(STRONG)) == "********"


@pytest.mark.parametrize(
    ("name", "url"),
    [("DATABASE_URL", "postgresql://u:hunter2@h/db"), ("REDIS_URL", "redis://:hunter2@h")],
)
def test_password_in_the_address_of_a_store_is_masked(name: str, url: str) -> None:
    assert "hunter2" not in repr(read_settings({name: url}))


# What follows from others


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104  # read, not listened on
        ("10.0.0.1", False),
        ("gateway.test", False),
    ],
)
def test_loopback_is_what_others_cannot_reach(host: str, *, is_loopback: bool) -> None:
    assert read_settings({"HOST": host}).is_loopback is is_loopback


@pytest.mark.parametrize(
    ("env", "is_active"),
    [
        pytest.param({}, True, id="nothing configured, on loopback"),
        pytest.param({"HOST": "10.0.0.1"}, False, id="others can reach it"),
        pytest.param({"OPENAI_API_KEY": "sk-x"}, False, id="a provider is configured"),
        pytest.param(
            {"OPENAI_API_KEY": "sk-x", "AI_GATEWAY_SIMULATOR": "on"}, True, id="asked for"
        ),
        pytest.param({"AI_GATEWAY_SIMULATOR": "off"}, False, id="turned off"),
    ],
)
def test_simulator_serves_only_where_no_provider_can_be_meant(
    env: Mapping[str, str], *, is_active: bool
) -> None:
    assert read_settings(env).simulator_active is is_active


@pytest.mark.parametrize(
    ("env", "is_embedded"),
    [
        ({}, True),
        ({"DATABASE_URL": "sqlite:///x"}, False),
        ({"REDIS_URL": "redis://h"}, False),
    ],
    ids=["none", "database", "redis"],
)
def test_stores_are_ours_unless_one_is_named(env: Mapping[str, str], *, is_embedded: bool) -> None:
    assert read_settings(env).is_embedded is is_embedded


def test_settings_cannot_be_altered() -> None:
    with pytest.raises(AttributeError):
        read_settings({}).port = 1  # type: ignore[misc]  # that is the point


def test_entries_stay_for_ever_and_have_a_folder_in_the_data_folder() -> None:
    ledger = read_settings({"AI_GATEWAY_DATA_DIR": "/srv/gateway"}).ledger
    assert (ledger.keep_days, ledger.archive_dir) == (None, Path("/srv/gateway/ledger-archive"))


def test_open_windows_stay_whole_in_the_ledger() -> None:
    assert read_settings({"AI_GATEWAY_LEDGER_KEEP_DAYS": "32"}).ledger.keep_days == 32
    assert "32 to" in refusal({"AI_GATEWAY_LEDGER_KEEP_DAYS": "31"})


def test_where_the_database_is_elsewhere_the_folder_of_old_entries_is_named() -> None:
    elsewhere = {"AI_GATEWAY_LEDGER_KEEP_DAYS": "400", "DATABASE_URL": "postgresql://h/db"}
    assert refusal(elsewhere).startswith("AI_GATEWAY_LEDGER_ARCHIVE_DIR is needed")
    named = elsewhere | {"AI_GATEWAY_LEDGER_ARCHIVE_DIR": "/mnt/archive"}
    assert read_settings(named).ledger.archive_dir == Path("/mnt/archive")

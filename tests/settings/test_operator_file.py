"""The operator's TOML file: what a good one means, and where each wrong one is wrong."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from ai_gateway.settings import (
    ListedLimits,
    ListedPrice,
    PriceTier,
    ProviderSettings,
    Secret,
    Settings,
    SettingsError,
    read_settings,
)

ENV = {"LAB_KEY": "sk-lab-secret", "GROQ_RESEARCH_KEY": "sk-groq-secret", "EMPTY_KEY": " "}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"

Read = Callable[[str], Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read settings with a file of that text."""

    def read_file(text: str) -> Settings:
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return read_settings({**ENV, "AI_GATEWAY_CONFIG": str(path)})

    return read_file


# A good file


def test_example_of_the_docs_is_read(read: Read) -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    settings = read(examples[0])
    assert settings.providers == (
        ProviderSettings("lab", None, "openai", "http://10.0.0.5:8000/v1", Secret("sk-lab-secret")),
        ProviderSettings("groq-research", "groq", "openai", None, Secret("sk-groq-secret")),
    )
    assert settings.azure_deployments == {"eu-mini": "gpt-4o-mini"}
    assert settings.aliases == {"fast": "openai/gpt-4o-mini", "house": "lab/our-model"}
    assert settings.prices == (
        ListedPrice(
            "lab",
            "our-model",
            {
                "input": Decimal("0.15"),
                "cached_input": Decimal("0.075"),
                "output": Decimal("0.60"),
            },
            PriceTier(200_000, {"input": Decimal("0.30"), "output": Decimal("1.20")}),
        ),
    )
    assert settings.limits == (ListedLimits("lab", "our-model", 8192, 131_072, 2000),)


def test_file_without_anything_changes_nothing(read: Read) -> None:
    settings = read("# nothing yet\n")
    assert not any((settings.providers, settings.prices, settings.limits))
    assert settings.aliases == settings.azure_deployments == {}
    assert settings.simulator_active


def test_provider_of_the_file_switches_the_simulator_off(read: Read) -> None:
    settings = read('[providers.lab]\ndialect = "openai"\nbase_url = "http://lab.test"')
    assert not settings.simulator_active


def test_inclusive_tier_begins_one_token_earlier(read: Read) -> None:
    settings = read(
        '[[prices]]\nprovider = "openai"\nmodel = "m"\ninput = "1"\noutput = "2"\n'
        'tier = { threshold = 200000, inclusive = true, input = "2" }'
    )
    assert settings.prices[0].tier == PriceTier(199_999, {"input": Decimal(2)})


def test_high_price_is_taken_when_it_is_confirmed(read: Read) -> None:
    settings = read(
        '[[prices]]\nprovider = "openai"\nmodel = "m"\n'
        'input = "1000"\noutput = "1000.000001"\nconfirm = true'
    )
    assert settings.prices[0].amounts["output"] == Decimal("1000.000001")


def test_table_with_a_built_in_name_replaces_its_variables(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('[providers.groq]\npreset = "groq"\nbase_url = "http://proxy.test/v1"')
    env = {"GROQ_API_KEY": "sk-groq", "GROQ_BASE_URL": "http://old.test", "XAI_API_KEY": "sk-xai"}
    settings = read_settings({**env, "AI_GATEWAY_CONFIG": str(path)})
    assert settings.providers == (
        ProviderSettings("xai", "xai", "openai", None, Secret("sk-xai")),
        ProviderSettings("groq", "groq", "openai", "http://proxy.test/v1", Secret("sk-groq")),
    )


def test_built_in_name_with_its_dialect_is_that_provider(read: Read) -> None:
    settings = read('[providers.openai]\ndialect = "openai"\nbase_url = "http://proxy.test/v1"')
    assert settings.providers[0].preset == "openai"


def test_azure_by_the_file_needs_no_endpoint_in_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('[providers.azure]\npreset = "azure"\nbase_url = "https://eu.test"')
    env = {"AZURE_OPENAI_API_KEY": "sk-azure", "AI_GATEWAY_CONFIG": str(path)}
    assert read_settings(env).providers == (
        ProviderSettings("azure", "azure", "azure", "https://eu.test", Secret("sk-azure")),
    )


def test_limits_may_be_given_one_by_one(read: Read) -> None:
    settings = read('[models."openai/org/m"]\nmax_output = 5\n[models."xai/m"]\ncontext = 7')
    assert settings.limits == (
        ListedLimits("openai", "org/m", 5, None, None),
        ListedLimits("xai", "m", None, 7, None),
    )


# Wrong files


@dataclass(frozen=True)
class Wrong:
    """A file, the line that is wrong, and words of what is told of it."""

    text: str
    line: int
    words: str


PRICE = '[[prices]]\nprovider = "openai"\nmodel = "m"\n'
GOOD_PRICE = PRICE + 'input = "1"\noutput = "2"\n'

SYNTAX = {
    "no TOML": Wrong('[aliases]\nfast = "a"\nslow = \n', 3, "this is no TOML: Invalid value"),
    "ends too soon": Wrong('[aliases]\nfast = "a', 2, "this is no TOML"),
    "key twice": Wrong('[aliases]\nfast = "a"\nfast = "b"\n', 3, "Cannot overwrite a value"),
    "table twice": Wrong("[aliases]\n\n[aliases]\n", 3, "this is no TOML"),
    "nested beyond the parser": Wrong(f"\nx = {'[' * 5000}\n", 2, "nested too deep"),
    "nested beyond the parser within a table": Wrong(f"x = {'{x=' * 3000}1", 1, "nested too deep"),
    "number beyond the parser": Wrong(f"\n\nx = {'1' * 5000}\ny = 1\n", 3, "too long a number"),
}

ENDLESS = {
    "fraction without an end as a price": Wrong(
        PRICE + 'input = 1e99999999999999999999\noutput = "1"', 4, "input = Infinity has to be"
    ),
}

NAMES = {
    "unknown table": Wrong("[alias]\n", 1, "alias is unknown; did you mean aliases?"),
    "unknown table far from all": Wrong("\n[zzz]\n", 2, "zzz is unknown; known are providers,"),
    "unknown key at the top": Wrong("x = 1\n", 1, "x is unknown"),
    "unknown key of a price": Wrong(
        GOOD_PRICE + 'imput = "1"', 6, "prices: imput is unknown; did you mean input?"
    ),
    "unknown key of the second price": Wrong(
        GOOD_PRICE + GOOD_PRICE.replace('"m"', '"n"') + "per = 1", 11, "prices: per is unknown"
    ),
    "unknown key of a tier": Wrong(
        GOOD_PRICE + 'tier = { threshold = 1, out = "1" }', 6, "prices.tier: out is unknown"
    ),
    "unknown key of a tier with a header": Wrong(
        GOOD_PRICE + '[prices.tier]\nthreshold = 1\n"the output" = "1"',
        8,
        '"the output" is unknown',
    ),
    "unknown key of a provider": Wrong(
        '[providers.lab]\npreset = "groq"\napi_key = "sk-lab-secret"',
        3,
        "providers.lab: api_key is unknown; did you mean api_key_env?",
    ),
    "unknown key of azure": Wrong(
        "[azure.deployment]\nx = 'y'", 1, "azure: deployment is unknown; did you mean deployments?"
    ),
    "unknown key of a model": Wrong(
        '[models."xai/m"]\nmax_ouput = 3', 2, 'models."xai/m": max_ouput is unknown; did you mean'
    ),
}

SHAPES = {
    "price is no array": Wrong('[prices]\nprovider = "x"', 1, "write [[prices]] before each"),
    "price is a list of words": Wrong('prices = ["a"]', 1, "write [[prices]] before each"),
    "providers is a word": Wrong('providers = "x"', 1, "providers has to be a table"),
    "provider is a word": Wrong('[providers]\nlab = "x"', 2, "providers: lab has to be a table"),
    "tier is a word": Wrong(GOOD_PRICE + 'tier = "x"', 6, "prices: tier has to be a table"),
    "limits are a number": Wrong('[models]\n"xai/m" = 3', 2, 'models: "xai/m" has to be a table'),
}

PROVIDERS = {
    "neither preset nor dialect": Wrong(
        "\n[providers.lab]\n", 2, "providers.lab: give either preset or dialect"
    ),
    "both preset and dialect": Wrong(
        '[providers.lab]\npreset = "groq"\ndialect = "openai"', 3, "give either preset or dialect"
    ),
    "unknown preset": Wrong(
        '[providers.lab]\npreset = "grok"', 2, 'preset "grok" is unknown; did you mean groq?'
    ),
    "unknown dialect": Wrong(
        '[providers.lab]\ndialect = "gemini"', 2, 'dialect "gemini" is unknown: use one of openai,'
    ),
    "address without a scheme": Wrong(
        '[providers.lab]\ndialect = "openai"\nbase_url = "lab.test/v1"', 3, "base_url has to be an"
    ),
    "address of another scheme": Wrong(
        '[providers.lab]\ndialect = "openai"\nbase_url = "ftp://lab.test"', 3, "http:// or https://"
    ),
    "address without a host": Wrong(
        '[providers.lab]\ndialect = "openai"\nbase_url = "http:///v1"', 3, "base_url has to be an"
    ),
    "address that cannot be read": Wrong(
        '[providers.lab]\ndialect = "openai"\nbase_url = "http://[::1/v1"', 3, "base_url has to be"
    ),
    "address with a password": Wrong(
        '[providers.lab]\ndialect = "openai"\nbase_url = "http://me:sk-lab-secret@lab.test"',
        3,
        "base_url has no place for a credential",
    ),
    "address with a query": Wrong(
        '[providers.lab]\ndialect = "openai"\nbase_url = "http://lab.test?key=sk-lab-secret"',
        3,
        "base_url has no place for a credential",
    ),
    "dialect without an address": Wrong(
        '[providers.lab]\ndialect = "openai"', 1, "providers.lab: base_url is missing"
    ),
    "local preset without an address": Wrong(
        '[providers.lab]\npreset = "vllm"', 1, "providers.lab: base_url is missing"
    ),
    "vendor without a key": Wrong(
        '[providers.lab]\npreset = "groq"', 1, "api_key_env is missing: groq needs a key"
    ),
    "variable that is not set": Wrong(
        '[providers.lab]\npreset = "groq"\napi_key_env = "LAB_KEI"',
        3,
        "LAB_KEI is not set or empty",
    ),
    "variable that is empty": Wrong(
        '[providers.lab]\npreset = "groq"\napi_key_env = "EMPTY_KEY"', 3, "EMPTY_KEY is not set or"
    ),
    "key in place of its variable": Wrong(
        '[providers.lab]\npreset = "groq"\napi_key_env = "gsk_sk-lab-secret"',
        3,
        "api_key_env has to be the name of a variable",
    ),
    "key is a number": Wrong(
        '[providers.lab]\npreset = "groq"\napi_key_env = 3', 3, "api_key_env has to be a string"
    ),
    "name with a slash": Wrong('[providers."a/b"]\npreset = "groq"', 1, "a provider's name has"),
    "name in capitals": Wrong('[providers.Lab]\npreset = "groq"', 1, "a provider's name has"),
    "built-in name with another dialect": Wrong(
        '[providers.groq]\ndialect = "anthropic"\nbase_url = "http://lab.test"',
        2,
        "the name belongs to a built-in provider: its dialect is openai",
    ),
    "built-in name with another preset": Wrong(
        '[providers.openai]\npreset = "groq"\napi_key_env = "LAB_KEY"',
        2,
        "the name belongs to a built-in provider: its preset is openai",
    ),
}

ALIASES = {
    "to nothing": Wrong('[aliases]\nfast = ""', 2, "fast has to be a string with something in it"),
    "to a number": Wrong("[aliases]\nfast = 4", 2, "fast has to be a string"),
    "to no model": Wrong('[aliases]\n\nfast = "openai/"', 3, '"openai/" is no model'),
    "to no provider": Wrong('[aliases]\nfast = "/gpt-4o"', 2, '"/gpt-4o" is no model'),
    "to a name with a space": Wrong('[aliases]\nfast = "gpt-4o "', 2, '"gpt-4o " is no model'),
    "to two lines": Wrong('[aliases]\nfast = "gpt\\n4o"', 2, '"gpt\\n4o" is no model'),
    "to an alias": Wrong(
        '[aliases]\na = "gpt-4o"\nb = "a"', 3, '"b" leads to "a", which is an alias itself'
    ),
    "to itself": Wrong('[aliases]\na = "a"', 2, "which is an alias itself"),
    "without a name": Wrong('[aliases]\n"" = "gpt-4o"', 2, '"" is no name that a client'),
    "like a provider's model": Wrong(
        '[aliases]\n"xai/fast" = "gpt-4o"', 2, '"xai/fast" names a model of xai already'
    ),
    "deployment with a slash": Wrong(
        '[azure.deployments]\n"a/b" = "gpt-4o"', 2, '"a/b" is no name of a deployment'
    ),
    "deployment of nothing": Wrong('[azure.deployments]\nmini = "/"', 2, '"/" is no model'),
}

PRICES = {
    "no amount": Wrong(
        PRICE + 'input = "0.15 USD"\noutput = "2"', 4, 'prices: input "0.15 USD" is no amount'
    ),
    "not a number": Wrong(PRICE + 'input = "NaN"\noutput = "2"', 4, 'input "NaN" is no amount'),
    "endless": Wrong(PRICE + 'input = "inf"\noutput = "2"', 4, 'input "inf" is no amount'),
    "with an exponent": Wrong(PRICE + 'input = "1e-3"\noutput = "2"', 4, '"1e-3" is no amount'),
    "negative": Wrong(PRICE + 'input = "1"\noutput = "-2"', 5, 'output "-2" is negative'),
    "a float": Wrong(
        PRICE + 'input = 0.15\noutput = "2"', 4, 'has to be a string, to stay exact: "0.15"'
    ),
    "a whole number": Wrong(PRICE + 'input = "1"\noutput = 2', 5, "output = 2 has to be a string"),
    "true": Wrong(PRICE + 'input = true\noutput = "2"', 4, "input has to be a string"),
    "seven decimals": Wrong(
        PRICE + 'input = "0.1234567"\noutput = "2"', 4, "has more than 6 decimals"
    ),
    "a slip": Wrong(PRICE + 'input = "1000.01"\noutput = "2"', 4, "add: confirm = true"),
    "too high for all": Wrong(
        PRICE + 'input = "1"\noutput = "1000001"\nconfirm = true', 5, "more than 1,000,000 USD"
    ),
    "confirmed by a word": Wrong(
        GOOD_PRICE + 'confirm = "yes"', 6, "confirm has to be true or false"
    ),
    "without input": Wrong(PRICE + 'output = "2"', 1, "prices: input is missing"),
    "without output": Wrong(PRICE + 'input = "2"', 1, "prices: output is missing"),
    "without a model": Wrong('[[prices]]\nprovider = "xai"', 1, "prices: model is missing"),
    "without a provider": Wrong('\n[[prices]]\nmodel = "m"', 2, "prices: provider is missing"),
    "of no provider": Wrong(
        GOOD_PRICE.replace("openai", "opneai"), 2, '"opneai" is no provider; did you mean openai?'
    ),
    "twice": Wrong(GOOD_PRICE + GOOD_PRICE, 8, '"openai/m" has a price already'),
    "tier without a threshold": Wrong(
        GOOD_PRICE + 'tier = { input = "1" }', 6, "prices.tier: threshold is missing"
    ),
    "tier from 0": Wrong(
        GOOD_PRICE + 'tier = { threshold = 0, input = "1" }', 6, "threshold has to be a whole"
    ),
    "tier without a price": Wrong(
        GOOD_PRICE + "tier = { threshold = 9 }", 6, "the tier has no price of its own"
    ),
    "wrong price of a tier": Wrong(
        GOOD_PRICE + 'tier = { threshold = 9, input = "x" }', 6, 'prices.tier: input "x" is no'
    ),
    "slip in a tier": Wrong(
        GOOD_PRICE + 'tier = { threshold = 9, input = "5000" }', 6, "add: confirm = true"
    ),
}

LIMITS = {
    "without a provider": Wrong("[models.our-model]\ncontext = 1", 1, 'has to be "provider/model"'),
    "of no provider": Wrong('[models."lap/m"]\ncontext = 1', 1, '"lap/m": "lap" is no provider'),
    "of nothing": Wrong('[models."xai/m"]\n\nmax_output = 0', 3, "max_output has to be a whole"),
    "as text": Wrong('[models."xai/m"]\ncontext = "1"', 2, "context has to be a whole number"),
    "true": Wrong('[models."xai/m"]\ncontext = true', 2, "context has to be a whole number"),
    "beyond reason": Wrong('[models."xai/m"]\nmedia_hold_tokens = 10000001', 2, "from 1 to 10000"),
}

GROUPS = {
    "syntax": SYNTAX,
    "endless": ENDLESS,
    "names": NAMES,
    "shapes": SHAPES,
    "providers": PROVIDERS,
    "aliases": ALIASES,
    "prices": PRICES,
    "limits": LIMITS,
}
ALL_WRONG = [
    pytest.param(wrong, id=f"{group}: {name}")
    for group, cases in GROUPS.items()
    for name, wrong in cases.items()
]


@pytest.mark.parametrize("wrong", ALL_WRONG)
def test_wrong_file_is_refused_by_one_line_that_names_the_place(read: Read, wrong: Wrong) -> None:
    with pytest.raises(SettingsError) as caught:
        read(wrong.text)
    told = str(caught.value)
    assert told.startswith(f"gateway.toml, line {wrong.line}: "), told
    assert wrong.words in told
    assert "\n" not in told
    assert "secret" not in told


def test_line_is_found_behind_texts_that_look_like_keys(read: Read) -> None:
    text = '# a = 1\n[aliases] # [x]\n"a = b" = "gpt-4o" # fast = 2\n fast = "/"'
    with pytest.raises(SettingsError, match=r"gateway\.toml, line 4: aliases: \"/\" is no model"):
        read(text)


def test_line_of_a_table_is_found_behind_an_array_of_several_lines(read: Read) -> None:
    text = '[aliases]\nfast = [\n["a", "b"],\n[]\n]\n'
    with pytest.raises(SettingsError, match=r"line 2: aliases: fast has to be a string"):
        read(text)


def test_dotted_keys_have_lines_too(read: Read) -> None:
    with pytest.raises(SettingsError, match=r"line 2: providers\.lab: preset \"x\" is unknown"):
        read('# dotted\nproviders.lab.preset = "x"\n')


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(SettingsError, match=r"AI_GATEWAY_CONFIG: .*none\.toml cannot be read: No"):
        read_settings({"AI_GATEWAY_CONFIG": str(path)})


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes('[aliases]\nä = "gpt-4o"'.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"gateway\.toml, line 2: this is no text in UTF-8"):
        read_settings({"AI_GATEWAY_CONFIG": str(path)})

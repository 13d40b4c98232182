"""S26, S48, S49, S63: what must stay secret is planted, and looked for, everywhere."""

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ai_gateway.factory import SHUTDOWN_EXTENSION
from ai_gateway.telemetry.logs import JsonFormatter, TextFormatter
from simulator.testing import RunningSimulator
from tests.gateway_app import ANTHROPIC, OPENAI, GatewayApp, credential, opened_app
from tests.langsmith.stand_in import StandIn
from tests.langsmith.stand_in import running as running_langsmith
from tests.redis_servers import RedisServer
from tests.running import wait_for
from tests.seeding import PASSWORD
from tests.web.staff_app import csrf_token, log_in

PROMPT = "canary-prompt-5b1f"
PROVIDER_KEY = "sk-canary-provider-8d2e7a90"
TYPED = "canary-password-c4e2"
FORGED = '\n{"event":"forged-7a"}\r\x1b[31mforged-7a'


@dataclass
class Story:
    """What was planted, and where it could have come to."""

    gateway: GatewayApp
    langsmith: StandIn
    server: RedisServer
    lines: io.StringIO
    texts: io.StringIO
    secrets: dict[str, str] = field(default_factory=dict)

    def places(self) -> dict[str, bytes]:
        """Everything that is written down or told, by its name."""
        found = {
            "logs": self.lines.getvalue().encode(),
            "logs for reading": self.texts.getvalue().encode(),
            "LangSmith": b"".join(self.langsmith.bodies),
        }
        for folder in (self.gateway.data_dir, self.server.data_dir):
            for path in folder.rglob("*"):
                if path.is_file():
                    found[f"{folder.name}/{path.name}"] = path.read_bytes()
        return found | self.pages()

    def pages(self) -> dict[str, bytes]:
        """Every page and every answer without a number in its address, as an administrator."""
        client = self.gateway.app.test_client()
        log_in(client, self.gateway.make_staff("--role", "admin"))
        rules = self.gateway.app.url_map.iter_rules()
        plain = {
            rule.rule for rule in rules if "GET" in (rule.methods or ()) and "<" not in rule.rule
        }
        one_user = {f"/admin/ai-analytics/users/{number}/" for number in (1, 2, 3)}
        found = {}
        for address in sorted(plain | one_user):
            with client.get(address) as answer:
                assert answer.status_code < 500, address
                found[address] = answer.data
        return found


@pytest.fixture(scope="module")
def story(server: RedisServer, simulator: RunningSimulator) -> Iterator[Story]:
    with running_langsmith() as langsmith:
        variables = {
            "AI_GATEWAY_SIMULATOR": "off",
            "OPENAI_API_KEY": PROVIDER_KEY,
            "OPENAI_BASE_URL": simulator.openai_url,
            "ANTHROPIC_API_KEY": PROVIDER_KEY,
            "ANTHROPIC_BASE_URL": simulator.url,
            "LANGSMITH_API_KEY": langsmith.key,
            "LANGSMITH_ENDPOINT": langsmith.url,
        }
        with opened_app(server, variables=variables) as gateway:
            told = Story(gateway, langsmith, server, io.StringIO(), io.StringIO())
            with listening(told):
                plant(told)
                gateway.app.extensions[SHUTDOWN_EXTENSION]()
                wait_for(lambda: langsmith.runs, "calls are in LangSmith", 20)
                yield told


class listening:  # noqa: N801 - reads as a statement
    """Take down every line of every logger, in both forms."""

    def __init__(self, story: Story) -> None:
        self._handlers = [logging.StreamHandler(story.lines), logging.StreamHandler(story.texts)]
        for handler, formatter in zip(
            self._handlers, (JsonFormatter(), TextFormatter()), strict=True
        ):
            handler.setFormatter(formatter)

    def __enter__(self) -> None:
        for handler in self._handlers:
            logging.getLogger().addHandler(handler)

    def __exit__(self, *_: object) -> None:
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)


def plant(story: Story) -> None:
    """Let each secret go every way that it has."""
    gateway = story.gateway
    key, wrong = gateway.make_key(), gateway.make_key()[:-10] + "0" * 10
    story.secrets = {
        "the prompt": PROMPT,
        "the key of the provider": PROVIDER_KEY,
        "a key": key,
        "the secret of a key": key.split("_")[2],
        "a wrong key": wrong,
        "a password": PASSWORD,
        "a wrong password": TYPED,
        "the pepper": gateway.environment["AI_GATEWAY_KEY_PEPPER"],
    }
    for path in (OPENAI, ANTHROPIC):
        for marker in (
            "",
            "[[status=400]]",
            "[[status=401]]",
            "[[status=500]]",
            "[[garbage]]",
            "[[cut=1]]",
        ):
            gateway.call(key, path, f"{PROMPT} {marker}")
            with gateway.call(key, path, f"{PROMPT} {marker}", stream=True) as stream:
                assert stream.data
        gateway.call(wrong, path, PROMPT)
        gateway.call(key, path, PROMPT, model=FORGED)
        gateway.call(key, path, PROMPT, max_tokens=-1)
        forged = {"user-agent": "x" + FORGED.replace("\n", "").replace("\r", "")}
        query = {"api_key": key, "key": key, "q": FORGED}
        gateway.client.post(path, query_string=query, headers=forged, data=PROMPT)
    gateway.client.get(f"/v1/{key}{FORGED}", headers=credential(key))
    gateway.client.get("/v1/responses/x", query_string={"api_key": key}, headers=credential(wrong))
    browser = gateway.app.test_client()
    for name, password in (("admin", TYPED), (TYPED, PASSWORD), (f"admin{FORGED}", TYPED)):
        token = csrf_token(browser)
        browser.post("/login", data={"username": name, "password": password, "csrf_token": token})
    name = gateway.make_staff("--role", "admin")
    log_in(browser, name)
    for page in (
        "/admin/user/",
        "/admin/audit/",
        "/admin/api-keys/",
        "/admin/ai-analytics/requests/",
    ):
        browser.get(page, query_string={"q": key, "search": key, "key": key})
    with gateway.app.app_context():
        while gateway.bookkeeper().book(block_ms=None):
            pass


def test_the_call_was_made_with_the_key_of_the_provider(
    story: Story, simulator: RunningSimulator
) -> None:
    """Else nothing below says anything."""
    calls = simulator.calls()
    assert any(PROMPT in json.dumps(call["request_body"]) for call in calls)
    assert any(PROVIDER_KEY[-4:] in json.dumps(call["request_headers"]) for call in calls)
    assert story.langsmith.runs


def test_no_secret_is_anywhere(story: Story) -> None:
    hits = [
        (name, place)
        for place, content in story.places().items()
        for name, secret in story.secrets.items()
        if secret.encode() in content
    ]
    assert hits == []


def test_what_was_looked_through_is_what_there_is(story: Story) -> None:
    places = story.places()
    assert {
        "logs",
        "LangSmith",
        "/metrics",
        "/admin/audit/",
        "/admin/ai-analytics/requests/",
    } <= set(places)
    assert any(name.endswith(".sqlite3") for name in places)
    assert any("appendonly" in name for name in places)
    assert all(places[name] for name in ("logs", "LangSmith", "/metrics"))


def test_what_a_client_sends_forges_no_line(story: Story) -> None:
    lines = story.lines.getvalue().splitlines()
    assert len(lines) > 20
    for line in lines:
        assert json.loads(line)["event"] != "forged-7a"
        assert line.isprintable()
    for line in story.texts.getvalue().splitlines():
        assert line.isprintable()
        assert not re.match(r'\{"event":"forged', line)


def test_a_stolen_copy_of_both_stores_holds_no_key_that_works(story: Story) -> None:
    """What is kept of a key is a digest that needs the pepper, and that is not with it."""
    kept = b"".join(
        content
        for place, content in story.places().items()
        if Path(place).suffix in {".sqlite3", ".aof"} or "appendonly" in place or "wal" in place
    )
    assert story.secrets["a key"].split("_")[1].encode() in kept
    for digest in set(re.findall(rb"\b[0-9a-f]{64}\b", kept)):
        assert story.gateway.call(digest.decode()).status_code == 401

"""Clients that know nothing of the gateway: LangChain, coding agents, the examples of the docs."""

import http.client
import json
import os
import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from simulator.calls import CallFacts
from simulator.testing import Recorded
from tests.e2e.caller import DIALECTS, MODELS, PATHS, Caller, Dialect
from tests.running import PROJECT

DOC = (PROJECT / "docs" / "clients.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
PIXEL = "iVBORw0KGgo="
EPHEMERAL = {"type": "ephemeral"}
SHELL = {
    "type": "object",
    "properties": {"command": {"type": "array", "items": {"type": "string"}}},
    "required": ["command"],
}


def only_call(caller: Caller) -> CallFacts:
    """The one call of a user as the provider saw it."""
    (call,) = caller.simulated()
    return call


# LangChain


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"rain in {city}"


def langchain(caller: Caller, dialect: Dialect) -> BaseChatModel:
    key = SecretStr(caller.key)
    if dialect == "openai":
        address = f"{caller.gateway.base_url}/v1"
        return ChatOpenAI(model=MODELS[dialect], base_url=address, api_key=key)
    return ChatAnthropic(
        model_name=MODELS[dialect],
        base_url=caller.gateway.base_url,
        api_key=key,
        timeout=None,
        stop=None,
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_langchain_gets_its_answer(caller: Caller, dialect: Dialect) -> None:
    answer = langchain(caller, dialect).invoke(f"[[tokens=4]] {caller.tag}")
    assert answer.text == "Hello from the AI"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == 4
    assert caller.booked_once(1)[0]["cost_nano_usd"] == caller.billed()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_langchain_streams(caller: Caller, dialect: Dialect) -> None:
    chunks = list(langchain(caller, dialect).stream(f"[[tokens=4]] {caller.tag}"))
    assert "".join(chunk.text for chunk in chunks) == "Hello from the AI"
    assert len(chunks) >= 4
    (entry,) = caller.booked_once(1)
    assert (entry["stream"], entry["confidence"]) == (1, "reported")
    assert entry["cost_nano_usd"] == caller.billed()


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_langchain_calls_a_tool(caller: Caller, dialect: Dialect, way: str) -> None:
    model = langchain(caller, dialect).bind_tools([weather])

    def ask(conversation: list[BaseMessage]) -> Any:
        if way == "whole":
            return model.invoke(conversation)
        first, *more = model.stream(conversation)
        return sum(more, first)

    asked: list[BaseMessage] = [HumanMessage(f"[[tool]] [[tokens=3]] Oslo? {caller.tag}")]
    first = ask(asked)
    (call,) = first.tool_calls
    assert (call["name"], list(call["args"])) == ("weather", ["city"])
    second = ask([*asked, first, ToolMessage("rain", tool_call_id=call["id"])])
    assert second.text == "Hello from the"
    assert sum(entry["cost_nano_usd"] for entry in caller.booked_once(2)) == caller.billed()


# Coding agents, by what they send


CLAUDE_CODE_BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14"
)


def claude_code_body(caller: Caller) -> dict[str, Any]:
    return {
        "model": MODELS["anthropic"],
        "max_tokens": 32_000,
        "temperature": 1,
        "stream": True,
        "system": [
            {"type": "text", "text": "You are a coding agent.", "cache_control": EPHEMERAL},
            {"type": "text", "text": "Be brief.", "cache_control": {**EPHEMERAL, "ttl": "1h"}},
        ],
        "metadata": {"user_id": "user_0123_account__session_4567"},
        "thinking": {"type": "enabled", "budget_tokens": 1_024},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "tools": [
            {
                "name": "Bash",
                "description": "Run a command.",
                "input_schema": {**SHELL, "additionalProperties": False},
                "eager_input_streaming": True,
            },
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "List the files."}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "They want ls.", "signature": "c2ln"},
                    {
                        "type": "tool_use",
                        "id": "toolu_1",
                        "name": "Bash",
                        "input": {"command": ["ls"]},
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": False,
                        "content": [
                            {"type": "text", "text": "a.py"},
                            {
                                "type": "image",
                                "source": {
                                    "type": "base64",
                                    "media_type": "image/png",
                                    "data": PIXEL,
                                },
                            },
                        ],
                    },
                    {
                        "type": "text",
                        "text": f"[[tokens=5]] {caller.tag}",
                        "cache_control": EPHEMERAL,
                    },
                ],
            },
        ],
    }


def codex_body(caller: Caller) -> dict[str, Any]:
    return {
        "model": "gpt-4o-mini",
        "instructions": "You are a coding agent.",
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "01890a5d-0000-7000-8000-000000000000",
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "reasoning": {"effort": "medium", "summary": "auto"},
        "text": {"verbosity": "low"},
        "client_metadata": {"x": 1.5},
        "tools": [
            {"type": "function", "name": "shell", "strict": False, "parameters": SHELL},
            {
                "type": "custom",
                "name": "apply_patch",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
            },
        ],
        "input": [
            message("developer", "Be brief."),
            message("user", "List the files."),
            {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "Z2k="},
            {"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "call_1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "a.py"},
            message("user", f"[[tokens=5]] {caller.tag}"),
        ],
    }


def message(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def events(body: bytes) -> list[str]:
    return re.findall(r"(?m)^event: (\S+)$", body.decode())


def test_request_of_claude_code_passes_unchanged(caller: Caller) -> None:
    body = claude_code_body(caller)
    headers = {
        "x-api-key": "",
        "authorization": f"Bearer {caller.key}",
        "anthropic-beta": CLAUDE_CODE_BETAS,
        "anthropic-dangerous-direct-browser-access": "true",
        "user-agent": "claude-cli/2.9.0 (external, cli)",
        "x-app": "cli",
        "x-stainless-lang": "js",
    }
    answer = caller.post(
        "anthropic", json.dumps(body).encode(), headers, path="/v1/messages?beta=true"
    )
    assert (answer.status, events(answer.body)[-1]) == (200, "message_stop")
    call = only_call(caller)
    assert call["request_body"] == body
    assert call["query"] == "beta=true"
    assert call["request_headers"]["anthropic-beta"] == CLAUDE_CODE_BETAS
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["confidence"]) == ("success", "reported")
    assert entry["cost_nano_usd"] == caller.billed()


def test_request_of_codex_passes_unchanged(caller: Caller) -> None:
    body = codex_body(caller)
    headers = {
        "accept": "text/event-stream",
        "originator": "codex_cli_rs",
        "session_id": "01890a5d-0000-7000-8000-000000000000",
        "user-agent": "codex_cli_rs/0.162.1",
    }
    answer = caller.post("openai", json.dumps(body).encode(), headers, path="/v1/responses")
    assert (answer.status, events(answer.body)[-1]) == (200, "response.completed")
    assert only_call(caller)["request_body"] == body
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["confidence"]) == ("success", "reported")
    assert entry["cost_nano_usd"] == caller.billed()


# Untouched, both ways


NOVEL_ANSWERS = {
    "whole": b'{"novel" : [1.50, {}],"x":1}',
    "openai": b'event: novel\ndata: {"type":"novel","x":[1.50,{}]}\n\ndata: [DONE]\n\n',
    "anthropic": b'event: novel\ndata: {"type":"novel","x":[1.50,{}]}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
}
IMAGES: dict[Dialect, dict[str, Any]] = {
    "openai": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    "anthropic": {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
}


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_nobody_knows_passes_both_ways(caller: Caller, dialect: Dialect, way: str) -> None:
    text = {"type": "text", "text": caller.tag}
    content = [text, IMAGES[dialect], {"type": "novel", "deep": [1, {}]}]
    body = caller.body(
        dialect,
        novelty={"a": [None, 1.5, "ü"]},
        max_tokens=50,
        messages=[{"role": "user", "content": content, "novel": True}],
    )
    if way == "streamed":
        body["stream"] = True
        if dialect == "openai":
            body["stream_options"] = {"include_usage": True, "novel": 1}
    answered = NOVEL_ANSWERS[dialect if way == "streamed" else way]
    caller.gateway.simulator.record(Recorded(content=answered), {"marker": caller.tag})
    answer = caller.post(dialect, json.dumps(body).encode())
    assert (answer.status, answer.body) == (200, answered)
    assert only_call(caller)["request_body"] == body


# Headers

ALWAYS_SENT = {"host", "accept-encoding", "user-agent", "content-type", "content-length"}
SENT = {
    "openai": ALWAYS_SENT | {"authorization", "openai-beta"},
    "anthropic": ALWAYS_SENT | {"x-api-key", "anthropic-version", "anthropic-beta"},
}
NOT_SENT = {
    "baggage": "user=1",
    "cookie": "session=1",
    "forwarded": "for=1.2.3.4",
    "openai-organization": "org-mine",
    "openai-project": "proj-mine",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "a=b",
    "x-forwarded-for": "1.2.3.4",
    "x-real-ip": "1.2.3.4",
    "x-request-id": "mine",
}
COMES_BACK = {
    "connection",
    "date",
    "server",
    "cache-control",
    "content-length",
    "content-type",
    "request-id",
    "transfer-encoding",
    "x-accel-buffering",
    "x-ai-gateway-cost-usd",
    "x-ai-gateway-max-tokens",
    "x-ai-gateway-simulator",
    "x-request-id",
}


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_only_listed_headers_pass(caller: Caller, dialect: Dialect, *, is_stream: bool) -> None:
    betas = {"openai-beta": "assistants=v2", "anthropic-beta": "a-2026-01-01,b-2026-01-01"}
    body = json.dumps(caller.body(dialect, "[[tokens=2]]", stream=is_stream)).encode()
    answer = caller.post(dialect, body, NOT_SENT | betas)
    assert answer.status == 200
    sent = only_call(caller)["request_headers"]
    assert sent.keys() == SENT[dialect]
    name = f"{dialect}-beta"
    assert sent[name] == betas[name]
    assert answer.headers.keys() <= COMES_BACK
    assert answer.headers["x-request-id"] != NOT_SENT["x-request-id"]


def test_beta_header_that_is_sent_twice_passes_as_one(caller: Caller) -> None:
    body = json.dumps(caller.body("anthropic", "[[tokens=2]]"))
    connection = http.client.HTTPConnection("127.0.0.1", caller.gateway.port, timeout=60)
    connection.putrequest("POST", PATHS["anthropic"])
    for name, text in caller.credential("anthropic").items():
        connection.putheader(name, text)
    connection.putheader("anthropic-beta", "a-2026-01-01")
    connection.putheader("anthropic-beta", "b-2026-01-01")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body.encode())
    assert connection.getresponse().status == 200
    connection.close()
    sent = only_call(caller)["request_headers"]["anthropic-beta"]
    assert sent.replace(" ", "") == "a-2026-01-01,b-2026-01-01"


# The examples of docs/clients.md


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", DOC)


def here(text: str, caller: Caller) -> str:
    """An example, for the gateway of the test and its key."""
    return text.replace(ADDRESS, caller.gateway.base_url).replace("agw_...", caller.key)


def environment(caller: Caller) -> dict[str, str]:
    """What the first block of the docs sets, and nothing else that a client might read."""
    exported = re.findall(r"(?m)^export (\w+)=(.*)$", here(blocks("sh")[0], caller))
    return {"PATH": os.environ["PATH"], **dict(exported)}


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_example_runs(caller: Caller, number: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", here(blocks("python")[number], caller)],
        env=environment(caller),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout[:5]) == (0, "Hello"), done.stderr
    caller.entries(done.stdout.count("Hello"))


def test_curl_example_runs(caller: Caller) -> None:
    (command,) = [block for block in blocks("sh") if block.startswith("curl")]
    done = subprocess.run(
        ["sh", "-c", command],
        env=environment(caller),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["object"] == "chat.completion"


def test_settings_of_the_coding_agents_lead_to_addresses_of_the_gateway(caller: Caller) -> None:
    (config,) = (tomllib.loads(here(block, caller)) for block in blocks("toml"))
    provider = config["model_providers"][config["model_provider"]]
    assert provider["wire_api"] == "responses"
    path = f"{provider['base_url']}/responses".removeprefix(caller.gateway.base_url)
    body = {"model": config["model"], "input": f"[[tokens=2]] {caller.tag}"}
    assert caller.post("openai", json.dumps(body).encode(), path=path).status == 200
    (claude_code,) = [block for block in blocks("sh") if block.rstrip().endswith("\nclaude")]
    exported = dict(re.findall(r"(?m)^export (\w+)=(.*)$", here(claude_code, caller)))
    assert exported == {
        "ANTHROPIC_BASE_URL": caller.gateway.base_url,
        "ANTHROPIC_AUTH_TOKEN": caller.key,
    }

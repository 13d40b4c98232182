"""The examples of docs/rest-api.md are asked as they stand there, and answered in their shape."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from ai_gateway.web.api import ANALYTICS, ENDPOINTS, PREFIX
from tests.gateway_app import credential
from tests.web.api.test_reset import token_of
from tests.web.api_app import Api

PAGE = (Path(__file__).parents[3] / "docs" / "rest-api.md").read_text()
EXAMPLE = re.compile(
    r"^### [^\n]*: `(?P<method>GET|POST) (?P<address>[^`]+)`$.*?"
    r"```bash\n(?P<curl>.*?)```.*?```json\n(?P<answer>.*?)```",
    re.MULTILINE | re.DOTALL,
)
EXAMPLES = [match.groupdict() for match in EXAMPLE.finditer(PAGE)]


def ask(api: Api, viewer: str, curl: str) -> TestResponse:
    command = curl.strip().splitlines()[-1]
    [address] = re.findall(r'"\$GATEWAY(/api[^"]+)"', command)
    if "-X POST" not in command:
        return api.gateway.client.get(address, headers=credential(viewer))
    [body] = re.findall(r"-d '(\{.*\})'", command)
    client = api.session("admin")
    headers = dict(re.findall(r'-H "([\w-]+): ([^"$]+)"', command))
    headers["X-CSRFToken"] = token_of(client)
    return client.post(address, data=body, headers=headers)


def same_shape(told: Any, real: Any, where: str = "") -> None:
    """A list of the page is cut short; a null may stand for a value, and the other way round."""
    if isinstance(told, dict):
        assert told.keys() == real.keys(), where
        for name, value in told.items():
            same_shape(value, real[name], f"{where}.{name}")
    elif isinstance(told, list):
        assert bool(told) == bool(real), where
        for value in told:
            same_shape(value, real[0], f"{where}[]")
    elif told is not None and real is not None:
        numbers = (int, float)
        is_number = isinstance(told, numbers) and isinstance(real, numbers)
        assert is_number or type(told) is type(real), where


def test_every_address_has_an_example() -> None:
    told = {(example["method"], example["address"]) for example in EXAMPLES}
    assert told == {
        (one.method, PREFIX + ANALYTICS + re.sub("<.*>", "<id>", one.rule)) for one in ENDPOINTS
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["address"] for example in EXAMPLES])
def test_an_example_is_answered_as_the_page_says(
    api: Api, viewer: str, example: dict[str, str]
) -> None:
    answer = ask(api, viewer, example["curl"])
    assert answer.status_code == 200, answer.text
    same_shape(json.loads(example["answer"]), answer.json)

"""What the first start prints is of use as it stands."""

import shlex
from urllib.request import Request, urlopen

from tests.running import RunningGateway


def test_first_call_that_is_printed_works_as_it_stands(gateway: RunningGateway) -> None:
    text = gateway.said().partition("Make a first call:")[2].partition("Ctrl-C")[0]
    command, url, *rest = shlex.split(text.replace("\\\n", ""))
    assert command == "curl"
    options = list(zip(rest[::2], rest[1::2], strict=True))
    headers = dict(value.split(": ") for option, value in options if option == "-H")
    (body,) = [value for option, value in options if option == "-d"]
    with urlopen(Request(url, body.encode(), headers), timeout=30) as answer:
        assert answer.status == 200
        assert answer.headers["x-ai-gateway-cost-usd"]

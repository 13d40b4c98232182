"""One number everywhere: provider's bill, ledger, counters, REST, metrics and the staff page."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.cookiejar import CookieJar
from itertools import product
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from tests.e2e.caller import DIALECTS, Caller, Dialect, left_open, metric, request, usd
from tests.running import RunningGateway, wait_for

pytestmark = pytest.mark.long

TOOLS: dict[Dialect, list[object]] = {
    "openai": [{"type": "function", "function": {"name": "weather", "parameters": {}}}],
    "anthropic": [{"name": "weather", "input_schema": {"type": "object"}}],
}
PROMPTS = (
    "[[tokens=7]]",
    "[[tokens=0]]",
    "[[input=3001]] [[cached=1024]] [[tokens=11]]",
    "[[input=99999]] [[cached=99999]] [[tokens=1]]",
    "[[reasoning=65]] [[tokens=5]]",
    "[[crlf]] [[split=5]] Zoë 😀",
    "[[tool]]",
)
PROMPTS_OF_ANTHROPIC = (
    "[[input=4000]] [[cached=1000]] [[cache_write=501]] [[cache_write_1h=253]]",
    "[[cache_write_1h=77]]",
)
PROMPTS_THAT_COST_NOTHING = ("[[status=400]]", "[[status=401]]", "[[status=429]]", "[[status=500]]")
PROMPTS_THAT_ARE_COUNTED = ("[[usage=off]]", "[[cut=3]]", "[[garbage]]")


def requests_of(*prompts: str) -> Iterator[tuple[Dialect, str, dict[str, Any]]]:
    """Each prompt in each dialect, streamed and not."""
    for dialect, is_streamed, prompt in product(DIALECTS, (False, True), prompts):
        tools = {"tools": TOOLS[dialect]} if "tool]" in prompt else {}
        yield dialect, prompt, {"stream": is_streamed, **tools}


def send_all(caller: Caller, calls: list[tuple[Dialect, str, dict[str, Any]]]) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(caller.ask, *call[:2], **call[2]) for call in calls]:
            done.result()


def abandon(caller: Caller, dialect: Dialect) -> None:
    stream = caller.stream(dialect, "[[tokens=30]] [[pace=5]]")
    with left_open(stream):
        stream.read_until(b"Hello")


def spend_by_rest(caller: Caller) -> Any:
    answer = request(
        caller.gateway,
        "GET",
        "/api/v1/ai/analytics/user/spend-limit/",
        headers=caller.credential("openai"),
    )
    return json.loads(answer.body, parse_float=Decimal)


def test_ledger_counters_and_rest_have_what_the_provider_billed(caller: Caller) -> None:
    calls = list(requests_of(*PROMPTS, *PROMPTS_THAT_COST_NOTHING))
    calls += [call for call in requests_of(*PROMPTS_OF_ANTHROPIC) if call[0] == "anthropic"]
    calls += [("openai", "[[tokens=4]]", {"n": 3}), ("openai", "", {"n": 2, "stream": True})]
    send_all(caller, calls)
    for dialect in DIALECTS:
        abandon(caller, dialect)

    entries = caller.booked_once(len(calls) + 2)
    total = sum(entry["cost_nano_usd"] for entry in entries)
    assert {entry["confidence"] for entry in entries} == {"reported"}
    assert total == caller.billed() > 0
    spend = spend_by_rest(caller)
    for window in ("daily", "monthly"):
        assert spend[f"{window}_spend_nano_usd"] == total
        assert spend[f"{window}_spend"] == Decimal(usd(total))
        limit = spend[f"{window}_limit_nano_usd"]
        assert spend[f"{window}_remaining_nano_usd"] == limit - total
    (hours,) = caller.gateway.rows(
        "SELECT sum(cost_nano_usd) AS cost, sum(requests) AS calls, sum(input_tokens) AS input,"
        " sum(output_tokens) AS output FROM usage_hour WHERE user_id = ?",
        caller.user_id,
    )
    billed = [call["usage"] for call in caller.simulated() if call["usage"]]
    assert hours == {
        "cost": total,
        "calls": len(entries),
        "input": sum(usage["input_tokens"] for usage in billed),
        "output": sum(usage["output_tokens"] for usage in billed),
    }


def test_metrics_and_staff_page_have_the_sum_of_the_ledger(own_gateway: RunningGateway) -> None:
    own_gateway.start()
    first_key = re.search(r"agw_\w+", own_gateway.said())
    assert first_key
    callers = [Caller(own_gateway, first_key[0]), Caller(own_gateway, own_gateway.make_key())]
    calls = list(requests_of(*PROMPTS, *PROMPTS_THAT_COST_NOTHING, *PROMPTS_THAT_ARE_COUNTED))
    for caller in callers:
        send_all(caller, calls)
        abandon(caller, "openai")
    total = sum(
        entry["cost_nano_usd"] for caller in callers for entry in caller.booked_once(len(calls) + 1)
    )

    assert callers[0].account("installation", "month") == (total, 0)
    wait_for(
        lambda: all(
            is_near(metric(own_gateway, "ai_gateway_ledger_spend_usd", window=window), total)
            for window in ("day", "month")
        ),
        "the bookkeeper has written its figures",
        20,
    )
    assert is_near(metric(own_gateway, "ai_gateway_cost_usd_total"), total)
    assert metric(own_gateway, "ai_gateway_requests_total") == 2 * (len(calls) + 1)
    page = staff_page(own_gateway, "/admin/ai-analytics/")
    tile = page.split('data-tile="cost"')[1].split("data-tile=")[0]
    assert re.findall(r'data-nano-usd="(\d+)"', tile)[0] == str(total)


def is_near(amount_usd: float, nano_usd: int) -> bool:
    """Floats of a few dollars are exact to well under a billionth."""
    return amount_usd == pytest.approx(nano_usd / 1e9, rel=0, abs=1e-9)


def staff_page(gateway: RunningGateway, path: str) -> str:
    """A page as the first member of staff sees it, by the password that the start has shown."""
    password = re.search(r"with the password (\S+)", gateway.said())
    assert password
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    with browser.open(f"{gateway.base_url}/login?next={path}") as form:
        token = re.search(r'name="csrf_token" value="([^"]+)"', form.read().decode())
    assert token
    fields = {
        "csrf_token": token[1],
        "next": path,
        "username": "admin",
        "password": password[1],
    }
    with browser.open(f"{gateway.base_url}/login", urlencode(fields).encode()) as page:
        assert page.url.endswith(path)
        return str(page.read().decode())

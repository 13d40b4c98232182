"""A test call from the home page through the running gateway: real workers and bookkeeper."""

import re
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

from tests.running import RunningGateway, wait_for

MODEL = "openai/gpt-4o-mini"


def read(browser: OpenerDirector, url: str, **fields: str) -> tuple[str, str]:
    """The address and the text of a page, after a form where there are fields."""
    body = urlencode(fields).encode() if fields else None
    with browser.open(url, body, timeout=60) as page:
        return str(page.url), str(page.read().decode())


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, page
    return found[1]


def signed_in(gateway: RunningGateway) -> OpenerDirector:
    """A browser of the first member of staff, by the password that the start has shown."""
    password = re.search(r"with the password (\S+)", gateway.said())
    assert password
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    _, form = read(browser, f"{gateway.base_url}/login")
    fields = {"username": "admin", "password": password[1]}
    read(browser, f"{gateway.base_url}/login", csrf_token=hidden(form, "csrf_token"), **fields)
    return browser


def states(home: str) -> list[tuple[str, str]]:
    """The lines of the checklist."""
    line = r"<strong>([^<]+)</strong> <span class=\"muted\">(\w+)</span></p>"
    return re.findall(line, home.partition('class="checklist"')[2])


def test_a_test_call_is_booked_and_the_checklist_is_done(gateway: RunningGateway) -> None:
    browser = signed_in(gateway)
    _, form = read(browser, f"{gateway.base_url}/admin/test-call/")
    highest = re.search(rf'<option value="{MODEL}" data-nano-usd="(\d+)"', form)
    assert highest
    address, page = read(
        browser,
        f"{gateway.base_url}/admin/test-call/",
        csrf_token=hidden(form, "csrf_token"),
        idempotency_key=hidden(form, "idempotency_key"),
        model=MODEL,
    )
    assert f"Success: {MODEL} answered in" in page
    request_id = address.partition("sent=")[2]
    entries = wait_for(
        lambda: gateway.rows("SELECT * FROM ledger_entry WHERE request_id = ?", request_id),
        "the test call is booked",
    )
    (entry,) = entries
    assert (entry["outcome"], entry["model"]) == ("success", "gpt-4o-mini")
    assert 0 < entry["cost_nano_usd"] <= int(highest[1]) == entry["held_nano_usd"]
    home = states(read(browser, f"{gateway.base_url}/admin/")[1])
    assert home[-2:] == [("First call made", "done"), ("Dashboard shows it", "done")]
    printed = [
        tuple(reversed(line.split(maxsplit=1)))
        for line in gateway.flask("doctor").splitlines()
        if not line.startswith(" ")
    ]
    assert printed == home

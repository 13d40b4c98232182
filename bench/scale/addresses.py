"""What is asked for: every page of the staff site, and every GET of the API.

Pages and endpoints come from the lists by which they are served, so that a later one is measured
too; those with a question of their own are asked it in several ways.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from urllib.parse import urlencode

from flask.testing import FlaskClient

from ai_gateway.domain.spend_list import SpendFilter, SpendSort
from ai_gateway.web import api
from ai_gateway.web.admin import site
from ai_gateway.web.api.fields import LARGEST_ID
from bench.errors import BenchError
from bench.scale.population import FIRST_DAY, NOW, Population

OVERVIEW, USERS, USER, ACCOUNTS = "overview", "users", "user", "user accounts"
REQUESTS, BLOCKED = "requests", "blocked requests"
API_ROOT = api.PREFIX + api.ANALYTICS
USER_ID = "<int:user_id>"
PAGE_SIZE = 50
DEEP = timedelta(days=3)
RANGES = ("range=24h", "range=7d", "range=30d", "range=month", "")
CUSTOM = f"range=custom&from={FIRST_DAY:%Y-%m-%d}&to={NOW:%Y-%m-%d}"
SEARCHES = ("amelia", "example.com", "ia.7", "nobody at all")
API_QUESTIONS = {
    "/user/": ("", "days=31"),
    "/system/": ("", "days=31"),
    "/series/": ("", "range=24h", "range=30d&by=model", f"{CUSTOM}&step=hour"),
    "/models/": ("", "range=24h", "range=30d", CUSTOM),
    "/top/": ("", "limit=200"),
    "/activity/": ("", "limit=200"),
    "/prices/cost/": ("model=gpt-4o-mini&input_tokens=1000&output_tokens=100",),
}


@dataclass(frozen=True, slots=True)
class Address:
    """Something to ask for. All of one `series` have to need as many statements.

    What is `of_one` user grows with the hours in which that user called, as those of all do not.
    """

    group: str
    path: str
    series: str = ""
    of_one: bool = False


def addresses(client: FlaskClient, people: Population) -> list[Address]:
    """Everything; deep pages of the API are found by going there."""
    return [*_pages(people), *_api(people), *_walked(client)]


def left_out() -> list[str]:
    """The pages about one thing that this bench knows none of."""
    return [page.address for page in site.PAGES if "<" in page.address.replace(USER_ID, "")]


def _pages(people: Population) -> Iterator[Address]:
    asked = {
        "ai-analytics": _overviews,
        "ai-analytics/users": _user_lists,
        f"ai-analytics/users/{USER_ID}": _users,
        "ai-analytics/users/reset": _resets,
        "ai-analytics/requests": _requests,
        "user": _accounts,
        "audit": _audits,
    }
    yield Address("home", "/admin/")
    # The first is the home page, which has an address of its own.
    for page in site.PAGES[1:]:
        if page.address in asked:
            yield from asked[page.address](people)
        elif "<" not in page.address:
            yield _page(page.title.lower(), page.address)


def _overviews(_people: Population) -> Iterator[Address]:
    for span in (*RANGES, CUSTOM):
        for by in ("", "by=user"):
            yield _page(OVERVIEW, "ai-analytics", span, by)
    yield _page(OVERVIEW, "ai-analytics", "range=30d", "by=model")


def _user_lists(people: Population) -> Iterator[Address]:
    path, last = "ai-analytics/users", _last_page(people)
    for sort in SpendSort:
        # The last page of one direction is the first of the other.
        for page in (1, last):
            yield _page(USERS, path, f"sort={sort}&page={page}", series=USERS)
    yield _page(USERS, path, f"page={last // 2}", series=USERS)
    for chosen in SpendFilter:
        yield _page(USERS, path, f"filter={chosen}&size=100", series=USERS)
    for search in SEARCHES:
        yield _page(USERS, path, urlencode({"q": search}))


def _users(people: Population) -> Iterator[Address]:
    for span in (*RANGES, CUSTOM):
        path = f"/admin/ai-analytics/users/{people.heaviest}/?{span}".rstrip("?")
        yield Address(USER, path, of_one=True)


def _resets(people: Population) -> Iterator[Address]:
    chosen = [
        ("selected", number) for number in range(people.heaviest, people.heaviest + PAGE_SIZE)
    ]
    yield _page("reset spend", "ai-analytics/users/reset", urlencode(chosen))


def _requests(people: Population) -> Iterator[Address]:
    """The first page and a deep one, of everything and of what is seldom; and what was refused."""
    path, deep = "ai-analytics/requests", FIRST_DAY + DEEP
    turns = ("", urlencode({"page": f"before_{deep.isoformat()}_{LARGEST_ID}"}))
    for turn, narrowed in product(turns, ("", "outcome=failed", "provider=nobody")):
        series = "" if narrowed else REQUESTS
        yield _page(REQUESTS, path, CUSTOM, narrowed, turn, series=series)
    yield _page(REQUESTS, path, CUSTOM, "unpriced=yes")
    yield _page(REQUESTS, path, CUSTOM, f"user={people.heaviest}")
    yield _page(BLOCKED, f"{path}/refused", CUSTOM)


def _audits(people: Population) -> Iterator[Address]:
    narrowed = (
        "actor=somebody",
        "action=limit_change",
        "result=ok",
        f"target=user:{people.heaviest}",
    )
    for question in ("", *narrowed, f"actor=somebody&target=user:{people.heaviest}"):
        yield _page("audit", "audit", question)


def _accounts(people: Population) -> Iterator[Address]:
    last = _last_page(people) - 1
    for sort, page in product(range(5), (0, last)):
        yield _page(ACCOUNTS, "user", f"sort={sort}&page={page}", series=ACCOUNTS)
    yield _page(ACCOUNTS, "user", f"page={last // 2}", series=ACCOUNTS)
    for search in SEARCHES:
        yield _page(ACCOUNTS, "user", urlencode({"search": search}))


def _api(people: Population) -> Iterator[Address]:
    for endpoint in api.ENDPOINTS:
        if endpoint.method != "GET" or endpoint.rule == "/users/":
            continue
        rule = endpoint.rule.partition("<")[0]
        is_of_user = rule != endpoint.rule
        if is_of_user and "user_id" not in endpoint.rule:
            continue
        path = f"{API_ROOT}{rule}{people.heaviest}/" if is_of_user else API_ROOT + rule
        for question in API_QUESTIONS.get(rule, ("",)):
            asked = f"{path}?{question}".rstrip("?")
            yield Address(_rest(endpoint.rule), asked, of_one=is_of_user)
    heaviest = f"user_id={people.heaviest}"
    for rule, question in (("/activity/", ""), ("/series/", CUSTOM), ("/models/", CUSTOM)):
        asked = f"{API_ROOT}{rule}?{heaviest}&{question}".rstrip("&")
        yield Address(f"{_rest(rule)} of a user", asked, of_one=True)


def _walked(client: FlaskClient) -> Iterator[Address]:
    """The first and a far page of lists that are read by cursors."""
    yield from _walk(client, "/activity/", "limit=100", steps=20)
    for sort in (SpendSort.USER, SpendSort.STATE, SpendSort.PROJECTED, SpendSort.LAST_ACTIVE):
        yield from _walk(client, "/users/", f"limit=200&sort={sort}&order=desc", steps=5)


def _walk(client: FlaskClient, rule: str, question: str, *, steps: int) -> Iterator[Address]:
    first = path = f"{API_ROOT}{rule}?{question}"
    for _ in range(steps):
        answer = client.get(path)
        if answer.status_code != 200:
            raise BenchError(f"{path}: {answer.status_code}")
        cursor = answer.json["next_cursor"]  # type: ignore[index]  # it is JSON
        if cursor is None:
            break
        path = f"{first}&cursor={cursor}"
    for one in dict.fromkeys((first, path)):
        yield Address(_rest(rule), one, series=rule)


def _page(group: str, path: str, *questions: str, series: str = "") -> Address:
    question = "&".join(filter(None, questions))
    return Address(group, f"/admin/{path}/?{question}".rstrip("?"), series)


def _rest(rule: str) -> str:
    return f"REST {rule.partition('<')[0]}{'N/' if '<' in rule else ''}"


def _last_page(people: Population) -> int:
    # With the member of staff.
    return -(-(people.users + 1) // PAGE_SIZE)

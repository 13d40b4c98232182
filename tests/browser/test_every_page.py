"""What holds for every staff page: those of the menu and one of each kind that they lead to.

A page that is added later is walked without being named here.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Response

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.sites import Site
from tests.browser.waiting import until

pytestmark = pytest.mark.browser

Start = Callable[..., Visit]

WIDE = {"width": 1280, "height": 800}
PHONES = ({"width": 375, "height": 800}, {"width": 320, "height": 640})
NUMBERS = re.compile(r"\d+|[0-9a-f]{8,}")
HTML = {"Accept": "text/html"}
AMOUNT = re.compile(r"\$(0\.\d{2,12}|[1-9][\d,]*\.(\d{2}|\d{9})[MBT]?)")
"""From a dollar on it has cents, or every digit that there is; never an exponent."""


@pytest.fixture(params=["full_site", "empty_site"])
def site(request: pytest.FixtureRequest) -> Site:
    found: Site = request.getfixturevalue(request.param)
    return found


def test_every_page_keeps_the_rules_of_the_house(visit: Start, site: Site) -> None:
    seen = visit(site, viewport=WIDE)
    waiting = links(seen.page, ".sidebar .menu__link")
    kinds = {kind(path) for path in waiting}
    assert len(kinds) >= 3
    while waiting:
        path = waiting.pop(0)
        found = keeps_the_rules(seen, path)
        for link in found:
            if kind(link) not in kinds and is_page(seen.page, link):
                kinds.add(kind(link))
                waiting.append(link)
    assert seen.complaints == []


def keeps_the_rules(seen: Visit, path: str) -> list[str]:
    """Look at one page in every way, and return where it leads."""
    page = seen.page
    response = page.goto(path, wait_until="networkidle")
    assert response is not None
    assert response.status == 200, path
    has_safe_headers(response)
    has_safe_html(response.text(), path)
    has_its_landmarks(page)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content", path
    page.keyboard.press("Escape")
    found = links(page, "main a[href^='/admin/']:not([download])")
    assert_accessible(page)
    for size in PHONES:
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        fits(page, size["width"])
    page.set_viewport_size({"width": WIDE["width"], "height": WIDE["height"]})
    assert seen.complaints == [], path
    return found


def has_safe_headers(response: Response) -> None:
    headers = response.headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def has_safe_html(html: str, path: str) -> None:
    assert not re.search(r"<[^>]*\sstyle\s*=", html), path
    assert not re.search(r"<[^>]*\son\w+\s*=", html), path
    assert "javascript:" not in html.lower(), path
    # What a template wrote of something that is not there.
    silent = r"<script.*?</script>|<option.*?</option>|<[^>]+>"
    shown = re.sub(silent, " ", html, flags=re.DOTALL)
    assert not re.search(r"\b(None|NaN|undefined|Undefined)\b", shown), path
    for amount in re.findall(r'data-nano-usd="-?\d+"[^>]*>[^<$]*(\$[^<\s]*)', html):
        assert AMOUNT.fullmatch(amount), (path, amount)


def has_its_landmarks(page: Page) -> None:
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1, page.url
    assert page.locator("main").count() == 1
    assert page.title().endswith("AI Gateway")
    assert page.locator(".sidebar [aria-current=page]").count() <= 1
    tables = page.locator("table").count()
    assert page.locator("table > caption").count() == tables, page.url
    assert page.locator("th:not([scope])").count() == 0, page.url


def fits(page: Page, width: int) -> None:
    """Nothing makes the page scroll sideways; charts take a new size a moment later."""
    until(page, f"document.documentElement.scrollWidth <= {width}")


def links(page: Page, selector: str) -> list[str]:
    paths: list[str] = page.locator(selector).evaluate_all(
        "all => all.map((link) => link.getAttribute('href'))"
    )
    return list(dict.fromkeys(paths))


def kind(path: str) -> str:
    """The same for all pages of one view, whoever they are about."""
    return NUMBERS.sub("N", path.partition("?")[0])


def is_page(page: Page, path: str) -> bool:
    """Whether an address leads to a page of ours, and to neither a file nor another site."""
    answer = page.request.get(path, headers=HTML, max_redirects=0)
    assert answer.status < 400, path
    return answer.status == 200 and answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("width", [768, 1000])
def test_no_page_of_the_menu_scrolls_sideways_on_a_tablet(
    visit: Start, full_site: Site, width: int
) -> None:
    page = visit(full_site, viewport={"width": width, "height": 900}).page
    for path in menu(page):
        page.goto(path)
        fits(page, width)


def test_text_at_twice_its_size_is_not_cut(visit: Start, full_site: Site) -> None:
    page = visit(full_site, viewport=WIDE).page
    for path in menu(page):
        page.goto(path)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        fits(page, WIDE["width"])
        cut = page.locator(".button, .badge, .tile__value, h1, h2").evaluate_all(
            "all => all.filter((one) => one.offsetParent && one.scrollWidth > one.clientWidth + 1"
            " && getComputedStyle(one).display !== 'inline').map((one) => one.outerHTML)"
        )
        assert cut == [], path


def test_colours_that_the_reader_forces_leave_bars_and_states_visible(
    visit: Start, full_site: Site
) -> None:
    page = visit(full_site, forced_colors="active", reduced_motion="reduce").page
    page.goto("/admin/ai-analytics/users/")
    width = "e => parseFloat(getComputedStyle(e).borderTopWidth)"
    assert page.locator("progress.bar").first.evaluate(width) >= 1
    assert page.locator(".badge").first.evaluate(width) >= 1
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter((one) => "
        "parseFloat(getComputedStyle(one).transitionDuration) > 0).length"
    )
    assert moving == 0


def test_a_print_has_the_figures_and_not_the_controls(visit: Start, full_site: Site) -> None:
    page = visit(full_site).page
    page.goto("/admin/ai-analytics/")
    page.emulate_media(media="print")
    for selector in (".sidebar", ".skip", ".segments", ".hint"):
        assert not any(one.is_visible() for one in page.locator(selector).all()), selector
    assert page.locator("h1").is_visible()
    assert page.locator(".tile__value").first.is_visible()


def menu(page: Page) -> list[str]:
    return links(page, ".sidebar .menu__link")

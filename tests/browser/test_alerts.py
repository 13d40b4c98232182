"""Alerts in a real browser: a rule in its dialog, and a test that shows its result."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ai_gateway.notify.webhook import WebhookChannel
from ai_gateway.stores.tables import db
from tests.alerts import MAIL, admin_of, seed_alerts
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.following import follow
from tests.browser.sites import Site
from tests.notify.sinks import webhook_sink
from tests.seeding import NOW, add_user
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import build, served

pytestmark = pytest.mark.browser

Start = Callable[..., Visit]
ALERTS = "/admin/alerts/"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose rules may be changed."""
    url = sqlite_url(tmp_path)
    with opened(url):
        add_user("admin", role="admin")
        seed_alerts(db.engine, NOW)
        made = build(url)
        with served(made.app) as address:
            yield Site(address, made)
        made.engine.dispose()


def test_a_rule_is_changed_and_a_test_is_sent_without_leaving_the_page(
    visit: Start, site: Site
) -> None:
    with webhook_sink() as sink:
        channels = (MAIL, WebhookChannel(sink.url, "json"))
        site.staff_app.services.alerts = admin_of(
            site.staff_app.engine, site.staff_app.clock, channels
        )
        seen = visit(site)
        page = seen.page
        page.goto(ALERTS)
        page.get_by_role("link", name="Change the rule: Budget nearly spent").click()
        dialog = page.get_by_role("dialog", name="Budget nearly spent")
        expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
        assert_accessible(page)
        dialog.get_by_label("Threshold, % of the limit").fill("75")
        follow(dialog.get_by_role("button", name="Save"))
        status = page.get_by_role("status")
        expect(status.filter(has_text="Budget nearly spent is on: 75 %")).to_be_visible()
        page.get_by_role("link", name="Send test…").click()
        follow(page.get_by_role("dialog", name="Send a test?").get_by_role("button"))
        expect(status.filter(has_text="Webhook: the test was accepted.")).to_be_visible()
        log = page.get_by_role("region", name="Deliveries").locator("tbody tr").first
        expect(log).to_contain_text("Test of the alerts")
        expect(log).to_contain_text("Sent")
        assert len(sink.bodies) == 1
    assert seen.complaints == []

"""Each form of the site is sent once, as the page has it, and leaves its line of the audit.

A form that is added later has to be named here: the routes are those of the application.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from ai_gateway.domain.audit import Action
from ai_gateway.stores.tables import AuditRow, VirtualKey, db
from simulator.testing import RunningSimulator
from tests.forms import Fields, forms_of
from tests.gateway_app import GatewayApp, opened_app
from tests.redis_servers import RedisServer
from tests.seeding import PASSWORD, add_user

OPERATORS_TOOLS = ("/v1/", "/openai/", "/api/")
"""Calls change no setting, and are in the ledger; the API asks the same services as the pages."""

ERRORS = re.compile(r'(?:role="alert"|class="field__error"[^>]*)>(.*?)</p>', re.DOTALL)
NEW_PASSWORD = "an entirely different sentence"


@dataclass
class Form:
    """Where it stands, what a person puts in, and what it leaves; `{...}` names what is there."""

    page: str
    action: Action
    typed: dict[str, str | list[str]] = field(default_factory=dict)
    sent_to: str = ""


FORMS = {
    "staff.login": Form("/login", Action.LOG_IN, {"username": "root", "password": PASSWORD}),
    "account.password": Form(
        "/me/password/",
        Action.PASSWORD_CHANGE,
        {"present": PASSWORD, "new": NEW_PASSWORD, "repeated": NEW_PASSWORD},
    ),
    "user.create_view": Form(
        "/admin/user/new/",
        Action.USER_CREATE,
        {"username": "eve", "email": "eve@example.com", "password": PASSWORD, "repeated": PASSWORD},
    ),
    "user.edit_view": Form(
        "/admin/user/edit/?id={ann}", Action.USER_EDIT, {"email": "new@example.com"}
    ),
    "user.action_view": Form(
        "/admin/user/confirm/?task=disable&selected={ben}", Action.USER_DISABLE
    ),
    "userreset.reset": Form(
        "/admin/ai-analytics/users/reset/?selected={ann}",
        Action.SPEND_RESET,
        {"windows": ["day"], "reason": "batch run by mistake"},
    ),
    "limitedit.change": Form(
        "/admin/budgets/edit/?user={ann}",
        Action.LIMIT_CHANGE,
        {"day": "7.50", "reason": "quarter end"},
    ),
    "pauseset.pause": Form("/admin/pauses/set/?user={ann}", Action.PAUSE, {"reason": "a leak"}),
    "pauselift.lift": Form(
        "/admin/pauses/lift/?user={ann}", Action.PAUSE_LIFT, {"reason": "it is mended"}
    ),
    "keycreate.create": Form(
        "/admin/api-keys/new/?owner={ann}", Action.KEY_CREATE, {"label": "by staff"}
    ),
    "keyrotate.rotate": Form("/admin/api-keys/rotate/?key={key}", Action.KEY_ROTATE),
    "keyrevoke.revoke": Form("/admin/api-keys/revoke/?key={key}", Action.KEY_REVOKE),
    "me.key_create": Form("/me/keys/new/", Action.KEY_CREATE, {"label": "my own"}),
    "me.key_rotated": Form("/me/keys/rotate/?key={own_key}", Action.KEY_ROTATE),
    "me.key_revoked": Form("/me/keys/revoke/?key={own_key}", Action.KEY_REVOKE),
    "pricechange.enter": Form(
        "/admin/prices/change/?provider=openai&model=gpt-4o-mini",
        Action.PRICE_CHANGE,
        {"input": "1", "output": "2", "reason": "new contract", "confirm": "yes"},
    ),
    "pricechange.withdraw": Form(
        "/admin/prices/change/withdraw/?provider=openai&model=gpt-4o-mini&entry_id=1",
        Action.PRICE_CHANGE,
        {"reason": "contract ended"},
    ),
    "pricechange.accept": Form(
        "/admin/prices/change/accept/?provider=openai&model=gpt-4o-mini-2030-01-01",
        Action.PRICE_CHANGE,
        {"reason": "the same model"},
    ),
    "alertrule.change": Form(
        "/admin/alerts/rule/?kind=redis_down", Action.ALERT_CHANGE, {"is_on": []}
    ),
    "alertrule.use_recommended": Form(
        "/admin/alerts/", Action.ALERT_CHANGE, sent_to="/admin/alerts/rule/recommended/"
    ),
    "alerttest.send": Form("/admin/alerts/test/", Action.ALERT_TEST),
    "testcall.send": Form("/admin/test-call/", Action.TEST_CALL),
    "staff.logout": Form("/me/", Action.LOG_OUT, sent_to="/logout"),
}
"""By endpoint, in the order in which they are sent: some lead to the next."""


@dataclass
class Site:
    """Somebody who may do everything, and what there is to be done it to."""

    gateway: GatewayApp
    client: FlaskClient
    names: dict[str, object]

    def send(self, form: Form) -> None:
        page = self.client.get(form.page.format(**self.names), headers={"Accept": "text/html"})
        assert page.status_code == 200, (page.status_code, form)
        address, fields = self._form(page.text, form)
        answer = self.client.post(address, data=fields | form.typed)
        if address in (again := forms_of(answer.text)) and answer.status_code == 200:
            # It shows first what it will do.
            answer = self.client.post(address, data=again[address])
        assert answer.status_code < 400, (form, ERRORS.findall(answer.text))

    def _form(self, page: str, form: Form) -> tuple[str, Fields]:
        found = forms_of(page)
        wanted = form.sent_to or next(address for address in found if address != "/logout")
        # Not every form is offered at all times; the token is that of any other.
        return wanted, found.get(wanted) or {"csrf_token": found["/logout"]["csrf_token"]}

    def lines(self, action: Action) -> int:
        with self.gateway.app.app_context():
            query = select(func.count()).where(AuditRow.action == action.value)
            return db.session.scalar(query) or 0


@pytest.fixture(scope="module")
def site(server: RedisServer, simulator: RunningSimulator) -> Iterator[Site]:
    # Nobody listens there: that the test message did not arrive is in the audit as well.
    variables = {"AI_GATEWAY_ALERT_WEBHOOK_URL": "http://127.0.0.1:9/"}
    with opened_app(server, simulator, variables) as gateway:
        with gateway.app.app_context():
            names: dict[str, object] = {name: add_user(name) for name in ("ann", "ben")}
            add_user("root", role="admin")
        key, own_key = gateway.make_key("ann"), gateway.make_key("root")
        names |= {"key": key.split("_")[1], "own_key": own_key.split("_")[1]}
        yield Site(gateway, gateway.app.test_client(), names)


def test_every_form_is_named_here(site: Site) -> None:
    posted = {
        rule.endpoint
        for rule in site.gateway.app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and not rule.rule.startswith(OPERATORS_TOOLS)
    }
    assert posted == set(FORMS)


def test_every_form_leaves_its_line(site: Site) -> None:
    told = {}
    for endpoint, form in FORMS.items():
        before = site.lines(form.action)
        site.send(form)
        told[endpoint] = site.lines(form.action) - before
    assert set(told.values()) == {1}, {name: n for name, n in told.items() if n != 1}
    with site.gateway.app.app_context():
        rows = list(db.session.scalars(select(AuditRow).order_by(AuditRow.id)))
        secrets = list(db.session.scalars(select(VirtualKey.digest)))
    written = " ".join(f"{row.before} {row.after} {row.reason}" for row in rows)
    for secret in (PASSWORD, NEW_PASSWORD, *secrets):
        assert secret not in written
    by_people = [row for row in rows if row.actor_name == "root"]
    assert {row.actor_role for row in by_people} == {"admin"}
    assert {row.address for row in by_people} == {"127.0.0.1"}
    assert {form.action.value for form in FORMS.values()} <= {row.action for row in by_people}

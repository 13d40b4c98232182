"""What administrators do about alerts: change a rule, take the recommended ones, send a test."""

from dataclasses import dataclass, field
from http import HTTPStatus

from flask import flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.wrappers import Response

from ai_gateway.domain.alerts import SPECS, AlertKind, Rule
from ai_gateway.domain.roles import Permission
from ai_gateway.errors import ChangedMeanwhile, InvalidRequest
from ai_gateway.services.alert_admin import (
    MOST_COOL_DOWN_MINUTES,
    RuleValues,
    TestResult,
)
from ai_gateway.web.admin.alerts import CHANNEL_WORDS, cool_down_words, threshold_words
from ai_gateway.web.admin.staff import StaffView, current_actor
from ai_gateway.web.context import services

MOST_DIGITS = 9
NO_NUMBER = -1
"""What a text that is no number stands for: no field takes it."""


@dataclass(frozen=True, slots=True)
class RuleForm:
    """What was written; the numbers stay texts, so that a wrong one can be shown again."""

    is_on: bool
    threshold: str
    cool_down: str
    version: int
    key: str = ""
    errors: dict[str, str] = field(default_factory=dict)


class AlertRuleView(StaffView):
    """At /admin/alerts/rule/; the page of alerts leads here."""

    permission = Permission.MANAGE_ALERTS
    title = "Rule"
    address = "alerts/rule"
    has_menu_entry = False  # it is about one rule

    @expose("/")
    def index(self) -> ResponseReturnValue:
        kind = _kind(request.args.get("kind", ""))
        if kind is None:
            return redirect(url_for("alerts.index"))
        return self._page(kind, _form_of(services().alerts.rules()[kind]))

    @expose("/", methods=["POST"])
    def change(self) -> ResponseReturnValue:
        kind = _kind(request.form.get("kind", ""))
        if kind is None:
            flash("Choose a rule first.", "error")
            return redirect(url_for("alerts.index"), HTTPStatus.SEE_OTHER)
        form = _read_form()
        values = RuleValues(
            form.is_on, _number(form.threshold), _number(form.cool_down), form.version
        )
        try:
            rule = services().alerts.change(kind, values, current_actor())
        except InvalidRequest as error:
            form.errors[error.param or ""] = str(error)
            return self._page(kind, form, HTTPStatus.BAD_REQUEST)
        except ChangedMeanwhile:
            return self._conflict(kind, form)
        state = "on" if rule.is_on else "off"
        flash(f"{SPECS[kind].title} is {state}: {threshold_words(rule)}.", "success")
        return redirect(url_for("alerts.index"), HTTPStatus.SEE_OTHER)

    @expose("/recommended/", methods=["POST"])
    def use_recommended(self) -> ResponseReturnValue:
        try:
            kinds = services().alerts.use_recommended(current_actor())
        except ChangedMeanwhile:
            flash("Somebody else changed the rules just now: look again.", "error")
        else:
            titles = ", ".join(SPECS[kind].title for kind in kinds)
            flash(f"Switched on: {titles or 'nothing, they were on'}.", "success")
        return redirect(url_for("alerts.index"), HTTPStatus.SEE_OTHER)

    def _conflict(self, kind: AlertKind, form: RuleForm) -> Response:
        """Show both; sent once more, what was written takes the place of what is there now."""
        now = services().alerts.rules()[kind]
        state = "on" if now.is_on else "off"
        said = (
            f"Somebody else changed this rule meanwhile. Now it is {state}, at "
            f"{threshold_words(now)}, cool-down {cool_down_words(now)}. Save again to put yours "
            "in its place."
        )
        newer = RuleForm(form.is_on, form.threshold, form.cool_down, now.version, "", {"": said})
        return self._page(kind, newer, HTTPStatus.CONFLICT)

    def _page(
        self, kind: AlertKind, form: RuleForm, status: HTTPStatus = HTTPStatus.OK
    ) -> Response:
        page = self.render(
            "admin/alert_rule.html",
            kind=kind,
            spec=SPECS[kind],
            form=form,
            most_minutes=MOST_COOL_DOWN_MINUTES,
        )
        return make_response(page, status)


class AlertTestView(StaffView):
    """At /admin/alerts/test/; the page of alerts leads here."""

    __test__ = False
    permission = Permission.MANAGE_ALERTS
    title = "Test of the alerts"
    address = "alerts/test"
    has_menu_entry = False  # it is a step of the set-up

    @expose("/")
    def index(self) -> ResponseReturnValue:
        return self._page()

    @expose("/", methods=["POST"])
    def send(self) -> ResponseReturnValue:
        token = request.form.get("idempotency_key", "")
        try:
            results = services().alerts.send_test(current_actor(), token)
        except InvalidRequest as error:
            return self._page(str(error), HTTPStatus.BAD_REQUEST)
        for result in results:
            flash(*_told(result))
        if not results:
            flash("This test was sent before; see the deliveries below.", "info")
        return redirect(url_for("alerts.index"), HTTPStatus.SEE_OTHER)

    def _page(self, failure: str = "", status: HTTPStatus = HTTPStatus.OK) -> Response:
        page = self.render(
            "admin/alert_test.html",
            channels=services().alerts.channels,
            channel_words=CHANNEL_WORDS,
            failure=failure,
        )
        return make_response(page, status)


def _form_of(rule: Rule) -> RuleForm:
    minutes = int(rule.cool_down.total_seconds()) // 60
    return RuleForm(rule.is_on, str(rule.threshold), str(minutes), rule.version)


def _read_form() -> RuleForm:
    sent = request.form
    return RuleForm(
        is_on="is_on" in sent,
        threshold=sent.get("threshold", "").strip(),
        cool_down=sent.get("cool_down", "").strip(),
        version=_number(sent.get("version", "")),
        key=sent.get("idempotency_key", ""),
    )


def _kind(word: str) -> AlertKind | None:
    return AlertKind(word) if word in set(AlertKind) else None


def _number(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if is_number else NO_NUMBER


def _told(result: TestResult) -> tuple[str, str]:
    """The message, and its kind."""
    channel = CHANNEL_WORDS[result.channel]
    if result.failure:
        return f"{channel}: the test did not arrive. Reason: {result.failure}.", "error"
    note = f" ({result.note})" if result.note else ""
    return f"{channel}: the test was accepted{note}.", "success"

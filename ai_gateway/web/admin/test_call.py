"""Sends a test call: names the model and the highest cost first, and says how it went."""

from http import HTTPStatus

from flask import flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.wrappers import Response

from ai_gateway.domain.roles import Permission
from ai_gateway.errors import BudgetUnavailable, GatewayError, ModelNotFound, NotPermitted
from ai_gateway.services.trial_call import MOST_OUTPUT_TOKENS, PROMPT, TrialAnswer
from ai_gateway.web.admin.conditions import counters_down_since
from ai_gateway.web.admin.staff import StaffView, current_actor
from ai_gateway.web.context import services
from ai_gateway.web.error_bodies import row_of
from ai_gateway.web.formatting import exact_count, seconds, unit_money

NO_MODEL = (
    "No provider offers a model whose price is known. Set the key of one, such as OPENAI_API_KEY, "
    "or write a price into the file of AI_GATEWAY_CONFIG."
)
UNKNOWN_MODEL = "This model is not offered for a test call any more; choose another."
COUNTERS_AWAY = "Redis does not answer, or its counters are being restored: no call is admitted."
STILL_RUNNING = (
    "This test call was sent, once, and its answer is not here yet. However it ends, it is booked "
    "on you: look at your page in a moment."
)


class TestCallView(StaffView):
    """At /admin/test-call/; the home page leads here."""

    __test__ = False
    permission = Permission.MANAGE_KEYS
    title = "Test call"
    address = "test-call"
    has_menu_entry = False  # it is a step of the set-up

    @expose("/")
    def index(self) -> ResponseReturnValue:
        return self._page()

    @expose("/", methods=["POST"])
    def send(self) -> ResponseReturnValue:
        model = request.form.get("model", "")
        token = request.form.get("idempotency_key", "")
        try:
            sent = services().trial_calls.send(model, current_actor(), token=token)
        except GatewayError as error:
            return self._page(model, _words(error), row_of(error).status)
        flash(*_told(model, sent.answer))
        return redirect(url_for("admin.index", sent=sent.request_id), HTTPStatus.SEE_OTHER)

    def _page(self, model: str = "", failure: str = "", status: int = HTTPStatus.OK) -> Response:
        plans = services().trial_calls.plans()
        is_down = counters_down_since() is not None
        page = self.render(
            "admin/test_call.html",
            plans=plans,
            model=model,
            failure=failure or ("" if plans else NO_MODEL) or (COUNTERS_AWAY if is_down else ""),
            prompt=PROMPT,
            most_output_tokens=MOST_OUTPUT_TOKENS,
            is_blocked=not plans or is_down,
        )
        return make_response(page, status)


def _words(error: GatewayError) -> str:
    """What a client would be told, and what only this page has to say."""
    match error:
        case ModelNotFound():
            return UNKNOWN_MODEL
        case BudgetUnavailable():
            return COUNTERS_AWAY
        case NotPermitted():
            return str(error)
        case _:
            return row_of(error).message(error)


def _told(model: str, answer: TrialAnswer | None) -> tuple[str, str]:
    """The message, and its kind."""
    if answer is None:
        return STILL_RUNNING, "info"
    usage = answer.usage
    milliseconds = round(answer.duration.total_seconds() * 1000)
    words = (
        f"Success: {model} answered in {seconds(milliseconds)}. "
        f"{exact_count(usage.input_tokens)} tokens in, {exact_count(usage.output_tokens)} out, "
        f"{unit_money(answer.cost)}."
    )
    return words, "success"

"""The blueprint `/api/v1/ai/analytics`: the numbers of the pages as JSON, for programs.

Amounts are JSON numbers, exact to nine decimals, each with an integer of nano-USD beside it.
"""

from decimal import ROUND_DOWN, Decimal
from typing import Any

import orjson
from flask import Blueprint, Response, request

from ai_gateway.domain.limits import BudgetState, Limit
from ai_gateway.domain.money import Money, usd_text
from ai_gateway.errors import GatewayError, InvalidKey
from ai_gateway.services.key_holder import BudgetStanding, UserStanding
from ai_gateway.web.admin.staff import current_member
from ai_gateway.web.context import services
from ai_gateway.web.credentials import credential_of
from ai_gateway.web.error_bodies import error_answer

CENT = Decimal("0.01")

blueprint = Blueprint("api", __name__, url_prefix="/api/v1/ai/analytics")


@blueprint.get("/user/spend-limit/")
def user_spend_limit() -> Response:
    try:
        standing = services().key_holder.standing(_user_id(), services().zone)
    except GatewayError as error:
        answer = error_answer(error, "openai", "")
        return _no_store(Response(answer.body, answer.status, answer.headers))
    return _no_store(_json(spend_limit_body(standing)))


def spend_limit_body(standing: UserStanding) -> dict[str, Any]:
    """The shape of architecture.md section 6; a budget without a limit has null for its figures."""
    states = {standing.day.state, standing.month.state}
    return {
        "within_limits": BudgetState.EXCEEDED not in states,
        **_budget("daily", standing.day),
        **_budget("monthly", standing.month),
        "warning_message": _warning(standing),
        "blocked": BudgetState.EXCEEDED in states,
    }


def _user_id() -> int:
    """Whose figures: the key's owner, else who is logged in; raises `InvalidKey`."""
    credential = credential_of(request)
    if credential is not None:
        return services().key_holder.user_of(credential)
    member = current_member()
    if member is not None:
        return member.user.user_id
    raise InvalidKey("missing")


def _budget(name: str, standing: BudgetStanding) -> dict[str, Any]:
    limit, remaining = _limit_and_remaining(standing.limit, standing.spent)
    return {
        **_amount(f"{name}_spend", standing.spent),
        **_amount(f"{name}_limit", limit),
        **_amount(f"{name}_remaining", remaining),
        f"{name}_percent_used": _percent(standing.spent, limit),
        f"{name}_resets_at": standing.resets_at.isoformat(),
    }


def _limit_and_remaining(limit: Limit, spent: Money) -> tuple[Money | None, Money | None]:
    if not limit.is_amount:
        return None, None
    return limit.amount, Money(max(0, limit.amount - spent))


def _amount(name: str, amount: Money | None) -> dict[str, Any]:
    return {
        name: None if amount is None else orjson.Fragment(usd_text(amount)),
        f"{name}_nano_usd": amount,
    }


def _percent(spent: Money, limit: Money | None) -> Any:
    if limit is None:
        return None
    if limit == 0:
        return 100
    # Rounded down: what is not used up must not read as 100.
    return orjson.Fragment(f"{(Decimal(spent) * 100 / limit).quantize(CENT, ROUND_DOWN)}")


def _warning(standing: UserStanding) -> str | None:
    for name, budget in (("daily", standing.day), ("monthly", standing.month)):
        if budget.state is BudgetState.EXCEEDED:
            return f"Your {name} budget is used up, or has no room for your last call."
    for name, budget in (("daily", standing.day), ("monthly", standing.month)):
        if budget.state is BudgetState.WARNING:
            return f"You have used at least 80 % of your {name} budget."
    return None


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), mimetype="application/json")


def _no_store(response: Response) -> Response:
    response.headers["cache-control"] = "no-store"
    return response

"""An explanation as plain facts, the same for the API and for the command.

A field that ends in `_usd` is an amount of nano-USD that is written in USD; beside it stands the
integer itself.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ai_gateway.domain.money import Money
from ai_gateway.errors import Refusal
from ai_gateway.services.explanation import ExplainedCharge, ExplainedRefusal, Explanation
from ai_gateway.services.price_admin import usd_per_million
from ai_gateway.stores.one_call import BookedEntry
from ai_gateway.stores.refusal_list import RefusedRequest

Facts = Mapping[str, Any]


def explanation_facts(explained: Explanation) -> Facts:
    if isinstance(explained, ExplainedCharge):
        return charge_facts(explained)
    return refusal_facts(explained)


def charge_facts(charge: ExplainedCharge) -> Facts:
    """The call, its arithmetic line by line, what was held, and each entry of the ledger."""
    call, working = charge.call, charge.working
    return {
        "request_id": call.request_id,
        "provider_id": call.provider_id,
        "user_id": call.user_id,
        "username": call.username,
        "key_id": call.key_id,
        "provider": call.provider,
        "model_requested": call.model_requested,
        "model": call.model,
        "served_model": call.served_model,
        "operation": call.operation,
        "stream": call.stream,
        "outcome": call.last.outcome,
        "upstream": (working and working.upstream) or None,
        "usage_status": call.last.usage_status,
        "confidence": call.last.confidence,
        "price_status": call.last.price_status,
        "timeline": [{"step": step.name, "at": step.at} for step in charge.timeline],
        "latency_ms": call.latency_ms,
        "ttft_ms": call.ttft_ms,
        "usage": asdict(call.usage),
        "raw_usage": call.raw_usage,
        "price_row": call.price_row,
        "price_source": charge.source,
        "price_book": call.price_book,
        "is_price_book_in_force": charge.is_book_in_force,
        **_arithmetic(charge),
        **_amount("cost", call.cost),
        "is_worked_out": charge.is_worked_out,
        "hold": {
            **_amount("wanted", charge.lowered_from or call.held),
            **_amount("held", call.held),
            **_amount("released", charge.released),
            **_amount("overrun", charge.overrun),
            "output_cap": working and working.output_cap,
        },
        "entries": [_entry(entry) for entry in call.entries],
    }


def refusal_facts(refused: ExplainedRefusal) -> Facts:
    """The request, why it was refused, and the figures of the budget that had no room."""
    return request_facts(refused.request)


def request_facts(request: RefusedRequest) -> Facts:
    """The same of one that was read from the list."""
    return {
        "request_id": request.request_id,
        "at": request.at,
        "user_id": request.user_id,
        "username": request.username,
        "key_id": request.key_id,
        "model": request.model,
        "operation": request.operation,
        "outcome": request.outcome,
        "reason": request.reason,
        "budget": _budget(request.budget) if request.budget else None,
    }


def _arithmetic(charge: ExplainedCharge) -> dict[str, Any]:
    rounding, working = charge.rounding, charge.working
    return {
        "basis": working and working.basis,
        "lines": [
            {
                "kind": line.kind,
                "count": line.count,
                "pico_usd_each": line.rate,
                "usd_per_million": usd_per_million(line.rate),
                "pico_usd": line.pico_usd,
                "price_row": line.row_id,
            }
            for line in charge.lines
        ],
        "sum_pico_usd": rounding.pico_usd,
        **_amount("rounded", rounding.rounded),
        **_amount("stated", working.stated if working else None),
        "beyond_lines_pico_usd": charge.beyond_lines,
    }


def _budget(budget: Refusal) -> dict[str, Any]:
    hold, room = budget.hold, budget.limit - budget.spent - budget.held
    return {
        "scope": budget.scope,
        "window": budget.window,
        **_amount("limit", Money(budget.limit)),
        **_amount("spent", Money(budget.spent)),
        **_amount("held", Money(budget.held)),
        **_amount("room", Money(max(0, room))),
        **_amount("needed", Money(budget.needed)),
        **_amount("lacking", Money(budget.needed - room)),
        "resets_at": budget.resets_at,
        "hold": asdict(hold) if hold else None,
    }


def _entry(entry: BookedEntry) -> dict[str, Any]:
    return {
        "entry_no": entry.entry_no,
        "settled_at": entry.settled_at,
        **_amount("cost", entry.cost),
        **_amount("total_after", entry.total_after),
        "input_tokens": entry.usage.input_tokens,
        "output_tokens": entry.usage.output_tokens,
        "outcome": entry.outcome,
        "usage_status": entry.usage_status,
        "confidence": entry.confidence,
        "price_status": entry.price_status,
    }


def _amount(name: str, amount: Money | None) -> dict[str, Money | None]:
    return {f"{name}_usd": amount, f"{name}_nano_usd": amount}

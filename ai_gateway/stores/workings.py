"""The working of a charge as it is kept: small JSON beside the ledger entry that it explains."""

from collections.abc import Mapping
from typing import Any

import orjson

from ai_gateway.domain.money import Money
from ai_gateway.domain.pricing import CostLine
from ai_gateway.domain.working import Basis, Working

INPUT, OUTPUT = "input", "output"


def working_facts(working: Working) -> dict[str, object]:
    """What goes to Redis with a settlement; made for each call, so nothing is in it twice."""
    return {
        "basis": working.basis,
        "lines": [(line.kind, line.count, line.rate, line.row_id) for line in working.lines],
        "stated": working.stated,
        "output_cap": working.output_cap,
        "sent_ms": working.sent_ms,
        "answered_ms": working.answered_ms,
        "upstream": working.upstream,
    }


def floor_facts(facts: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, object] | None:
    """The working of a lapsed call, from the facts of its admission and what was last counted."""
    if not facts.get("floor_rates"):
        return None
    kinds = zip((INPUT, OUTPUT), facts["floor_rates"], strict=True)
    lines = [(kind, counts[f"{kind}_tokens"], rate, facts["price_row"]) for kind, rate in kinds]
    return {"basis": Basis.HOLD, "lines": [line for line in lines if line[1]]}


def working_text(facts: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
    """What the ledger keeps: the working with the hold that was wanted; None where there is none.

    What cannot be read is left out: it must not keep the money from being booked.
    """
    found = result.get("working")
    if found is None:
        return None
    try:
        text = orjson.dumps(found | {"wanted": facts.get("held")}).decode()
        read_working(text)
    except (ValueError, TypeError, KeyError):
        return None
    return text


def read_working(text: str | None) -> Working | None:
    """None for entries that have none: of an earlier version, or where nothing was billed."""
    if text is None:
        return None
    found = orjson.loads(text)
    return Working(
        basis=Basis(found["basis"]),
        lines=tuple(CostLine(*line) for line in found["lines"]),
        stated=_money(found.get("stated")),
        wanted=_money(found.get("wanted")),
        output_cap=found.get("output_cap"),
        sent_ms=found.get("sent_ms"),
        answered_ms=found.get("answered_ms"),
        upstream=found.get("upstream") or "",
    )


def _money(amount: int | None) -> Money | None:
    return None if amount is None else Money(amount)

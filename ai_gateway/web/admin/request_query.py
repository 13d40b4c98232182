"""What the address of the lists of requests asks for; what makes no sense narrows nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from werkzeug.datastructures import MultiDict

from ai_gateway.domain.money import Money, from_usd, usd_text
from ai_gateway.domain.request_list import (
    CallSelection,
    OutcomeFilter,
    Place,
    RefusalSelection,
    Whose,
)
from ai_gateway.domain.virtual_key import key_id_of
from ai_gateway.services.request_list import CallQuery, RefusalQuery, Turn
from ai_gateway.web.admin.ranges import range_parameters, read_range

KEY_START = "agw_"
MAX_CHARACTERS = 254
MOST_COST = 9_000_000
MOST_DIGITS = 9
BEFORE, AFTER = "before", "after"
YES, NO = "yes", "no"


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter as the address has it: its name there, its text, and in words."""

    name: str
    text: str
    words: str


def read_calls(arguments: MultiDict[str, str]) -> CallQuery:
    return CallQuery(
        CallSelection(
            whose=_whose(arguments),
            provider=_text(arguments, "provider"),
            model=_text(arguments, "model"),
            served=_text(arguments, "served"),
            outcome=_outcome(arguments.get("outcome", "")),
            min_cost=_cost(arguments.get("min_cost", "")),
            min_latency_ms=_number(arguments.get("min_latency", "")),
            is_stream={YES: True, NO: False}.get(arguments.get("streamed", "")),
            is_unpriced=arguments.get("unpriced") == YES,
        ),
        read_range(arguments),
        _turn(arguments.get("page", "")),
    )


def read_refusals(arguments: MultiDict[str, str]) -> RefusalQuery:
    return RefusalQuery(
        RefusalSelection(_whose(arguments), _text(arguments, "model"), _text(arguments, "reason")),
        read_range(arguments),
        _turn(arguments.get("page", "")),
    )


def call_filters(selection: CallSelection, outcomes: Mapping[OutcomeFilter, str]) -> list[Filter]:
    """What narrows the list of calls, in the order of the form."""
    one = selection
    streamed = {True: ("yes", "streamed"), False: ("no", "not streamed")}
    found = [
        *_whose_filters(one.whose),
        Filter("provider", one.provider, f"at {one.provider}"),
        Filter("model", one.model, f"asked for {one.model}"),
        Filter("served", one.served, f"served by {one.served}"),
    ]
    if one.outcome is not None:
        found.append(Filter("outcome", one.outcome.value, outcomes[one.outcome]))
    if one.min_cost is not None:
        amount = usd_text(one.min_cost)
        found.append(Filter("min_cost", amount, f"at least ${amount}"))
    if one.min_latency_ms is not None:
        found.append(
            Filter("min_latency", str(one.min_latency_ms), f"at least {one.min_latency_ms:,} ms")
        )
    if one.is_stream is not None:
        found.append(Filter("streamed", *streamed[one.is_stream]))
    if one.is_unpriced:
        found.append(Filter("unpriced", YES, "unpriced"))
    return [each for each in found if each.text]


def refusal_filters(selection: RefusalSelection, reason_words: str) -> list[Filter]:
    found = [
        *_whose_filters(selection.whose),
        Filter("model", selection.model, f"asked for {selection.model}"),
        Filter("reason", selection.reason, reason_words),
    ]
    return [each for each in found if each.text]


def parameters(query: CallQuery | RefusalQuery, filters: list[Filter]) -> dict[str, Any]:
    """What reads back as the same query, on its first page."""
    return range_parameters(query.asked) | {one.name: one.text for one in filters}


def turned(direction: str, place: Place) -> str:
    """The argument `page` that begins at a place."""
    return f"{direction}_{place.at.isoformat()}_{place.number}"


def _whose(arguments: MultiDict[str, str]) -> Whose:
    user, key = _text(arguments, "user"), _text(arguments, "key")
    number = _number(user)
    return Whose(
        number,
        "" if number is not None else user,
        key_id_of(key) if key.startswith(KEY_START) else key,
    )


def _whose_filters(whose: Whose) -> list[Filter]:
    user = str(whose.user_id) if whose.user_id is not None else whose.name
    words = f"user {user}" if whose.user_id is not None else user
    return [
        Filter("user", user, words),
        Filter("key", whose.key_id, f"key {KEY_START}{whose.key_id}"),
    ]


def _text(arguments: MultiDict[str, str], name: str) -> str:
    # PostgreSQL takes no NUL in a text.
    return arguments.get(name, "").replace("\0", "").strip()[:MAX_CHARACTERS]


def _outcome(word: str) -> OutcomeFilter | None:
    return OutcomeFilter(word) if word in set(OutcomeFilter) else None


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if is_number else None


def _cost(text: str) -> Money | None:
    try:
        amount = Decimal(text)
        return from_usd(amount) if 0 <= amount <= MOST_COST else None
    except (InvalidOperation, ValueError):
        return None


def _turn(text: str) -> Turn:
    direction, _, rest = text.partition("_")
    moment, _, number = rest.partition("_")
    try:
        place = Place(datetime.fromisoformat(moment), int(number))
        at = place.at.astimezone(UTC) if place.at.tzinfo else None
    except (ValueError, OverflowError):
        return Turn()
    if at is None or not 0 < place.number < 2**63:
        return Turn()
    place = Place(at, place.number)
    return Turn(before=place) if direction == BEFORE else Turn(after=place)

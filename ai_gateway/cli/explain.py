"""`flask ledger explain`: how one charge came about, or why one request was refused."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
import orjson

from ai_gateway.cli.options import Commands, one_line_errors
from ai_gateway.domain.money import PICO_PER_NANO, Money, usd_text
from ai_gateway.domain.price_lines import PriceSource
from ai_gateway.domain.working import Rounding
from ai_gateway.errors import RequestNotFound
from ai_gateway.services.explanation import ExplainedCharge, ExplainedRefusal, Explanation
from ai_gateway.services.explanation_facts import explanation_facts
from ai_gateway.services.price_admin import usd_per_million

SOURCES = {
    PriceSource.ENTERED: "entered by staff",
    PriceSource.OPERATOR: "from the configuration file",
    PriceSource.LIST: "from the price list",
}
NOT_RECORDED = "not recorded"


def explain_command(commands: Commands) -> click.Command:
    """`flask ledger explain`."""

    @click.command("explain", help="Explain a charge to the last nano-dollar, or a refusal.")
    @click.argument("request_id")
    @click.option("--json", "as_json", is_flag=True, help="As the API answers it.")
    def explain(request_id: str, *, as_json: bool) -> None:
        with one_line_errors():
            try:
                found = commands.explanations.explain(request_id)
            except RequestNotFound as error:
                raise click.ClickException(
                    f"no request {request_id!r} is in the ledger or among the refusals"
                ) from error
        if as_json:
            click.echo(orjson.dumps(_in_usd(explanation_facts(found))))
        else:
            # Names of models come from outside, and must not steer a terminal.
            click.echo("\n".join(map(_plain, _text(found))))

    return explain


def _in_usd(facts: Any, name: str = "") -> Any:
    """The facts with each amount that is to be in USD written so, exact to the nano-dollar."""
    if isinstance(facts, Mapping):
        return {key: _in_usd(value, key) for key, value in facts.items()}
    if isinstance(facts, list):
        return [_in_usd(one) for one in facts]
    is_usd = name.endswith("_usd") and not name.endswith(("_nano_usd", "pico_usd"))
    return orjson.Fragment(usd_text(Money(facts))) if is_usd and facts is not None else facts


def _plain(line: str) -> str:
    return line if line.isprintable() else line.encode("unicode_escape").decode()


def _text(found: Explanation) -> Iterator[str]:
    return _charge(found) if isinstance(found, ExplainedCharge) else _refusal(found)


def _charge(charge: ExplainedCharge) -> Iterator[str]:
    call, last = charge.call, charge.call.last
    yield f"{call.request_id}: {last.outcome}, {usd_text(call.cost)} USD"
    yield f"  user        {call.username or 'deleted'} ({call.user_id}), key agw_{call.key_id}"
    yield f"  asked for   {call.model_requested} ({call.operation})"
    yield f"  served      {call.provider}/{call.served_model}"
    yield f"  answer id   {call.provider_id or NOT_RECORDED}"
    yield f"  words       {last.usage_status}, {last.confidence}, {last.price_status}"
    yield "Timeline"
    for step in charge.timeline:
        yield f"  {step.name:21} {_moment(step.at, charge.zone)}"
    yield "Usage as the provider sent it"
    yield f"  {call.raw_usage or 'none'}"
    yield from _arithmetic(charge)
    yield from _hold(charge)
    if len(call.entries) > 1:
        yield "Entries of the ledger"
        for entry in call.entries:
            yield (
                f"  {entry.entry_no}  {_moment(entry.settled_at, charge.zone)}  "
                f"{usd_text(entry.cost)} USD, {usd_text(entry.total_after)} in all, "
                f"{entry.outcome}, {entry.confidence}"
            )


def _arithmetic(charge: ExplainedCharge) -> Iterator[str]:
    call, source = charge.call, charge.source
    if not charge.lines and charge.working is None:
        yield "Charge"
        yield f"  {_why_without_lines(charge)}"
        return
    yield f"Charge by {call.price_row or 'no price row'}{f', {SOURCES[source]}' if source else ''}"
    in_force = "still in force" if charge.is_book_in_force else "not in force any more"
    yield f"  price book {call.price_book}, {in_force}"
    for line in charge.lines:
        each = f"{line.count:,} x {line.rate:,} pico-USD ({usd_per_million(line.rate)} USD per M)"
        row = f"  {line.row_id}" if line.row_id != call.price_row else ""
        yield f"  {line.kind:17} {each} = {line.pico_usd:,}{row}"
    if charge.is_stated:
        yield f"  beyond the lines  {charge.beyond_lines:,}"
        yield f"  stated by the provider: {call.cost:,} nano-USD"
    else:
        yield f"  sum               {charge.rounding.pico_usd:,} pico-USD"
        yield f"  {rounding_words(charge.rounding)}"
    if charge.is_bounded:
        yield f"  no more than the hold of {call.held:,} nano-USD: the tokens are only counted"
    if not charge.is_worked_out:
        yield f"  booked are {call.cost:,} nano-USD, which these lines do not give"
    yield f"  cost              {usd_text(call.cost)} USD"


def rounding_words(rounding: Rounding) -> str:
    """The one rounding of a call in words."""
    exact = f"{rounding.whole:,}.{rounding.left_over:03} nano-USD"
    if not rounding.left_over:
        return f"/ {PICO_PER_NANO}              {exact}, nothing to round"
    way = "up" if rounding.is_up else "down"
    why = ", half to even" if rounding.is_tie else ""
    return f"/ {PICO_PER_NANO}              {exact}, rounded {way} to {rounding.rounded:,}{why}"


def _why_without_lines(charge: ExplainedCharge) -> str:
    if charge.is_worked_out:
        return "nothing was billed: the provider did no work for it"
    return "the prices of this charge were not kept: it was booked by an earlier version"


def _hold(charge: ExplainedCharge) -> Iterator[str]:
    call, working = charge.call, charge.working
    yield "Hold"
    if charge.lowered_from is not None:
        yield f"  wanted            {usd_text(charge.lowered_from)} USD"
        yield "  lowered to what there was room for"
    yield f"  held              {usd_text(call.held)} USD"
    if working and working.output_cap is not None:
        yield f"  cap sent          {working.output_cap:,} tokens"
    yield f"  released          {usd_text(charge.released)} USD"
    if charge.overrun:
        yield f"  overrun           {usd_text(charge.overrun)} USD"


def _refusal(refused: ExplainedRefusal) -> Iterator[str]:
    request, budget = refused.request, refused.request.budget
    yield f"{request.request_id}: refused ({request.reason}), nothing was sent and nothing charged"
    yield f"  at          {_moment(request.at, refused.zone)}"
    who = f"{request.username or 'deleted'} ({request.user_id})"
    yield f"  user        {who}, key agw_{request.key_id}"
    yield f"  asked for   {request.model or NOT_RECORDED} ({request.operation})"
    if budget is None:
        return
    yield f"Budget of the {budget.scope} for a {budget.window}"
    for name, amount in (
        ("limit", budget.limit),
        ("spent", budget.spent),
        ("held", budget.held),
        ("room", refused.room or 0),
        ("needed", budget.needed),
        ("lacking", refused.lacking or 0),
    ):
        yield f"  {name:11} {usd_text(Money(amount))} USD"
    if budget.hold is not None:
        hold = budget.hold
        yield (
            f"  needed for all input and {hold.output_tokens:,} tokens of output; "
            f"asked for up to {hold.asked_tokens:,}, affordable were {hold.affordable_tokens:,}"
        )
    yield f"  resets      {_moment(budget.resets_at, refused.zone)}"


def _moment(at: datetime | None, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(timespec="milliseconds") if at else NOT_RECORDED

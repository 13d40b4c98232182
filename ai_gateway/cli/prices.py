"""`flask prices`: what is in force, what has no price, and the acts of the page of prices."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup

from ai_gateway.cli.options import Commands, one_line_errors, with_context
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.domain.price_entries import EntryState
from ai_gateway.domain.price_lines import LineStatus, PriceSelection
from ai_gateway.domain.pricing import RATE_NAMES, PriceRow
from ai_gateway.errors import InvalidRequest
from ai_gateway.services.price_admin import AMOUNTS, PriceChange, PriceOrder, usd_per_million
from ai_gateway.services.price_refresh import Fetched
from ai_gateway.services.price_table import ModelPrices, PriceQuery, ShownPrice

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
EVERY_LINE = 10_000
OFF = "no refresh is set up: AI_GATEWAY_PRICES_REFRESH_URL names where newer prices come from"


def prices_group(commands: Commands) -> AppGroup:
    """`flask prices`."""
    group = AppGroup("prices", help="Prices: show, list, set, accept, withdraw, refresh.")
    for make in (_show, _check, _list, _set, _accept, _withdraw, _refresh):
        group.add_command(with_context(make(commands)))
    return group


def _show(commands: Commands) -> click.Command:
    @click.command("show", help="What a model costs, and whose price that is.")
    @click.argument("model")
    def show(model: str) -> None:
        with one_line_errors():
            found = _found(commands, model)
        click.echo(f"{found.provider}/{found.model}")
        if found.row is None:
            proposal = found.proposal
            click.echo(f"unpriced; proposed: {proposal.origin}" if proposal else "unpriced")
            return
        click.echo(f"row {found.row.row_id}, source {found.source}")
        for line in _rates(found.row):
            click.echo(line)

    return show


def _check(commands: Commands) -> click.Command:
    @click.command("check", help="Compile every price; exit 1 where a used model has none.")
    def check() -> None:
        with one_line_errors():
            page = commands.prices.table.page(PriceQuery())
            state = commands.prices.table.fetch_state()
        click.echo(f"price book {page.book_id}")
        if page.list_made_at is not None:
            click.echo(f"list of {page.list_made_at.astimezone(commands.timezone):%Y-%m-%d}")
        for status, count in page.counts.items():
            click.echo(f"{status}: {count}")
        if state.fault:
            click.echo(f"the last refresh failed: {state.fault}", err=True)
        if page.counts[LineStatus.UNPRICED]:
            raise click.ClickException(
                "models are used without a price: flask prices list --unpriced"
            )

    return check


def _list(commands: Commands) -> click.Command:
    @click.command("list", help="Models with their prices, or those without one.")
    @click.option("--unpriced", is_flag=True, help="Only those that were used and have none.")
    def list_prices(*, unpriced: bool) -> None:
        chosen = PriceSelection(LineStatus.UNPRICED if unpriced else None)
        with one_line_errors():
            page = commands.prices.table.page(PriceQuery(chosen, page_size=EVERY_LINE))
        for shown in page.prices:
            click.echo("\t".join(_columns(shown)))

    return list_prices


def _set(commands: Commands) -> click.Command:
    @click.command("set", help="Set a price in USD for a million tokens, as an entry of its own.")
    @click.argument("model")
    @click.option("--input", required=True, help="USD for a million tokens; 0 is free.")
    @click.option("--output", required=True, help="USD for a million tokens.")
    @click.option("--cached-input", help="Of input from a cache; as input without it.")
    @click.option("--cache-write", help="Of input written to a cache; as input without it.")
    @click.option("--cache-write-long", help="The same for a long time.")
    @click.option("--from", "since", type=MOMENT, help="In force from; now without it.")
    @click.option("--reason", default="", help="Kept in the audit.")
    @click.option("--confirm", is_flag=True, help="A price above 1,000 USD is right.")
    def set_price(
        model: str, since: datetime | None, reason: str, *, confirm: bool, **amounts: str | None
    ) -> None:
        given = {name: amounts[name] or "" for name in AMOUNTS if amounts[name] is not None}
        with one_line_errors(), _plain_refusals():
            order = _order(model, since, reason, commands.timezone)
            done = commands.prices.admin.enter(order, given, is_confirmed=confirm)
        _tell(done)

    return set_price


def _accept(commands: Commands) -> click.Command:
    @click.command("accept", help="Set the price that is proposed for an unpriced model.")
    @click.argument("model")
    @click.option("--reason", default="", help="Kept in the audit.")
    def accept(model: str, reason: str) -> None:
        with one_line_errors(), _plain_refusals():
            done = commands.prices.admin.accept(_order(model, None, reason, commands.timezone))
        _tell(done)

    return accept


def _withdraw(commands: Commands) -> click.Command:
    @click.command("withdraw", help="Take back the price that was entered, in force or to come.")
    @click.argument("model")
    @click.option("--entry", type=int, help="The id of the entry; the one in force without it.")
    @click.option("--reason", default="", help="Kept in the audit.")
    def withdraw(model: str, entry: int | None, reason: str) -> None:
        with one_line_errors(), _plain_refusals():
            found = _found(commands, model)
            chosen = entry or _in_force(found)
            order = _order(f"{found.provider}/{found.model}", None, reason, commands.timezone)
            done = commands.prices.admin.withdraw(order, chosen)
        _tell(done)

    return withdraw


def _refresh(commands: Commands) -> click.Command:
    @click.command("refresh", help="Fetch a newer list of prices, and take it if it is believed.")
    @click.option("--dry-run", is_flag=True, help="Fetch and check only.")
    def refresh(*, dry_run: bool) -> None:
        prices = commands.prices.refresh
        if prices is None:
            raise click.ClickException(OFF)
        with one_line_errors():
            fetched = prices.try_out() if dry_run else prices.run()
        _tell_fetched(fetched, "would be" if dry_run else "is")

    return refresh


@contextmanager
def _plain_refusals() -> Iterator[None]:
    """Say what is wrong with an order, as its error has it."""
    try:
        yield
    except InvalidRequest as error:
        raise click.ClickException(str(error)) from error


def _tell_fetched(fetched: Fetched, verb: str) -> None:
    if fetched.found is None:
        raise click.ClickException(f"not taken: {fetched.fault}; the last good list stays")
    click.echo(
        f"list {fetched.found.digest} {verb} in force: {fetched.models} models, "
        f"{fetched.changed} of them at another price"
    )


def _found(commands: Commands, name: str) -> ModelPrices:
    found = commands.prices.table.named(name)
    if found is None:
        raise click.ClickException(f"no provider that is on has {name!r}; write provider/model")
    return found


def _order(model: str, since: datetime | None, reason: str, zone: ZoneInfo) -> PriceOrder:
    provider, slash, name = model.partition("/")
    if not slash:
        raise InvalidRequest("Write the model as provider/model.", "model")
    moment = since.replace(tzinfo=zone).astimezone(UTC) if since else None
    return PriceOrder(provider, name, COMMAND_LINE, moment, reason)


def _in_force(found: ModelPrices) -> int:
    for entry, state in found.history:
        if state is EntryState.IN_FORCE and entry.row is not None:
            return entry.entry_id
    raise InvalidRequest("No price that was entered is in force for this model.", "model")


def _tell(done: PriceChange) -> None:
    when = done.entry.effective_from.isoformat(timespec="seconds")
    click.echo(f"Entry {done.entry.entry_id} holds from {when} on.", err=True)
    if not done.is_published:
        click.echo("Redis does not answer: it is in force as soon as it does.", err=True)


def _columns(shown: ShownPrice) -> list[str]:
    line = shown.line
    if line.row is None:
        proposal = shown.proposal.origin if shown.proposal else "no proposal"
        wanted = f"{line.requests} requests, {line.refused} refused"
        return [f"{line.provider}/{line.model}", line.status, wanted, proposal]
    rates = line.row.tiers[0].rates
    amounts = (usd_per_million(rate) for rate in (rates.input, rates.cached_input, rates.output))
    return [f"{line.provider}/{line.model}", line.status, *amounts, str(line.source)]


def _rates(row: PriceRow) -> list[str]:
    lines = []
    for tier in row.tiers:
        if tier.over_input_tokens >= 0:
            lines.append(f"above {tier.over_input_tokens:,} input tokens:")
        lines += [f"{name}\t{usd_per_million(getattr(tier.rates, name))}" for name in RATE_NAMES]
    return lines

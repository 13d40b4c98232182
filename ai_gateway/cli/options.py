"""What the commands share: the objects they work with, amounts as options, one-line errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import click
from flask import Flask
from flask.cli import with_appcontext

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import NO_LIMIT, Budget, Limit, LimitKind, Scope, Window
from ai_gateway.domain.money import from_usd
from ai_gateway.errors import GatewayError, InvalidRequest, KeyNotFound
from ai_gateway.services.alert_admin import AlertAdmin
from ai_gateway.services.audit import Audit
from ai_gateway.services.audit_report import AuditReport
from ai_gateway.services.bookkeeping import Bookkeeper
from ai_gateway.services.budgets import Budgets
from ai_gateway.services.checklist import Checklist
from ai_gateway.services.explanation import Explanations
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.key_list import KeyList
from ai_gateway.services.prices import Prices
from ai_gateway.services.task_clock import TaskClock
from ai_gateway.services.task_report import TaskReport
from ai_gateway.services.user_admin import UserAdmin, UserAdminError
from ai_gateway.services.verification import Verification
from ai_gateway.stores.database_copy import DatabaseCopy
from ai_gateway.stores.ledger_export import LedgerExport
from ai_gateway.stores.virtual_keys import KeyTable


@dataclass(frozen=True, slots=True)
class Commands:
    """What the commands work with; put together by the factory."""

    users: UserAdmin
    budgets: Budgets
    audit: Audit
    audit_report: AuditReport
    alerts: AlertAdmin
    prices: Prices
    keys: KeyAdmin
    key_list: KeyList
    key_table: KeyTable
    make_bookkeeper: Callable[[], Bookkeeper]
    make_task_clock: Callable[[], TaskClock]
    task_report: TaskReport
    make_app: Callable[[Clock], Flask]
    verification: Verification
    export: LedgerExport
    database_copy: DatabaseCopy
    explanations: Explanations
    checklist: Checklist
    timezone: ZoneInfo
    clock: Clock
    is_simulated: bool


class Usd(click.ParamType[Limit | str]):
    """An amount in USD, or one of some words."""

    name = "usd"

    def __init__(self, *words: str) -> None:
        self._words = words

    def convert(
        self,
        value: object,
        param: click.Parameter | None,  # noqa: ARG002  # click calls it so
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Limit | str:
        if isinstance(value, Limit):
            return value
        if value in self._words:
            return str(value)
        try:
            amount = Decimal(str(value))
            if not 0 <= amount <= 9_000_000:
                raise InvalidOperation
            return Limit(LimitKind.AMOUNT, from_usd(amount))
        except (InvalidOperation, ValueError):
            words = "".join(f", or {word}" for word in self._words)
            self.fail(f"{value!r} is no amount in USD such as 12.50 (0 to 9,000,000){words}")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Tell what went wrong in one line, without a traceback."""
    try:
        yield
    except UserAdminError as error:
        raise click.ClickException(str(error)) from error
    except KeyNotFound as error:
        raise click.ClickException(
            f"there is no key {error.key_id}; see: flask key list"
        ) from error
    except InvalidRequest as error:
        raise click.ClickException(str(error)) from error
    except GatewayError as error:
        raise click.ClickException(
            "the database or Redis does not answer; is the gateway running, and was it started "
            f"once? ({type(error).__name__})"
        ) from error


def tell_force(*, is_in_force: bool) -> None:
    """Say, and end with 1, that what was changed in the database does not act yet."""
    if not is_in_force:
        late = "Redis does not answer: it is in force at the latest 30 s after Redis is back."
        click.echo(late, err=True)
        raise click.exceptions.Exit(1)


def limit_changes(scope: Scope, daily: object, monthly: object) -> dict[Budget, Limit | None]:
    given = {Window.DAY: daily, Window.MONTH: monthly}
    return {Budget(scope, window): _limit(choice) for window, choice in given.items() if choice}


def _limit(choice: object) -> Limit | None:
    if isinstance(choice, Limit):
        return choice
    return NO_LIMIT if choice == "none" else None


def with_context(command: click.Command) -> click.Command:
    """Run a command inside the application's context, as Flask's own decorator would."""
    if command.callback is not None:
        command.callback = with_appcontext(command.callback)
    return command

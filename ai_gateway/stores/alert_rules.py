"""What staff chose for each kind of alert; a change and its audit are one transaction."""

from datetime import timedelta

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ai_gateway.domain.alerts import AlertKind, Rule, default_rule
from ai_gateway.domain.audit import AuditEntry
from ai_gateway.stores import sql
from ai_gateway.stores.alert_tables import AlertRuleRow
from ai_gateway.stores.audit import row_of
from ai_gateway.stores.sql_errors import write


class AlertRules:
    """Every kind has a rule. Raises `GatewayUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> dict[AlertKind, Rule]:
        """The rule of each kind, in the order of the table of kinds."""
        with sql.transaction(self._engine) as session:
            chosen = {row.kind: _read(row) for row in session.scalars(select(AlertRuleRow))}
        return {kind: chosen.get(kind.value) or default_rule(kind) for kind in AlertKind}

    def change(self, rule: Rule, entry: AuditEntry) -> bool:
        """Put a rule in the place of the one with its version; False where that is not the last."""

        def change(session: Session) -> bool:
            kind = rule.kind.value
            row = session.get(AlertRuleRow, kind, with_for_update=True)
            if (row.version if row else 0) != rule.version:
                return False
            if row is None:
                row = AlertRuleRow(kind=kind)
                session.add(row)
            row.is_on, row.threshold = rule.is_on, rule.threshold
            row.cool_down_seconds = int(rule.cool_down.total_seconds())
            row.version = rule.version + 1
            session.add(row_of(entry))
            return True

        try:
            return write(change, engine=self._engine)
        except IntegrityError:
            # The first choice of a kind, made by two at this very moment.
            return False


def _read(row: AlertRuleRow) -> Rule:
    return Rule(
        AlertKind(row.kind),
        row.is_on,
        row.threshold,
        timedelta(seconds=row.cool_down_seconds),
        row.version,
    )

"""Alerts and their rules. For staff; programs read them, people change them."""

from typing import Literal

from ai_gateway.domain.alerts import SPECS, AlertKind
from ai_gateway.web.api.caller import Access
from ai_gateway.web.api.endpoint import Asked, get
from ai_gateway.web.api.fields import Answer, Count, Moment, NoQuery, PageLimit, Query
from ai_gateway.web.context import services


class AlertsQuery(Query):
    """How many."""

    limit: PageLimit = 50


class AlertAnswer(Answer):
    """Something that a rule found."""

    rule: AlertKind
    state: Literal["open", "closed"]
    subject: str
    """What it is about, the same each time: `user:17:day`, a provider, a model."""
    name: str
    """The same for people."""
    text: str
    window: str | None
    """The day or month whose budget it is; null where it lasts until it is over."""
    opened_at: Moment
    closed_at: Moment | None
    told: bool
    """False where a cool-down kept the message back."""


class AlertsAnswer(Answer):
    """Those that are open, the newest first, then those that were closed in the last seven days."""

    alerts: list[AlertAnswer]


class RuleAnswer(Answer):
    """What is looked at, and from when on people are told."""

    rule: AlertKind
    title: str
    about: str
    enabled: bool
    threshold: int
    unit: str
    """What the threshold is counted in."""
    cool_down_seconds: Count
    """So long the same subject is not told of again."""


class RulesAnswer(Answer):
    """Every rule, whether it is on or off."""

    rules: list[RuleAnswer]


@get("/alerts/", AlertsQuery, AlertsAnswer, Access.STAFF)
def alerts(asked: Asked[AlertsQuery]) -> AlertsAnswer:
    """What is or was wrong, as far as a rule looks at it."""
    found = services().alerts.alerts(asked.given.limit)
    return AlertsAnswer(
        alerts=[
            AlertAnswer(
                rule=one.kind,
                state="closed" if one.resolved_at else "open",
                subject=one.subject,
                name=one.name,
                text=one.words,
                window=one.window or None,
                opened_at=one.opened_at,
                closed_at=one.resolved_at,
                told=one.is_told,
            )
            for one in found
        ]
    )


@get("/alerts/rules/", NoQuery, RulesAnswer, Access.STAFF)
def alert_rules(_asked: Asked[NoQuery]) -> RulesAnswer:
    """The rules of alerts; they are changed on the staff page or by `flask alert set`."""
    return RulesAnswer(
        rules=[
            RuleAnswer(
                rule=kind,
                title=SPECS[kind].title,
                about=SPECS[kind].about,
                enabled=rule.is_on,
                threshold=rule.threshold,
                unit=SPECS[kind].unit,
                cool_down_seconds=int(rule.cool_down.total_seconds()),
            )
            for kind, rule in services().alerts.rules().items()
        ]
    )

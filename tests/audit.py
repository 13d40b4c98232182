"""An audit for tests and pictures: a morning of the staff, and somebody who could not get in."""

from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import (
    COMMAND_LINE,
    Action,
    Actor,
    AuditEntry,
    Change,
    Result,
    Target,
    TargetKind,
    masked,
    user_target,
)
from ai_gateway.domain.roles import Role
from ai_gateway.stores.audit import row_of

OLGA = Actor(900, "olga", Role.OPERATOR, "192.0.2.10", request_id="req_4711")
STRANGER = Actor(address="203.0.113.77")
AMELIA, BEN = user_target(2, "amelia.stone"), user_target(3, "ben.okafor")
KEY = Target(TargetKind.KEY, "Kd7w0000", "support bot")
MODEL = Target(TargetKind.PRICE, "lab/our-model", "lab/our-model")

ACTS: tuple[tuple[Action, Actor, Target | None, Change, Result], ...] = (
    (Action.LOG_IN, STRANGER, None, Change(), Result.FAILED),
    (Action.LOG_IN, STRANGER, AMELIA, Change(), Result.LIMITED),
    (Action.LOG_IN, OLGA, user_target(900, "olga"), Change(), Result.OK),
    (
        Action.LIMIT_CHANGE,
        OLGA,
        AMELIA,
        Change({"day": "5.00", "month": None}, {"day": "12.50", "month": "none"}, "quarter end"),
        Result.OK,
    ),
    (
        Action.KEY_CREATE,
        OLGA,
        KEY,
        Change(after={"owner": "amelia.stone", "allowed_models": "all", "limit_day": "5.00"}),
        Result.OK,
    ),
    (
        Action.SPEND_RESET,
        OLGA,
        BEN,
        Change({"day": "4.12"}, {"day": "0.00"}, "a batch run by mistake, see ticket 4711"),
        Result.OK,
    ),
    (
        Action.PRICE_CHANGE,
        OLGA,
        MODEL,
        Change({"input": "0.10"}, {"input": "0.15"}, "new contract"),
        Result.OK,
    ),
    (
        Action.EXPORT,
        OLGA,
        Target(TargetKind.REPORT, "user_spend"),
        Change(after={"filter": "exceeded"}),
        Result.OK,
    ),
    (
        Action.HOUSEKEEPING,
        COMMAND_LINE,
        Target(TargetKind.INSTALLATION, "0", "staff_sessions"),
        Change(after={"removed": 312}),
        Result.OK,
    ),
)


def seed_audit(engine: Engine, now: datetime) -> None:
    """One act every seventeen minutes, the last one just now."""
    first = now - timedelta(minutes=17) * (len(ACTS) - 1)
    with Session(engine) as session:
        for number, (action, actor, target, change, result) in enumerate(ACTS):
            at = first + timedelta(minutes=17) * number
            session.add(row_of(AuditEntry(at, action, actor, target, masked(change), result)))
        session.commit()

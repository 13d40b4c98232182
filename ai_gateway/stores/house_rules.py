"""The house rules: the truth in SQL, and the copy in Redis that workers check against.

A change commits in SQL, then writes Redis; the bookkeeper publishes them again every 30 s.
"""

import zlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import redis
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.house_rules import HouseRules, Pause, PauseScope, PauseTarget
from ai_gateway.domain.limits import (
    BUDGETS,
    COMMON_BUDGETS,
    EVERYBODY,
    NO_LIMIT,
    Budget,
    Limit,
    LimitKind,
)
from ai_gateway.domain.money import Money
from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors
from ai_gateway.stores.rule_tables import PauseRow, RulesVersion
from ai_gateway.stores.spend_limits import Chosen, chosen_limits
from ai_gateway.stores.sql import insert_into, transaction

FIELDS = ("rules", "rules_version", "rules_number")
"""Of the meta hash, as `read_rules` takes them."""

COMMON_SUBJECTS = tuple({budget.scope: EVERYBODY for budget in COMMON_BUDGETS}.items())
"""Whose limits hold for everybody."""

_SCRIPT = Path(__file__).parent / "scripts" / "publish_rules.lua"
_ONE_ROW = 1


class HouseRulesTable:
    """As SQL has them; `defaults` are the environment's limits, in force until staff set any."""

    def __init__(self, engine: Engine, defaults: Mapping[Budget, Limit]) -> None:
        self._engine = engine
        self.defaults = defaults

    def read(self) -> HouseRules:
        """Everything that holds for all; raises `GatewayUnavailable`."""
        with transaction(self._engine) as session:
            # First of all: what commits meanwhile must not be published under an older number.
            number = session.scalar(select(RulesVersion.number)) or 0
            chosen = chosen_limits(session, COMMON_SUBJECTS)
            pauses = pauses_in(session)
        limits = self.common(chosen)
        return HouseRules(tuple(limits.get(budget, NO_LIMIT) for budget in BUDGETS), pauses, number)

    def common(self, chosen: Chosen) -> dict[Budget, Limit]:
        """The limits of whoever has none of their own; `chosen` are those of `COMMON_SUBJECTS`."""
        return dict(self.defaults) | {
            budget: chosen[budget.scope, EVERYBODY, budget.window]
            for budget in COMMON_BUDGETS
            if (budget.scope, EVERYBODY, budget.window) in chosen
        }


def pauses_in(session: Session) -> dict[PauseTarget, Pause]:
    """What is paused, everything first, then by time."""
    rows = session.scalars(select(PauseRow).order_by(PauseRow.scope, PauseRow.since))
    return {pause.target: pause for pause in map(_read_row, rows)}


def change_rules(session: Session) -> None:
    """Begin another version of the rules; one change waits here for the next."""
    insert = insert_into(session.get_bind().engine, RulesVersion).values(id=_ONE_ROW, number=1)
    grown = {"number": RulesVersion.number + 1}
    session.execute(insert.on_conflict_do_update(index_elements=["id"], set_=grown))


class HouseRulesCopy:
    """The copy in Redis; it stands where `reserve` looks anyway."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._publish = client.register_script(_SCRIPT.read_text())

    def publish(self, rules: HouseRules) -> None:
        """Write the copy; one of an older version never replaces a newer one."""
        text = _to_json(rules)
        # The number orders versions; the checksum tells apart what the environment's limits change.
        version = f"{rules.number}.{zlib.crc32(text.encode()):08x}"
        with translated_errors():
            self._publish([redis_keys.META], [rules.number, version, text])

    def load(self) -> HouseRules | None:
        """The copy; None where none was published. Raises `BudgetUnavailable`."""
        with translated_errors():
            return read_rules(*self._client.hmget(redis_keys.META, *FIELDS))


_Text = str | bytes | None


def read_rules(text: _Text, version: _Text, number: _Text) -> HouseRules | None:
    """Read the fields of the meta hash."""
    if text is None or version is None or number is None:
        return None
    facts: dict[str, Any] = orjson.loads(text)
    pauses = (_read_pause(pause) for pause in facts["pauses"])
    return HouseRules(
        tuple(map(read_limit, facts["limits"])),
        {pause.target: pause for pause in pauses},
        int(number),
        str(version),
    )


def read_limit(facts: Mapping[str, Any]) -> Limit:
    """Read back a limit of a copy."""
    return Limit(LimitKind(facts["kind"]), Money(facts["amount"]))


def _to_json(rules: HouseRules) -> str:
    facts = {
        "limits": [asdict(limit) for limit in rules.limits],
        "pauses": [_pause_facts(pause) for pause in rules.pauses.values()],
    }
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()


def _pause_facts(pause: Pause) -> dict[str, str]:
    return {
        "scope": pause.target.scope,
        "subject": pause.target.subject,
        "name": pause.name,
        "reason": pause.reason,
        "since": pause.since.isoformat(),
        "by": pause.by,
    }


def _read_pause(facts: Mapping[str, str]) -> Pause:
    return Pause(
        PauseTarget(PauseScope(facts["scope"]), facts["subject"]),
        facts["name"],
        facts["reason"],
        datetime.fromisoformat(facts["since"]),
        facts["by"],
    )


def _read_row(row: PauseRow) -> Pause:
    target = PauseTarget(PauseScope(row.scope), row.subject)
    return Pause(target, row.name, row.reason, row.since, row.by)

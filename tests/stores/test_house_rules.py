"""What holds for every call: the truth in SQL, pauses among it, and the copy in Redis."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import COMMAND_LINE, Action, AuditEntry, Change, Result
from ai_gateway.domain.house_rules import (
    EVERYTHING,
    NO_RULES,
    HouseRules,
    Pause,
    PauseTarget,
    provider_pause,
    user_pause,
)
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Budget, Limit, Scope
from ai_gateway.stores import redis_keys
from ai_gateway.stores.house_rules import HouseRulesCopy, HouseRulesTable
from ai_gateway.stores.meter import Granted, Stale
from ai_gateway.stores.pauses import PauseActs
from ai_gateway.stores.tables import AuditRow
from ai_gateway.stores.virtual_keys import KeyTable
from tests.limits import choose
from tests.money import MoneyStore, admitted_call, amount, key_record

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MONTH, USER_DAY, USER_MONTH, _, _ = BUDGETS
DEFAULTS: Mapping[Budget, Limit] = {MONTH: amount(1000), USER_DAY: amount(5)}


def paused(target: PauseTarget = EVERYTHING, reason: str = "Keys leaked.") -> Pause:
    return Pause(target, target.subject, reason, NOW, "ada")


def recorded(_known: Pause | None) -> Iterable[AuditEntry]:
    return [AuditEntry(NOW, Action.PAUSE, COMMAND_LINE, None, Change(), Result.OK)]


class TestTruth:
    """As SQL has it."""

    def test_staff_stand_before_the_environment_and_an_explicit_none_is_a_choice(
        self, engine: Engine
    ) -> None:
        table = KeyTable(engine, DEFAULTS)
        assert table.house_rules.read() == replace(
            NO_RULES, limits=(amount(1000), amount(5), NO_LIMIT, NO_LIMIT, NO_LIMIT)
        )
        choose(table, Scope.USER, 0, {USER_DAY: NO_LIMIT, USER_MONTH: amount(9)})
        choose(table, Scope.INSTALLATION, 0, {MONTH: amount(7)})
        assert table.house_rules.read().limits == (
            amount(7), NO_LIMIT, amount(9), NO_LIMIT, NO_LIMIT,
        )  # fmt: skip

    def test_a_pause_is_a_new_version_until_it_is_lifted(self, engine: Engine) -> None:
        acts, rules = PauseActs(engine), HouseRulesTable(engine, DEFAULTS)
        for target in (user_pause(7), EVERYTHING, provider_pause("openai")):
            acts.set(paused(target), recorded)
        found = rules.read()
        assert list(found.pauses) == [EVERYTHING, provider_pause("openai"), user_pause(7)]
        assert found.pauses[user_pause(7)] == paused(user_pause(7))
        assert acts.lift(EVERYTHING, recorded) == paused(EVERYTHING)
        after = rules.read()
        assert EVERYTHING not in after.pauses
        assert after.number > found.number
        assert acts.all() == tuple(after.pauses.values())

    def test_another_reason_leaves_the_moment_and_the_same_one_leaves_no_trace(
        self, engine: Engine
    ) -> None:
        acts = PauseActs(engine)
        later = replace(paused(reason="Still leaking."), since=NOW + timedelta(hours=1), by="ben")
        acts.set(paused(), recorded)
        assert acts.set(later, recorded) == replace(later, since=NOW)
        assert acts.set(later, recorded) == replace(later, since=NOW)
        with Session(engine) as session:
            assert len(session.scalars(select(AuditRow)).all()) == 2

    def test_what_is_not_paused_cannot_be_lifted(self, engine: Engine) -> None:
        acts = PauseActs(engine)
        assert acts.lift(EVERYTHING, recorded) is None
        with Session(engine) as session:
            assert session.scalars(select(AuditRow)).all() == []


RULES = HouseRules(
    (amount(1), NO_LIMIT, amount(0), NO_LIMIT, amount(9 * 10**15)),
    {pause.target: pause for pause in (paused(), paused(user_pause(7), "Ünder repair."))},
    number=4,
)


class TestCopy:
    """As workers know it."""

    def test_a_copy_is_the_same_as_what_was_published(self, store: MoneyStore) -> None:
        copy = HouseRulesCopy(store.client)
        store.client.delete(redis_keys.META)
        assert copy.load() is None
        copy.publish(RULES)
        found = copy.load()
        assert found is not None
        assert replace(found, version="") == RULES
        assert found.version.startswith("4.")

    def test_an_older_copy_never_replaces_a_newer_one(self, store: MoneyStore) -> None:
        copy = HouseRulesCopy(store.client)
        copy.publish(RULES)
        copy.publish(replace(RULES, pauses={}, number=3))
        found = copy.load()
        assert found is not None
        assert found.pauses == RULES.pauses

    def test_other_limits_of_the_environment_are_another_version(self, store: MoneyStore) -> None:
        copy = HouseRulesCopy(store.client)
        versions = set()
        for limits in (RULES.limits, NO_RULES.limits, RULES.limits):
            copy.publish(replace(RULES, limits=limits))
            found = copy.load()
            assert found is not None
            versions.add(found.version)
        assert len(versions) == 2

    @pytest.mark.parametrize("known", ["", "3.00000000"])
    def test_a_call_that_knows_other_rules_is_told_to_load_them(
        self, store: MoneyStore, known: str
    ) -> None:
        store.copies.publish([key_record()])
        HouseRulesCopy(store.client).publish(RULES)
        asked = store.request(admitted_call())
        assert isinstance(store.meter.reserve(replace(asked, rules_version=known)), Stale)
        assert isinstance(store.meter.reserve(asked), Granted)
